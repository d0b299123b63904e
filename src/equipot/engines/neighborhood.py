"""The batch of a structure that moves: neighbors are searched again only when atoms have moved far."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from ase import Atoms

from equipot.batch import CONDITION_WORDS, AtomicBatch, AtomicVector, Condition
from equipot.data.atomic_vectors import vectors_of
from equipot.data.collate import batch_of
from equipot.data.conditions import refuse_unseen
from equipot.data.frame import Frame


class Neighborhood:
    """Edges of R equal copies of a system along a path.

    Edges are searched up to cutoff + skin, and are good until an atom has moved by skin/2 (Verlet, Phys.
    Rev. 159, 98 (1967)); those beyond the cutoff are left out of every batch, which is therefore the one of
    a fresh search: the same positions give the same numbers, whatever path led to them.
    """

    def __init__(
        self,
        elements: Sequence[int],
        cutoff: float,
        skin: float,
        replicas: int = 1,
        inputs: Sequence[AtomicVector] = (),
        conditions: Mapping[Condition, Sequence[float]] = MappingProxyType({}),
    ) -> None:
        self.elements, self.cutoff, self.skin, self.replicas = tuple(elements), cutoff, skin, replicas
        self.inputs = tuple(inputs)  # covariant inputs of the atoms, which may change from step to step
        self.conditions = conditions  # what must be known of the system, and the values that are
        self._reference: Atoms | None = None  # the atoms of the last search
        self._complete = False  # every pair of every molecule is in the list: it stays right for ever
        self._batch: AtomicBatch

    def batch(self, atoms: Atoms) -> AtomicBatch:
        """The batch of these atoms, one system per copy, on the CPU."""
        if self._reference is None or self._outdated(self._reference, atoms):
            self._search(atoms)
        moved = self._batch.with_positions(torch.tensor(atoms.positions))
        if self.inputs:
            vectors = vectors_of(atoms)
            found = {n: torch.tensor(vectors[n]) if n in vectors else None for n in self.inputs}
            moved = replace(moved, **found)
        return within(moved, self.cutoff)

    def _outdated(self, reference: Atoms, atoms: Atoms) -> bool:
        same = (
            np.array_equal(reference.numbers, atoms.numbers)
            and np.array_equal(reference.cell.array, atoms.cell.array)
            and np.array_equal(reference.pbc, atoms.pbc)
            and state(reference) == state(atoms)
        )
        if not same or self._complete:
            return not same
        moved = atoms.positions - reference.positions
        return float(np.einsum("ij,ij->i", moved, moved).max(initial=0.0)) > (self.skin / 2) ** 2

    def _search(self, atoms: Atoms) -> None:
        size = _size_of_copies(atoms, self.replicas)
        source = "replica" if self.replicas > 1 else "atoms"
        blocks = [atoms[k * size : (k + 1) * size] for k in range(self.replicas)]
        frames = [Frame.from_atoms(block, source, k) for k, block in enumerate(blocks)]
        for frame in frames:
            refuse_unseen(frame, self.conditions)
        self._batch = batch_of(frames, self.elements, self.cutoff + self.skin)
        self._complete = not atoms.pbc.any() and len(self._batch.senders) == self.replicas * size * (size - 1)
        self._reference = atoms.copy()


def state(atoms: Atoms) -> tuple[object, ...]:
    """Total charge and multiplicity, as ASE keeps them."""
    return tuple(atoms.info.get(name) for name in CONDITION_WORDS)


def within(batch: AtomicBatch, cutoff: float) -> AtomicBatch:
    """The batch without the edges longer than `cutoff`, its order and its mirrored edges intact."""
    inside = batch.vectors().square().sum(-1) <= cutoff**2
    inside = inside | inside[batch.reverse]  # round-off decides for both directions alike
    if bool(inside.all()):
        return batch
    place = torch.cumsum(inside, 0)  # one more than the new index of an edge that stays
    rows = torch.cat([place.new_zeros(1), place])
    return replace(
        batch,
        senders=batch.senders[inside],
        receivers=batch.receivers[inside],
        shifts=batch.shifts[inside],
        row_pointer=rows[batch.row_pointer],
        reverse=place[batch.reverse[inside]] - 1,
    )


def _size_of_copies(atoms: Atoms, replicas: int) -> int:
    size, rest = divmod(len(atoms), replicas)
    copies = atoms.numbers[: size * replicas].reshape(replicas, size)
    if size == 0 or rest or (copies != copies[0]).any():
        raise ValueError(
            f"{len(atoms)} atoms ({atoms.symbols}) are not {replicas} copies of one molecule. Give the copies"
            " one after another, with their atoms in the same order."
        )
    return size
