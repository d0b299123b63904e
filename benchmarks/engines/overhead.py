"""What a step costs besides the model: every engine with a model that computes nothing.

    python benchmarks/engines/overhead.py                  # all engines of this environment
    python benchmarks/engines/overhead.py --engines openmm --again

`run` is a step of `equipot md`: neighbor list, units and guard included, a sample every four steps. `alone` is the
engine with a function that returns zeros, as far as that can be asked for. Milliseconds of one thread, the fastest of
seven blocks; CPU time counts the process that asks alone. Entries that are in the result file are not made again.
"""

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path += [
    str(Path(__file__).parents[1]),
    str(Path(__file__).parents[1] / "accuracy"),
    str(Path(__file__).parent),
]
import records
from alone import ALONE
from machine import stamp
from null import fastest, null_potential, prepared, structure

from equipot.engines.catalog import ENGINES

RESULT = Path(__file__).parents[1] / "results" / "engines_overhead.json"
ATOMS = (21, 192)
ENSEMBLES = ("nve", "langevin", "npt")
STRIDE = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", type=lambda t: t.split(","), default=list(ENGINES))
    parser.add_argument("--again", action="store_true", help="measure what is there, too")
    parser.add_argument("--table", action="store_true", help="print what is there")
    parser.add_argument("--steps", type=int, default=200, help="of one block")
    arguments = parser.parse_args()
    if arguments.table:
        print("\n".join(table(records.load(RESULT)["runs"])))
        return
    for name in arguments.engines:
        if not ENGINES[name].installed:
            print(f"{name}: not installed")
            continue
        for atoms in ATOMS:
            key = f"{name}, {atoms} atoms"
            if key in records.load(RESULT)["runs"] and not arguments.again:
                continue
            try:
                found = measured(name, atoms, arguments.steps)
            except ValueError as error:
                print(f"{key}: {error}")
                continue
            made = stamp()
            made["versions"] |= {ENGINES[name].package: version(ENGINES[name].package)}
            records.add(
                RESULT, {"what": "ms of a step with a model that computes nothing"}, key, {**found, **made}
            )
            print(key, {n: f"{v['cpu_ms']:.3f} ms" for n, v in found["run"].items()}, flush=True)


def table(runs: dict[str, Any]) -> list[str]:
    """CPU milliseconds of velocity Verlet."""
    columns = [
        (21, "alone", "nve"),
        (21, "run", "nve"),
        (21, "run", "nve, 64 replicas"),
        (192, "alone", "nve"),
    ]
    columns.append((192, "run", "nve"))
    titles = ["21 atoms, alone", "21 atoms, run", "64 × 21 atoms, run", "192 atoms, alone", "192 atoms, run"]
    lines = [f"| engine | {' | '.join(titles)} |", "|---" * 6 + "|"]
    for name in ENGINES:
        entries = [runs.get(f"{name}, {a} atoms", {}).get(kind, {}).get(label) for a, kind, label in columns]
        cells = ["" if e is None else f"{e['cpu_ms']:.{3 if e['cpu_ms'] < 0.1 else 1}f}" for e in entries]
        lines += [f"| {name} | {' | '.join(cells)} |"] * any(cells)
    return lines


def measured(name: str, atoms: int, steps: int) -> dict[str, Any]:
    """By ensemble, and with replicas where the engine has them."""
    start, out = structure(atoms), {}
    for ensemble in ENSEMBLES:
        if ensemble not in ENGINES[name].ensembles or (ensemble == "npt" and not start.pbc.all()):
            continue
        for replicas in (1, 64) if ENGINES[name].replicas and atoms == 21 and ensemble != "npt" else (1,):
            label = ensemble if replicas == 1 else f"{ensemble}, {replicas} replicas"
            out[label] = fastest(stepping(name, start, ensemble, replicas), max(4, steps // replicas))
    return {"run": out, **({"alone": ALONE[name](start, steps)} if name in ALONE else {})}


def stepping(name: str, start: Any, ensemble: str, replicas: int) -> Callable[[int], None]:
    mover = prepared(null_potential(), name, start, replicas, ensemble=ensemble)

    def run(steps: int) -> None:
        for _ in range(steps // STRIDE):
            mover.advance(STRIDE, record=True)
            assert np.isfinite(mover.sample().energy).all()

    return run


if __name__ == "__main__":
    main()
