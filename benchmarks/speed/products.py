"""Products of float32 matrices by PyTorch's own way and by oneDNN, in turns, and whole models with either.

    python benchmarks/speed/products.py --threads 2

Sizes as they occur in training and inference; models, hyper-parameters and structures as in peers.py. The fastest of
the calls of either way, in one process.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "accuracy"), str(HERE / "sides")]

import records
from machine import stamp
from protocol import labels, structures
from side_equipot import Equipot

from equipot.tensor import product as products

RESULT = HERE.parent / "results" / "speed_products.json"
SIZES = ((216, 128, 384), (1344, 128, 384), (1767, 128, 128), (3534, 20, 384), (2048, 2048, 2048))
CASES = (
    *(("painn", "aspirin64"), ("schnet", "aspirin64"), ("tensornet", "aspirin64"), ("mace", "aspirin64")),
    *(("painn", "train"), ("schnet", "train"), ("tensornet", "train"), ("mace", "train")),
)


def in_turns(ways: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Milliseconds of the fastest call."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for call in ways.values():
        call()
    while sum(map(sum, times.values())) < seconds:
        for name, call in ways.items():
            for _ in range(5):
                began = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - began)
    return {name: 1e3 * min(found) for name, found in times.items()}


def matrices(rows: int, inner: int, columns: int) -> dict[str, Callable[[], object]]:
    """One product."""
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)
    return {"pytorch": lambda: a @ b, "onednn": lambda: products.Product.apply(a, b, None)}


def models(model: str, case: str) -> dict[str, Callable[[], object]]:
    """Energy and forces, or a training step."""
    torch.manual_seed(0)
    side = Equipot(model, "eager" if case == "train" else "calculator", case)
    frames = structures(case)
    batch = side.prepare(frames)
    known = labels(frames) if case == "train" else None

    def call() -> object:
        return side.evaluate(batch) if known is None else side.train_step(batch, *known)

    def pytorch() -> object:
        with patch.object(products, "_by_onednn", lambda a, b: False):
            return call()

    return {"pytorch": pytorch, "onednn": call}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each comparison")
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(products.status())
    header = {"what": "Products of matrices by PyTorch's own way and by oneDNN, float32, CPU, milliseconds"}
    ways = {" x ".join(map(str, size)): matrices(*size) for size in SIZES}
    for name, two in [*ways.items(), *((f"{m}, {c}", models(m, c)) for m, c in CASES)]:
        found: dict[str, Any] = in_turns(two, given.seconds)
        found |= {"gain": found["pytorch"] / found["onednn"], "threads": given.threads}
        print(f"{name}: {found['pytorch']:.3g} / {found['onednn']:.3g} ms = {found['gain']:.2f}", flush=True)
        records.add(given.result, header, name, {"used": products.status(), **stamp(), **found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
