"""Time of a step in LAMMPS, by the number of processes; of the model alone, by the number of atoms; of messages.

    python benchmarks/scaling/run.py                    ranks 1, 2, 4; on two quiet cores some five minutes
    python benchmarks/scaling/run.py --smoke            a minute; writes nothing
    python benchmarks/scaling/model.py                  what follows for sizes that are not here

Strong scaling keeps the atoms, weak scaling the atoms of a process. Processes beyond the cores of the machine share
them, and are marked. Weights are random; see phosphate.py.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import model as prediction
import phosphate
from machine import stamp

from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.engines.lammps.ranks import Ranks, mpirun
from equipot.engines.settings import Dynamics
from equipot.potential import frozen
from equipot.potential.edge_gradients import edge_gradients

REPEATS = {1: (1, 1, 1), 2: (2, 1, 1), 4: (2, 2, 1), 8: (2, 2, 2)}  # of the cell of 192 atoms
DT = 2.0  # fs, as published


def kernel(sizes: list[int], seconds: float) -> list[dict[str, float]]:
    """Energies and edge gradients of the model alone: the fastest of calls that last so long together."""
    potential, rows = frozen(phosphate.allegro()), []
    for size in sizes:
        frame = Frame.from_atoms(phosphate.atoms(REPEATS[size]))
        batch = batch_of([frame], potential.elements, potential.cutoff)
        edge_gradients(potential, batch)
        times: list[float] = []
        while len(times) < 3 or sum(times) < seconds:
            start = time.perf_counter()
            edge_gradients(potential, batch)
            times.append(time.perf_counter() - start)
        rows.append({"atoms": batch.num_atoms, "edges": len(batch.senders), "seconds": min(times)})
    return rows


def steps(ranks: int, repeats: int, number: int) -> dict[str, Any]:
    """Seconds of a step in LAMMPS: the fastest of three runs of so many steps."""
    atoms = phosphate.atoms(REPEATS[repeats])
    settings = Dynamics(engine="lammps", dt=DT, ranks=ranks, equilibration=0.0)
    simulation = Ranks(phosphate.allegro(), atoms, settings)
    try:
        simulation.begin(settings.phases()[-1], atoms, {"begun": 0, "transferred": 0.0})
        times = []
        for _ in range(3):
            start = time.perf_counter()
            simulation.advance(number)
            times.append((time.perf_counter() - start) / number)
    finally:
        simulation.close()
    cores = os.cpu_count() or 1
    return {"ranks": ranks, "atoms": len(atoms), "seconds": min(times), "shared_cores": ranks > cores,
            "ns_per_day": prediction.nanoseconds_per_day(min(times), DT)}  # fmt: skip


def network() -> dict[str, float]:
    """Latency and bandwidth of a message between two processes of this machine."""
    command = [mpirun(), "-n", "2", sys.executable, str(HERE / "messages.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--ranks", default="1,2,4")
    options.add_argument("--steps", type=int, default=50)
    options.add_argument("--smoke", action="store_true")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    ranks = [1, 2] if chosen.smoke else [int(r) for r in chosen.ranks.split(",")]
    number, sizes = (2, [1, 2]) if chosen.smoke else (chosen.steps, list(REPEATS))
    result: dict[str, Any] = {
        **stamp(),
        "kernel": kernel(sizes, 0.1 if chosen.smoke else 5.0),
        "network": network(),
    }
    most = 1 if chosen.smoke else 4
    result["strong"] = [steps(r, most, number) for r in ranks]
    result["weak"] = [steps(r, r, number) for r in ranks]
    points = [(row["atoms"], row["seconds"]) for row in result["kernel"]]
    here = prediction.fitted(points, **result["network"])
    for row in (*result["strong"], *result["weak"]):
        row["predicted"] = prediction.step(row["atoms"], row["ranks"], here, prediction.Matter())
        print(row, flush=True)
    result["published"] = prediction.against_the_published(25e9, 5e-6)
    if not chosen.smoke:
        prediction.RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
