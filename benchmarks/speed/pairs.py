"""A training step whose edges are computed one by one, once a pair and copied, or read by pairs: in turns.

    python benchmarks/speed/pairs.py --threads 2

Hyper-parameters and structures as in peers.py; milliseconds of the processor, the median of steps of each kind, in one
process.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "accuracy"), str(HERE / "sides")]

import records
from machine import stamp
from protocol import TRAINING, labels, structures
from side_equipot import Equipot

from equipot.kernels import edge
from equipot.nn.radial_network import Distances

RESULT = HERE.parent / "results" / "speed_pairs.json"
MODELS = ("painn", "schnet", "tensornet", "nequip", "mace", "ictp")


def nothing(*_: Any) -> None:
    """No program for weights of pairs."""


#: what is in the place of the usual way
WAYS: dict[str, tuple[Any, str, Callable[..., Any]] | None] = {
    "edges": (Distances, "mirrored", lambda distances, _: distances),
    "copied": (edge, "compiled_of_pairs", nothing),
    "pairs": None,
}


@contextmanager
def way(name: str) -> Iterator[None]:
    """Compute weights this way."""
    if (other := WAYS[name]) is None:
        yield
        return
    place, attribute, instead = other
    usual = getattr(place, attribute)
    setattr(place, attribute, instead)
    yield
    setattr(place, attribute, usual)


def compared(model: str, seconds: float) -> dict[str, float]:
    """Milliseconds of a step of each kind."""
    torch.manual_seed(0)
    side, frames = Equipot(model, "eager", TRAINING), structures(TRAINING)
    batch, targets = side.prepare(frames), labels(frames)
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for name in WAYS:  # compiles and checks programs
        with way(name):
            side.train_step(batch, *targets)
    while sum(map(sum, times.values())) < seconds:
        for name, taken in times.items():
            with way(name):
                start = time.process_time()
                side.train_step(batch, *targets)
                taken.append(time.process_time() - start)
    return {name: 1e3 * statistics.median(taken) for name, taken in times.items()}


def table(record: records.Record) -> list[str]:
    """Of the page."""
    rows = ["| | " + " | ".join(WAYS) + " | times as fast |", "|---" * (len(WAYS) + 2) + "|"]
    for entry in record["runs"].values():
        times = " | ".join(f"{entry[name]:.0f}" for name in WAYS)
        rows.append(f"| {entry['model']} | {times} | **{entry['edges'] / entry['pairs']:.2f}** |")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=lambda t: t.split(","), default=list(MODELS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a model")
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    header = {
        "what": "A training step, float32, CPU, ms of the processor: weights of edges, copied, of pairs"
    }
    for model in given.models:
        found = compared(model, given.seconds)
        print(f"{model}: " + ", ".join(f"{name} {value:.0f} ms" for name, value in found.items()), flush=True)
        entry = {"model": model, "threads": given.threads, **found, **stamp()}
        records.add(given.result, header, f"{model}, {given.threads} threads", entry)
    return 0


if __name__ == "__main__":
    sys.exit(main())
