"""Directed neighbor pairs within a cutoff, through every periodic image."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from vesin import NeighborList

#: Å; two atoms nearer than this have no direction between them
COINCIDENT = 1e-4
_FARTHEST = 1e6  # cutoffs between two atoms; a grid of cells over such a distance overflows in the search


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbors:
    """Edges i ← j with r_ij = r_j + shift · cell − r_i, sorted by receiver, then sender, then shift."""

    senders: Int[np.ndarray, " edges"]  # neighbor j
    receivers: Int[np.ndarray, " edges"]  # centre i
    shifts: Int[np.ndarray, "edges 3"]  # lattice translations of j
    row_pointer: Int[np.ndarray, " rows"]  # edges of atom i: row_pointer[i] ... row_pointer[i + 1]
    reverse: Int[np.ndarray, " edges"]  # index of the edge j ← i with the opposite shift


def neighbor_list(
    positions: Float[np.ndarray, "atoms 3"],
    cell: Float[np.ndarray, "3 3"],
    pbc: Bool[np.ndarray, "3"],
    cutoff: float,
) -> Neighbors:
    """All pairs within `cutoff` (Å) in a molecule, wire, slab or crystal.

    Every image counts: an atom is its own neighbor in a cell thinner than the cutoff. Cells may be
    triclinic or left-handed, atoms may lie outside of them.

    Raises ValueError for atoms on top of each other, numbers that are not finite, and periodic
    directions without an independent cell vector.
    """
    i, j, shift, distance = pairs(positions, cell, pbc, cutoff)
    _refuse_coincident(i, j, distance)
    # One direction of each pair is searched and mirrored, so that an edge exactly at the cutoff
    # never loses its reverse to round-off.
    receivers, senders = np.concatenate([i, j]), np.concatenate([j, i])
    shifts = np.concatenate([shift, -shift])
    order = np.lexsort((shifts[:, 2], shifts[:, 1], shifts[:, 0], senders, receivers))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    counts = np.bincount(receivers, minlength=len(positions))
    return Neighbors(
        senders=senders[order],
        receivers=receivers[order],
        shifts=shifts[order],
        row_pointer=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        reverse=place[(order + len(i)) % max(len(order), 1)],
    )


def pairs(
    positions: Float[np.ndarray, "atoms 3"],
    cell: Float[np.ndarray, "3 3"],
    pbc: Bool[np.ndarray, "3"],
    cutoff: float,
) -> tuple[
    Int[np.ndarray, " pairs"],
    Int[np.ndarray, " pairs"],
    Int[np.ndarray, "pairs 3"],
    Float[np.ndarray, " pairs"],
]:
    """Every pair within `cutoff` once, coincident atoms too: i, j, lattice translation of j, distance (Å)."""
    _check(positions, cell, pbc, cutoff)
    near = near_images(positions, cell, pbc, cutoff)
    search = NeighborList(cutoff=cutoff, full_list=False)
    i, j, shift, distance = search.compute(positions, completed_cell(cell, near), near, "ijSd")
    return i.astype(np.int64), j.astype(np.int64), shift.astype(np.int64), distance


def near_images(
    positions: Float[np.ndarray, "atoms 3"],
    cell: Float[np.ndarray, "3 3"],
    pbc: Bool[np.ndarray, "3"],
    cutoff: float,
) -> Bool[np.ndarray, "3"]:
    """Periodic directions along which an image can come within `cutoff`.

    Along the others the atoms and their next image are parted by a wider gap: a molecule in a large
    box has no neighbors through its walls, and a search that knows so is a thousand times faster.
    """
    inverse = np.linalg.inv(completed_cell(cell, pbc))
    thickness = 1 / np.linalg.norm(inverse, axis=0)
    extent = np.ptp(positions @ inverse, axis=0) * thickness
    return pbc & (thickness - extent <= cutoff)


def _check(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float) -> None:
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise ValueError(f"cutoff = {cutoff}: expected a positive length in Å.")
    broken = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(broken):
        raise ValueError(f"position of atom {broken[0]} is not a finite number: {positions[broken[0]]}.")
    spread = np.ptp(positions, axis=0).max(initial=0.0)
    if not pbc.all() and spread > _FARTHEST * cutoff:
        atom = int(np.abs(positions - np.median(positions, axis=0)).max(axis=1).argmax())
        raise ValueError(
            f"atom {atom} is {spread:.1e} Å away from the others: {positions[atom]}. Such a structure is broken."
        )
    if not np.isfinite(cell).all():
        raise ValueError(f"cell is not finite: {cell.tolist()}.")
    periodic = cell[pbc]
    lengths = np.linalg.norm(periodic, axis=1)
    if (lengths == 0).any():
        missing = np.flatnonzero(pbc)[lengths == 0]
        raise ValueError(
            f"periodic along cell vector {missing[0]}, which is zero. Give the vector or pbc = False there."
        )
    if len(periodic) and np.linalg.svd(periodic / lengths[:, None], compute_uv=False)[-1] < 1e-8:
        raise ValueError(f"periodic cell vectors are linearly dependent: {periodic.tolist()}.")


def completed_cell(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """The cell with the vectors of its open directions replaced by orthonormal ones.

    An open direction has no translation, whatever vector a file keeps there: zero, or parallel to
    a periodic one.
    """
    if pbc.all():
        return cell
    box = np.zeros((3, 3))
    box[pbc] = cell[pbc]
    _, _, directions = np.linalg.svd(box[pbc]) if pbc.any() else (None, None, np.eye(3))
    box[~pbc] = directions[pbc.sum() :]
    return box


def _refuse_coincident(i: np.ndarray, j: np.ndarray, distance: np.ndarray) -> None:
    near = np.flatnonzero(distance < COINCIDENT)
    if len(near):
        a, b = i[near[0]], j[near[0]]
        raise ValueError(f"atoms {a} and {b} are on top of each other ({distance[near[0]]:.1e} Å).")
