"""The checks of the data doctor on structures: identical frames, atoms on top of each other, unusual cells."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from equipot.data.findings import Finding, some
from equipot.data.frame import Frame
from equipot.data.neighbors import near_images, pairs
from equipot.data.read import Frames
from equipot.data.splits import repeated, shared

#: atoms nearer than this fraction of the sum of their covalent radii are on top of each other
OVERLAP = 0.4


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two atoms on top of each other."""

    frame: Frame
    first: int
    second: int
    distance: float  # Å


def check_identical(frames: Sequence[Frame], test: Sequence[Frame] | None = None) -> Iterator[Finding]:
    """Row 10: frames that occur twice, or in training and test set."""
    found = repeated(frames) if test is None else shared(frames, test)
    if not found:
        return
    listing = some([f"{a.index} = {b.index}" for a, b in found])
    if test is None:
        title = f"{len(found)} frames are identical to an earlier one"
        evidence = f"{listing}. A random split would put copies into training and test set"
    else:
        title = f"{len(found)} of {len(test)} test frames are in the training set"
        evidence = f"training frame = test frame: {listing}. Their errors say nothing about new structures"
    files = dict.fromkeys(f.source for pair in found for f in pair)
    yield Finding(
        level="warning",
        row=10,
        title=title,
        where=" and ".join(files),
        evidence=evidence,
        fix="data.split=identical keeps copies together, data.split={by: group, key: NAME} whole groups"
        if test is None or len(files) == 1
        else "take them out of one of the files",
        settings={"split": "identical"} if test is None else {},
    )


def overlaps(frames: Sequence[Frame]) -> list[Overlap]:
    """Frames in which two atoms are on top of each other, each with its worst pair."""
    found = []
    for f in frames:
        i, j, _, distance = pairs(f.positions, f.cell, f.pbc, 2 * OVERLAP * covalent_radii[f.numbers].max())
        ratio = distance / (covalent_radii[f.numbers[i]] + covalent_radii[f.numbers[j]])
        if (ratio < OVERLAP).any():
            k = ratio.argmin()
            found.append(Overlap(frame=f, first=int(i[k]), second=int(j[k]), distance=float(distance[k])))
    return found


def without_overlaps(frames: Sequence[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Frames to be used, and those to be excluded because atoms are on top of each other."""
    excluded = [o.frame for o in overlaps(frames)]
    return [f for f in frames if not any(f is e for e in excluded)], excluded


def check_overlaps(frames: Frames) -> Iterator[Finding]:
    """Row 11: atoms on top of each other."""
    found = overlaps(frames.structures)
    if not found:
        return
    listing = some([_named_pair(o) for o in found])
    yield Finding(
        level="warning",
        row=11,
        title=f"atoms on top of each other in {len(found)} frames",
        where=f"{frames.path}, frame {some([str(o.frame.index) for o in found])}",
        evidence=f"{listing}: below {OVERLAP} of the sum of their covalent radii",
        fix="nothing: such frames are excluded and written to excluded.xyz; correct them to use them",
    )


def _named_pair(o: Overlap) -> str:
    a, b = (chemical_symbols[o.frame.numbers[k]] for k in (o.first, o.second))
    return f"frame {o.frame.index}: {a} {o.first} and {b} {o.second} at {o.distance:.3f} Å"


def check_cells(frames: Frames, cutoff: float) -> Iterator[Finding]:
    """Row 16: unusual cells, which are treated correctly."""
    kinds: dict[str, list[int]] = {}
    for f in frames.structures:
        for kind in _unusual(f, cutoff):
            kinds.setdefault(kind, []).append(f.index)
    for kind, where in kinds.items():
        yield Finding(
            level="note",
            row=16,
            title=f"{kind} in {len(where)} frames",
            where=f"{frames.path}, frame {some([str(k) for k in where])}",
            evidence="every periodic image within the cutoff counts as a neighbor, whatever the shape of the cell",
        )


def _unusual(f: Frame, cutoff: float) -> list[str]:
    found = []
    if f.pbc.any():
        if not near_images(f.positions, f.cell, f.pbc, cutoff).any():
            found.append("periodic box so wide that no atom sees an image")
        elif _thickness(f) < cutoff:
            found.append(f"cell thinner than the cutoff of {cutoff:g} Å")
        if f.num_atoms == 1:
            found.append("one-atom cell")
        if f.pbc.all() and np.linalg.det(f.cell) < 0:
            found.append("left-handed cell")
        if (np.abs(f.cell).max(axis=1) == 0).any():
            found.append("zero cell vector along an open direction")
    return found


def _thickness(f: Frame) -> float:
    """Smallest distance between opposite faces along the periodic directions, Å."""
    vectors = f.cell[f.pbc]
    return float(1 / np.linalg.norm(np.linalg.pinv(vectors), axis=0).max())
