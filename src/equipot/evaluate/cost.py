"""What energies and forces will cost: seconds and memory of a system of any size, from two small ones."""

import gc
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from equipot.data.collate import batch_of
from equipot.potential import Potential, frozen
from equipot.testing.evaluation import usual_state
from equipot.testing.systems import liquid

SIDES = (8, 12)  # atoms along the edge of the cubes that are measured
SECONDS = 1.0  # at least, for each of them


@dataclass(frozen=True)
class Forecast:
    """Of one evaluation of energy and forces, as calculators do it; both are affine in the number of atoms."""

    atoms: int
    neighbors: float  # of an atom
    seconds: float
    bytes: float  # of tensors, the structure and the weights included
    measured: tuple[tuple[int, float, float], ...]  # atoms, seconds, bytes


def forecast(potential: Potential, atoms: int, neighbors: float | None = None) -> Forecast:
    """Time and memory at so many atoms, each with so many neighbors: by default, the mean of the training set.

    Measures two periodic systems of atoms at random with all elements of the model. ValueError for fewer than one atom.
    """
    if atoms < 1:
        raise ValueError(f"atoms={atoms}: a forecast needs at least one.")
    if "energy" not in potential.targets:
        raise ValueError(
            f"this model predicts {', '.join(potential.targets)}; a forecast is of energy and forces."
        )
    neighbors = potential.statistics.mean_neighbors if neighbors is None else neighbors
    if not neighbors > 0:
        raise ValueError(f"neighbors={neighbors:g}: expected more than none.")
    ready, points = frozen(potential), []
    device = next(ready.parameters()).device
    weights = sum(t.numel() * t.element_size() for t in (*ready.parameters(), *ready.buffers()))
    volume = 4 / 3 * math.pi * potential.cutoff**3 / neighbors
    for side in SIDES:
        frame = liquid(potential.elements, side, volume, **usual_state(potential))
        batch = batch_of([frame], potential.elements, potential.cutoff).to(device)
        held = sum(t.numel() * t.element_size() for t in vars(batch).values() if isinstance(t, torch.Tensor))

        def call(batch=batch) -> object:
            return ready(batch, forces=True, targets=("energy",))

        call()
        total = float(weights + held + peak_bytes(call, device))
        points.append((frame.num_atoms, _seconds(call, device), total))
    (n0, t0, b0), (n1, t1, b1) = points

    def line(y0: float, y1: float) -> float:
        slope = max(y1 - y0, 0.0) / (n1 - n0)
        return max(y1 + slope * (atoms - n1), min(y0, y1) * min(1.0, atoms / n0))

    return Forecast(atoms, neighbors, line(t0, t1), line(b0, b1), tuple(points))


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """The fastest call."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < SECONDS:
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times)


def peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """Most bytes of tensors that a call holds at the same time, beyond those that were there before."""
    gc.collect()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # its start and stop are nobody's business
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    assert record.profiler is not None and record.profiler.kineto_results is not None
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    changes = [int(e.nbytes()) for e in sorted(events, key=lambda e: e.start_ns())]  # type: ignore[attr-defined]
    return max(int(np.cumsum(changes).max()), 0) if changes else 0
