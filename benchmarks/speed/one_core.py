"""Energy and forces on one core at 40 neighbors, in microseconds of processor time an atom, against the goals.

    python benchmarks/speed/one_core.py
    python benchmarks/speed/one_core.py --table

Frozen models, float32, one thread, neighbor lists made before; water, with the cutoff at which its atoms have 40
neighbors. What is counted is the time of the processor that runs the call, not that of the clock on the wall: a busy
machine distorts it through its caches and frequency only. The fastest of several calls. Each model runs in a process of
its own; one that is in the result file is measured again only with --again.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "accuracy"), str(HERE / "sides")]

import records
from machine import stamp

RESULT = HERE.parent / "results" / "speed_one_core.json"
GOALS = {"painn": 115.0, "mace": 300.0, "nequip": 350.0, "allegro": 600.0}  # µs an atom
WIDER = {"nequip": {"channels": 64}}  # what differs from the hyper-parameters of peers.py
NEIGHBORS = 40.0
REPEATS = (1, 2)  # of a box of 192 atoms, along each axis


def cutoff_for(atoms: Any, neighbors: float) -> float:
    """Å, between the last neighbor that counts and the next."""
    from equipot.data.neighbors import neighbor_list

    cell, pbc = np.array(atoms.cell), np.array(atoms.pbc)
    found = neighbor_list(atoms.positions, cell, pbc, 6.0)
    vectors = atoms.positions[found.senders] + found.shifts @ cell - atoms.positions[found.receivers]
    distances = np.sort(np.linalg.norm(vectors, axis=1))
    last = round(neighbors * len(atoms) / 2) * 2  # a pair counts for both of its atoms
    return float(distances[last - 1 : last + 1].mean())


def course(name: str, seconds: float, repeats: list[int]) -> dict[str, Any]:
    """All sizes of one model, in this process."""
    import side_equipot
    import torch
    from protocol import MEAN_NEIGHBORS, structures

    from equipot.config import parse
    from equipot.data.collate import batch_of
    from equipot.data.frame import Frame
    from equipot.potential import Potential, PotentialConfig, Replayed, frozen
    from equipot.statistics import Statistics

    torch.set_num_threads(1)
    water, elements = structures("water192")[0], (1, 6, 7, 8)
    model = {"name": name, **side_equipot.MODELS[name], **WIDER.get(name, {})}
    model["cutoff"] = cutoff_for(water, NEIGHBORS)
    known = Statistics(elements=elements, mean_neighbors=MEAN_NEIGHBORS, reference_energies=(0.0,) * 4)
    potential = Replayed(frozen(Potential(parse(PotentialConfig, {"model": model}, "benchmark"), known)))
    points = []
    for n in repeats:
        batch = batch_of([Frame.from_atoms(water.repeat(n))], elements, model["cutoff"])
        potential(batch, forces=True)
        points.append(
            {"atoms": 192 * n**3, "edges": len(batch.senders), **_fastest(potential, batch, seconds)}
        )
    return {"model": model, "points": points}


def _fastest(potential: Any, batch: Any, seconds: float) -> dict[str, float]:
    """Of at least three calls: microseconds an atom of the processor, and by the clock."""
    processor, wall = [], []
    while len(wall) < 3 or sum(wall) < seconds:
        clock, start = time.process_time(), time.perf_counter()
        potential(batch, forces=True)
        processor.append(time.process_time() - clock)
        wall.append(time.perf_counter() - start)
    each = 1e6 / batch.num_atoms
    return {"microseconds": each * min(processor), "by_the_clock": each * min(wall), "calls": len(wall)}


def table(record: records.Record) -> list[str]:
    """Rows of Markdown."""
    sizes = [192 * n**3 for n in REPEATS]
    lines = [
        "| µs an atom | goal | " + " | ".join(f"{n:,} atoms" for n in sizes) + " |",
        "|---" * (2 + len(sizes)) + "|",
    ]
    for name in (n for n in GOALS if n in record["runs"]):
        found = {p["atoms"]: p["microseconds"] for p in record["runs"][name]["points"]}
        cells = [f"{found[n]:.0f}" if n in found else "" for n in sizes]
        lines.append(f"| {name} | {GOALS[name]:.0f} | {' | '.join(cells)} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=lambda t: t.split(","), default=list(GOALS))
    parser.add_argument("--seconds", type=float, default=20.0, help="of a size, at least three calls")
    parser.add_argument(
        "--repeats", type=lambda t: [int(n) for n in t.split(",")], default=list(REPEATS), help="of the box"
    )
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--course", help="measure this model in this process and print JSON")
    parser.add_argument("--table", action="store_true", help="print the table of the result file and stop")
    given = parser.parse_args()
    if given.course:
        print(json.dumps(course(given.course, given.seconds, given.repeats)))
        return 0
    for name in [] if given.table else given.models:
        if name in records.load(given.result)["runs"] and not given.again:
            print(f"{name}: there already.", flush=True)
            continue
        options = ["--seconds", str(given.seconds), "--repeats", ",".join(map(str, given.repeats))]
        command = [sys.executable, __file__, "--course", name, *options]
        made = {"load_at_start": os.getloadavg()[0], **stamp()}
        one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **one}
        )
        header = {"what": "Energy and forces, frozen, float32, one CPU core, processor time, 40 neighbors"}
        entry = {**json.loads(done.stdout.splitlines()[-1]), **made}
        entry["machine"] = {**entry["machine"], "threads": 1}
        records.add(given.result, header, name, entry)
        print(name, [f"{p['microseconds']:.0f}" for p in entry["points"]], flush=True)
    print("\n".join(table(records.load(given.result))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
