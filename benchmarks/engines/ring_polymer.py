"""Time of a ring-polymer step: 64 beads in one call of the model, beside 64 calls for one bead.

    python benchmarks/engines/ring_polymer.py [--threads 1] [--blocks 8]

Ethanol with the demo's PaiNN and aspirin with the published settings of PaiNN, random weights (they do not change the
time), T-RPMD on i-PI, float32. `one` and `ring` take turns, block by block; numbers are the fastest block, in CPU time
of the process and in wall time. i-PI's own share is that of the same steps with a harmonic well in the place of the
model. The headline that this remakes: PaiNN's ring-polymer dynamics of aspirin, 64 beads and 20 ps, in an hour on a GPU
instead of 25 years of density-functional theory (Schütt, Unke, Gastegger, ICML 2021).
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "accuracy")]
from machine import stamp
from settings import PUBLISHED, SMALL

from equipot.data.shipped import ethanol_harmonic
from equipot.engines.ipi import inputs
from equipot.engines.ipi.beads import Beads
from equipot.engines.ipi.ring import Ring
from equipot.engines.settings import Dynamics
from equipot.models import PaiNNConfig
from equipot.potential import Potential, PotentialConfig, TargetsConfig
from equipot.statistics import Statistics

RESULT = HERE.parent / "results" / "ring_polymer.json"
BEADS = 64
DT = 0.25  # fs
PICOSECONDS = 20.0
STEPS = 10  # of a block
RECORDED = ("dipole", "polarizability")
TARGETS = {"dipole": {}, "polarizability": {}, "total_charge": 0.0}


class Well(Beads):
    """A potential that costs nothing: what is left is i-PI."""

    def __init__(self, atoms: Atoms, beads: int) -> None:
        self.shape, self.virial, self.calls, self.center = (beads, len(atoms), 3), False, 0, atoms.positions

    def evaluate(self, positions: np.ndarray, also: Any = ()) -> dict[str, np.ndarray]:
        forces = -10.0 * (positions - self.center)
        return {"energy": 0.05 * np.square(forces).sum((1, 2)), "forces": forces}


def cases() -> dict[str, tuple[Atoms, dict[str, Any]]]:
    gauche = ethanol_harmonic()["gauche"]
    aspirin = ase.io.read(HERE.parent / "speed" / "structures" / "aspirin.extxyz")
    return {
        "ethanol": (Atoms(gauche["symbols"], positions=gauche["positions"]), SMALL["painn"]),
        "aspirin": (Atoms(aspirin.numbers, positions=aspirin.positions), PUBLISHED["painn"]),
    }


def model(settings: dict[str, Any]) -> Potential:
    torch.manual_seed(1)
    config = PotentialConfig(model=PaiNNConfig(**settings), targets=TargetsConfig.model_validate(TARGETS))
    statistics = Statistics(
        elements=(1, 6, 8), mean_neighbors=12.0, reference_energies=(0.0, 0.0, 0.0), energy_scale=0.1
    )
    return Potential(config, statistics)


def ring(evaluator: Beads, atoms: Atoms, beads: int) -> Ring:
    settings = Dynamics(engine="ipi", beads=beads, dt=DT, method="trpmd")
    initial = inputs.all_at(atoms, beads)
    text = inputs.simulation(settings.phases()[-1], settings, initial=initial, forcefield=inputs.LIVE, seed=1)
    out = Ring(evaluator, text)
    out.compute()
    return out


def block(chosen: Ring, wanted: tuple[str, ...]) -> tuple[float, float]:
    """CPU and wall milliseconds of a step."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(STEPS):
        chosen.step(wanted)
    return 1e3 * (time.process_time() - cpu) / STEPS, 1e3 * (time.perf_counter() - wall) / STEPS


def measure(atoms: Atoms, settings: dict[str, Any], blocks: int) -> dict[str, Any]:
    potential = model(settings)
    rings = {
        "one": (ring(Beads(potential, atoms, 1), atoms, 1), ()),
        "ring": (ring(Beads(potential, atoms, BEADS), atoms, BEADS), ()),
        "i-PI alone": (ring(Well(atoms, BEADS), atoms, BEADS), ()),
    }
    rings["ring, recording"] = (rings["ring"][0], RECORDED)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rings}
    for _ in range(blocks):
        for name, (chosen, wanted) in rings.items():
            times[name].append(block(chosen, wanted))
    best = {name: [round(float(x), 2) for x in np.min(rows, axis=0)] for name, rows in times.items()}
    steps = 1000 * PICOSECONDS / DT
    return {
        "atoms": len(atoms),
        "model": {"name": "painn", **settings},
        "calls_of_the_model_per_step": (rings["ring"][0].beads.calls - 1) / (2 * blocks * STEPS),
        "ms_per_step_cpu_wall": best,
        "times_64_single": round(BEADS * best["one"][0] / best["ring"][0], 2),
        "hours_for_20_ps_cpu": round(best["ring"][0] * steps / 3.6e6, 2),
        "hours_for_20_ps_one_by_one_cpu": round(BEADS * best["one"][0] * steps / 3.6e6, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--blocks", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    document = {
        "what": f"T-RPMD with {BEADS} beads, dt {DT} fs; 20 ps are {1000 * PICOSECONDS / DT:.0f} steps",
        "cases": {n: measure(a, s, arguments.blocks) for n, (a, s) in cases().items()},
        **stamp(),
    }
    RESULT.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(document["cases"], indent=1), RESULT, sep="\n")


if __name__ == "__main__":
    main()
