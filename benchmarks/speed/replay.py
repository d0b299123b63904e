"""Energy and forces of one molecule as a potential computes them, and as calculators replay them, in turns.

    python benchmarks/speed/replay.py
    python benchmarks/speed/replay.py --cases water192 --threads 2

Hyper-parameters and structures as in peers.py; the fastest of the calls of either way, in one process.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "accuracy"), str(HERE / "sides")]

import records
from machine import stamp
from protocol import structures
from side_equipot import MODELS, Equipot

RESULT = HERE.parent / "results" / "speed_replay.json"
WAYS = ("frozen", "calculator")


def compared(model: str, case: str, seconds: float) -> dict[str, Any]:
    """Milliseconds of both ways, and the first evaluation of the second, which records."""
    torch.manual_seed(0)
    sides = {way: Equipot(model, way, case) for way in WAYS}
    batch = sides["frozen"].prepare(structures(case))
    calls = {way: partial(side.evaluate, batch) for way, side in sides.items()}
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    calls["frozen"]()  # compiles and checks programs, for both
    first = _seconds(calls["calculator"])
    while sum(map(sum, times.values())) < seconds:
        for way, call in calls.items():
            times[way].append(_seconds(call))
    refused = sides["calculator"].model.refused
    if refused is not None:
        raise RuntimeError(f"{model}, {case}: {refused}")
    found = {way: 1e3 * min(taken) for way, taken in times.items()}
    return {**found, "times_faster": found["frozen"] / found["calculator"], "first": 1e3 * first}


def _seconds(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=lambda t: t.split(","), default=list(MODELS))
    parser.add_argument("--cases", type=lambda t: t.split(","), default=["aspirin"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a model and case")
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    header = {
        "what": "Energy and forces, float32, CPU, ms: as a frozen potential computes them, and replayed"
    }
    for model in given.models:
        for case in given.cases:
            found = compared(model, case, given.seconds)
            print(
                f"{model}, {case}: {found['frozen']:.3g} -> {found['calculator']:.3g} ms,"
                f" x {found['times_faster']:.1f}, the first {found['first']:.0f} ms",
                flush=True,
            )
            entry = {"model": model, "case": case, "threads": given.threads, **found, **stamp()}
            records.add(given.result, header, f"{model}, {case}, {given.threads} threads", entry)
    return 0


if __name__ == "__main__":
    sys.exit(main())
