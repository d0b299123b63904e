"""What energies and forces will cost: seconds and memory of a system of any size, from two small ones."""

import copy
import gc
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from equipot.data.collate import batch_of
from equipot.potential import Potential, frozen
from equipot.testing.evaluation import usual_state
from equipot.testing.systems import liquid

SIDES = (8, 12)  # atoms along the edge of the cubes that are measured
IN_BLOCKS = (1.1, 1.6)  # the same, in parts of the cube that is one block
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
    ready = frozen(potential)
    device = next(ready.parameters()).device
    points = []
    for number, held, call in _samples(ready, atoms, neighbors):
        call()
        points.append((number, _seconds(call, device), held + peak_bytes(call, device)))
    (n0, t0, b0), (n1, t1, b1) = points
    seconds, taken = _line(atoms, (n0, t0), (n1, t1)), _line(atoms, (n0, b0), (n1, b1))
    return Forecast(atoms, neighbors, seconds, taken, tuple(points))


def bytes_of(ready: Potential, atoms: int, neighbors: float) -> float:
    """The memory in the forecast, of a frozen potential that has an energy, without taking the time."""
    device = next(ready.parameters()).device
    points = []
    for number, held, call in _samples(ready, atoms, neighbors):
        call()
        points.append((number, held + peak_bytes(call, device)))
    return _line(atoms, *points)


def volume_per_atom(cutoff: float, neighbors: float) -> float:
    """Å³ of an atom in a liquid where atoms have so many neighbors."""
    return 4 / 3 * math.pi * cutoff**3 / neighbors


def _samples(
    ready: Potential, atoms: int, neighbors: float
) -> Iterator[tuple[int, float, Callable[[], object]]]:
    """Atoms of a periodic system, bytes of it and of the weights, and its evaluation; for each of the two sizes."""
    weights = sum(t.numel() * t.element_size() for t in (*ready.parameters(), *ready.buffers()))
    volume = volume_per_atom(ready.cutoff, neighbors)
    sides, one = SIDES, copy.copy(ready)
    if ready.block is not None and atoms * neighbors > ready.block:
        sides = [math.ceil(part * (ready.block / neighbors) ** (1 / 3)) for part in IN_BLOCKS]
    else:
        one.block = None  # what is this small is evaluated whole, and both samples are
    for side in sides:
        frame = liquid(ready.elements, side, volume, **usual_state(ready))
        batch = batch_of([frame], ready.elements, ready.cutoff).to(next(ready.parameters()).device)
        held = sum(t.numel() * t.element_size() for t in vars(batch).values() if isinstance(t, torch.Tensor))
        yield frame.num_atoms, float(weights + held), partial(one, batch, forces=True, targets=("energy",))


def _line(atoms: int, small: tuple[int, float], large: tuple[int, float]) -> float:
    """Through two measured sizes; below them in proportion, at most."""
    (n0, y0), (n1, y1) = small, large
    slope = max(y1 - y0, 0.0) / (n1 - n0)
    return max(y1 + slope * (atoms - n1), min(y0, y1) * min(1.0, atoms / n0))


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
