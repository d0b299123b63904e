"""TorchSim run as a whole: the same numbers as ASE, many molecules in one call, and what a batch saves.

    python benchmarks/engines/torchsim.py

Needs torch-sim-atomistic, Python 3.12 or newer. A PaiNN with random weights, 32 channels, 3 layers; forces are scaled
down. Milliseconds are CPU time of one thread. About two minutes.
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.build import molecule

sys.path += [
    str(Path(__file__).parents[1]),
    str(Path(__file__).parents[1] / "accuracy"),
    str(Path(__file__).parent),
]
import records
import torch_sim as ts
from machine import stamp
from null import fastest, prepared

from equipot.engines.agreement import agreement
from equipot.engines.torchsim.model import TorchSimModel
from equipot.models import PaiNNConfig
from equipot.potential import Potential, PotentialConfig, TargetsConfig
from equipot.testing import crystal, random_potential
from equipot.testing.systems import molecule as cluster

RESULT = Path(__file__).parents[1] / "results" / "engines_torchsim.json"
ELEMENTS = (1, 6, 8)
MOLECULES = ("H2O", "CH4", "CH3OH", "CH3CH2OH", "C2H2", "C2H4", "C2H6", "CO2")


def main() -> None:
    torch.set_num_threads(1)
    model = potential(torch.float32)
    found = {
        "versions": {name: version(name) for name in ("torch-sim-atomistic", "ase", "numpy")},
        "agreement": [
            {"name": proof.name, "value": proof.value, "limit": proof.limit, "passed": proof.passed}
            for proof in agreement(
                potential(torch.float64), [cluster(ELEMENTS, 9), crystal(ELEMENTS)], ["torchsim"]
            )
        ],
        "replicas": replicas(model),
        "relaxation": relaxation(potential(torch.float64)),
    }
    made = stamp()
    made["versions"] |= found.pop("versions")
    records.add(
        RESULT, {"what": "TorchSim against ASE, and what a batch saves"}, "painn, cpu", {**found, **made}
    )
    print(found)


def potential(dtype: torch.dtype) -> Potential:
    config = PotentialConfig(
        model=PaiNNConfig(channels=32, num_layers=3, num_radial=16, cutoff=4.0), targets=TargetsConfig()
    )
    made = random_potential(config, ELEMENTS, seed=3)
    soft = made.statistics.model_copy(update={"energy_scale": 0.05 * made.statistics.energy_scale})
    out = Potential(config, soft).double()
    out.load_state_dict(made.state_dict())
    return out.to(dtype)


def replicas(model: Potential) -> dict[str, Any]:
    """CPU milliseconds of a step of Langevin dynamics of R molecules of ethanol, by this engine and by ASE."""
    out: dict[str, Any] = {}
    for engine in ("torchsim", "ase"):
        for count in (1, 8, 64):
            mover = prepared(model, engine, molecule("CH3CH2OH"), count, ensemble="langevin")
            times = fastest(
                lambda n, mover=mover: mover.advance(n, record=False), max(3, 40 // count), blocks=5
            )
            out[f"{engine}, {count}"] = times
    return out


def relaxation(model: Potential) -> dict[str, Any]:
    """200 steps of TorchSim's FIRE for all molecules at once and for each alone: the same energies."""

    def relaxed(names: tuple[str, ...]) -> tuple[np.ndarray, float]:
        start = time.process_time()
        final = ts.optimize(
            system=ts.io.atoms_to_state([molecule(n) for n in names], torch.device("cpu"), torch.float64),
            model=TorchSimModel(model),
            optimizer=ts.Optimizer.fire,
            convergence_fn=ts.generate_force_convergence_fn(force_tol=1e-6, include_cell_forces=False),
            max_steps=200,
        )
        return final.energy.numpy(), time.process_time() - start

    together, seconds = relaxed(MOLECULES)
    alone = [relaxed((name,)) for name in MOLECULES]
    energies = np.concatenate([energy for energy, _ in alone])
    return {
        "molecules": list(MOLECULES),
        "largest_energy_difference_eV": float(np.abs(together - energies).max()),
        "cpu_seconds": {"all at once": seconds, "one by one": sum(s for _, s in alone)},
    }


if __name__ == "__main__":
    main()
