"""From the tensors of many systems that move, and change their cells, to a batch; TorchSim itself is not needed."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.data.collate import Graph, collate, graph
from equipot.data.conditions import refuse_unseen
from equipot.data.frame import Frame
from equipot.engines.neighborhood import within
from equipot.potential import Potential


@dataclass(frozen=True, kw_only=True)
class Systems:
    """Systems one after another, their cells as rows."""

    positions: Float[Tensor, "atoms 3"]  # Å
    cell: Float[Tensor, "systems 3 3"]  # Å
    pbc: Bool[Tensor, "3"]  # of all
    numbers: Int[Tensor, " atoms"]
    system: Int[Tensor, " atoms"]  # ascending
    charge: Float[Tensor, " systems"] | None = None
    spin: Float[Tensor, " systems"] | None = None

    def alike(self, other: "Systems") -> bool:
        """Whether these are the same systems, which may have moved."""
        names = ("pbc", "numbers", "system", "charge", "spin")
        return self.cell.shape == other.cell.shape and all(
            a is b or (a is not None and b is not None and torch.equal(a, b))
            for a, b in ((getattr(self, name), getattr(other, name)) for name in names)
        )


class Batching:
    """Batches of systems along their ways; each system is searched again when its own list has become too old.

    Edges are searched up to R = cutoff + skin. A cell that deforms by F carries its atoms along, r → r F, and each has
    moved by u beyond that. A pair that was not listed is then farther apart than σ_min(F) R − 2 max |u|: while this is
    not less than the cutoff, the list is complete. Edges beyond the cutoff are left out of every batch.
    """

    def __init__(self, potential: Potential, skin: float = 0.5) -> None:
        self.elements, self.cutoff, self.skin = potential.elements, potential.cutoff, skin
        self.conditions = potential.conditions_read
        self.searches = 0  # of single systems, so far
        self._graphs: dict[int, Graph] = {}
        self._searched: Systems | None = None
        self._whole = False  # every pair of every molecule is listed: so it stays
        self._batch: AtomicBatch

    def batch(self, systems: Systems) -> AtomicBatch:
        """The batch of these systems, where they are; float64."""
        old = self._outdated(systems)
        if bool(old.any()):
            self._search(systems, old)
        return within(
            replace(self._batch, positions=systems.positions.double(), cell=systems.cell.double()),
            self.cutoff,
        )

    def _outdated(self, now: Systems) -> Bool[Tensor, " systems"]:
        """Which systems have an incomplete list."""
        then, count = self._searched, now.cell.shape[0]
        if then is None or not then.alike(now):
            return torch.ones(count, dtype=torch.bool)
        positions, cell = now.positions.double(), now.cell.double()
        if torch.equal(cell, then.cell):
            moved = torch.linalg.vector_norm(positions - then.positions, dim=1)
            farthest = float(moved.max())
            if 2 * farthest <= self.skin or (self._whole and math.isfinite(farthest)):
                return torch.zeros(count, dtype=torch.bool)
            smallest = torch.ones(count, dtype=cell.dtype, device=cell.device)
        elif bool(now.pbc.all()):
            change = torch.linalg.solve(then.cell, cell)
            smallest = torch.linalg.svdvals(change)[:, -1]
            carried = torch.einsum("ai,aij->aj", then.positions, change[now.system])
            moved = torch.linalg.vector_norm(positions - carried, dim=1)
        else:
            return torch.ones(count, dtype=torch.bool)
        largest = torch.zeros_like(smallest).scatter_reduce(0, now.system, moved, "amax")
        complete = smallest * (self.cutoff + self.skin) - 2 * largest >= self.cutoff
        return ~complete.cpu()  # NaN is not complete, and the search names it

    def _search(self, now: Systems, old: Bool[Tensor, " systems"]) -> None:
        atoms = torch.bincount(now.system, minlength=len(old)).tolist()
        positions, numbers = now.positions.double().cpu().split(atoms), now.numbers.cpu().split(atoms)
        for k in old.nonzero().flatten().tolist():
            frame = Frame(
                numbers=numbers[k].numpy().astype(np.int64),
                positions=positions[k].numpy(),
                cell=now.cell[k].double().cpu().numpy(),
                pbc=now.pbc.cpu().numpy(),
                charge=None if now.charge is None else float(now.charge[k]),
                spin=None if now.spin is None else float(now.spin[k]),
                source="systems",
                index=k,
            )
            refuse_unseen(frame, self.conditions)
            self._graphs[k] = graph(frame, self.cutoff + self.skin)
        self._graphs = {k: self._graphs[k] for k in range(len(old))}
        self.searches += int(old.sum())
        self._whole = not bool(now.pbc.any()) and all(
            g.num_edges == g.num_atoms * (g.num_atoms - 1) for g in self._graphs.values()
        )
        self._batch = collate(list(self._graphs.values()), self.elements).to(now.positions.device)
        self._searched = _renewed(self._searched, now, old.to(now.positions.device))


def _renewed(then: Systems | None, now: Systems, old: Bool[Tensor, " systems"]) -> Systems:
    """Where every system was when it was searched."""
    positions, cell = now.positions.double().clone(), now.cell.double().clone()
    if then is not None and not bool(old.all()):
        positions = torch.where(old[now.system, None], positions, then.positions)
        cell = torch.where(old[:, None, None], cell, then.cell)
    return replace(now, positions=positions, cell=cell)
