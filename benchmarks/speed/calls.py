"""How many calls energy and forces of one molecule, and a training step, are made of: what a small structure waits for.

    python benchmarks/speed/calls.py

Hyper-parameters and structures as in peers.py. Counted are PyTorch's operations that compute or copy, those that only
look at memory in another way, and compiled programs. The numbers are the same on every machine and under every load.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "accuracy"), str(HERE / "sides")]

import records
from machine import stamp
from protocol import TRAINING, labels, structures
from side_equipot import MODELS, Equipot

from equipot.kernels.cpu import edge, interpolation, polynomial

RESULT = HERE.parent / "results" / "speed_calls.json"
PROGRAMS = ((edge.Program, "call"), (interpolation, "_call"), (polynomial, "run"))


class Calls(TorchDispatchMode):
    """Counts operations of PyTorch while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returns = function._schema.returns
        looks = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
        self.found["views" if looks else "operations"] += 1
        return function(*args, **(kwargs or {}))


def counted(run: Callable[..., Any], found: Counter[str]) -> Callable[..., Any]:
    """The same function, whose calls are counted."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        found["programs"] += 1
        return run(*args, **kwargs)

    return wrapper


def calls(model: str, case: str, programs: Counter[str]) -> dict[str, int]:
    """Of the third evaluation: what happens once has happened."""
    side = Equipot(model, "eager" if case == TRAINING else "frozen", case)
    frames = structures(case)
    batch = side.prepare(frames)
    step = partial(side.train_step, batch, *labels(frames)) if case == TRAINING else None
    evaluate = step or partial(side.evaluate, batch)
    evaluate()
    evaluate()
    programs.clear()
    with Calls() as mode:
        evaluate()
    return dict(sorted((mode.found + programs).items()))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=lambda t: t.split(","), default=list(MODELS))
    parser.add_argument("--cases", type=lambda t: t.split(","), default=["aspirin", TRAINING])
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    torch.set_num_threads(1)
    programs: Counter[str] = Counter()
    for place, name in PROGRAMS:
        setattr(place, name, counted(getattr(place, name), programs))
    header = {"what": "Calls of energy and forces, and of a training step, float32, CPU"}
    for model in given.models:
        for case in given.cases:
            found, about = calls(model, case, programs), stamp()
            print(f"{model}, {case}: {found}", flush=True)
            key = f"{model}, {case}, {about['commit'][:7]}"
            records.add(given.result, header, key, {"model": model, "case": case, **found, **about})
    return 0


if __name__ == "__main__":
    sys.exit(main())
