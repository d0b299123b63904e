"""What is in a data set, in numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from equipot.data.frame import Frame
from equipot.data.neighbors import pairs
from equipot.data.read import Frames

#: frames whose distances are measured, spread evenly over the set
_MEASURED = 2000
_EXTENT = ("molecules", "wires", "slabs", "crystals")  # by number of periodic directions


@dataclass(frozen=True, kw_only=True)
class LabelSummary:
    """One label of a set, in internal units."""

    name: str
    key: str  # name in the file
    unit: str  # unit in the file
    assumed: bool  # nobody said that unit
    frames: int
    low: float
    high: float
    rms: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A data set in numbers."""

    path: str
    kind: str
    frames: int  # structures, isolated atoms left out
    isolated: tuple[str, ...]  # elements with an isolated atom
    elements: dict[str, int]  # symbol -> atoms
    atoms: tuple[int, float, int]  # fewest, median, most in a structure
    periodicity: dict[str, int]  # molecules, wires, slabs, crystals
    formulas: dict[str, int]  # the five most frequent
    groups: dict[str, int]
    labels: tuple[LabelSummary, ...]
    closest: float | None  # Å, None when no two atoms are within the cutoff
    closest_where: str
    cutoff: float  # Å
    mean_neighbors: float  # over atoms that have any


def summarize(frames: Frames, cutoff: float) -> Summary:
    """Count elements, sizes, labels and distances."""
    structures = frames.structures
    numbers = np.concatenate([f.numbers for f in structures])
    sizes = [f.num_atoms for f in structures]
    closest, where, neighbors = _distances(structures, cutoff)
    groups = Counter(f.group for f in structures if f.group is not None)
    return Summary(
        path=frames.path,
        kind=frames.kind,
        frames=len(structures),
        isolated=tuple(chemical_symbols[f.numbers[0]] for f in frames.isolated),
        elements={
            chemical_symbols[z]: int(n) for z, n in zip(*np.unique(numbers, return_counts=True), strict=True)
        },
        atoms=(min(sizes), float(np.median(sizes)), max(sizes)),
        periodicity=dict(Counter(_EXTENT[int(f.pbc.sum())] for f in structures)),
        formulas=dict(Counter(f.formula for f in structures).most_common(5)),
        groups=dict(groups.most_common(20)),
        labels=tuple(_label(frames, name) for name in frames.labels),
        closest=closest,
        closest_where=where,
        cutoff=cutoff,
        mean_neighbors=neighbors,
    )


def _label(frames: Frames, name: str) -> LabelSummary:
    key = next((f for f in frames.found if f.used_as == name), None)
    if key is None:  # a stress that was read as a virial
        key = next(f for f in frames.found if f.used_as == "virial")
    values = np.concatenate([f.labels[name].ravel() for f in frames.structures if name in f.labels])
    return LabelSummary(
        name=name,
        key=key.name,
        unit=key.unit or "as in the file",
        assumed=key.assumed,
        frames=frames.count(name),
        low=float(values.min()),
        high=float(values.max()),
        rms=float(np.sqrt(np.mean(values**2))),
    )


def _distances(structures: Sequence[Frame], cutoff: float) -> tuple[float | None, str, float]:
    """Smallest distance and where it is; mean number of neighbors."""
    closest, where = np.inf, ""
    total = having = 0
    for k in np.unique(np.linspace(0, len(structures) - 1, min(len(structures), _MEASURED)).astype(int)):
        f = structures[k]
        i, j, _, distance = pairs(f.positions, f.cell, f.pbc, cutoff)
        if not len(distance):
            continue
        total += 2 * len(distance)
        having += len(np.unique(np.concatenate([i, j])))
        m = distance.argmin()
        if distance[m] < closest:
            a, b = (f"{chemical_symbols[f.numbers[x]]} {x}" for x in (i[m], j[m]))
            closest, where = float(distance[m]), f"frame {f.index}, {a} and {b}"
    return (closest if np.isfinite(closest) else None), where, (total / having if having else 0.0)
