"""Energies of a strictly local model, some atoms at a time: what a block of edges needs stays in the caches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from equipot.batch import ATOMIC_VECTORS, AtomicBatch, Halo

EDGES = 32768  # of a block: fewer make calls dear, more make memory dear (benchmarks/speed/scaling.py)

Energies = Callable[[AtomicBatch], Float[Tensor, " atoms"]]


def in_blocks(energies: Energies, batch: AtomicBatch, edges: int) -> Float[Tensor, " atoms"]:
    """E_i of every atom, at most so many edges at a time, if no atom has more; differentiable once, by the vectors.

    Exact, since E_i is a function of the edges i ← j and the elements of their ends. Every block makes its own
    derivatives at once, so that memory does not grow with the system.
    """
    return _InBlocks.apply(batch.vectors(), energies, batch, edges)


class _InBlocks(torch.autograd.Function):
    """∂E_i/∂r_ij of every edge, kept until it is known by which the energies are multiplied."""

    @staticmethod
    def forward(
        ctx: Any, vectors: Float[Tensor, "edges 3"], energies: Energies, batch: AtomicBatch, edges: int
    ) -> Float[Tensor, " atoms"]:
        wanted = ctx.needs_input_grad[0]
        gradient = torch.zeros_like(vectors) if wanted else vectors.new_empty(0)
        found = []
        for atoms, rows in _blocks(batch.row_pointer, edges):
            part = vectors[rows].detach().requires_grad_(wanted)
            with torch.set_grad_enabled(wanted):
                values = energies(_block(batch, atoms, rows, part))
                if wanted and len(part):
                    (gradient[rows],) = torch.autograd.grad(values.sum(), part)
            found.append(values.detach())
        ctx.save_for_backward(gradient, batch.receivers)
        return torch.cat(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Float[Tensor, " atoms"]) -> tuple[Tensor, None, None, None]:
        gradient, receivers = ctx.saved_tensors
        return gradient * factor[receivers, None], None, None, None


def _blocks(row_pointer: Int[Tensor, " rows"], edges: int) -> Iterator[tuple[slice, slice]]:
    """Atoms, and their edges; every atom in one block."""
    ends, first = row_pointer.tolist(), 0
    while first < len(ends) - 1:
        last = first + 1
        while last < len(ends) - 1 and ends[last + 1] - ends[first] <= edges:
            last += 1
        yield slice(first, last), slice(ends[first], ends[last])
        first = last


def _block(batch: AtomicBatch, atoms: slice, rows: slice, vectors: Float[Tensor, "edges 3"]) -> AtomicBatch:
    """Some atoms and all their edges; every neighbor is a copy, of which the element is known and nothing else."""
    given = {name: getattr(batch, name) for name in ATOMIC_VECTORS}
    species = batch.species if batch.halo is None else torch.cat([batch.species, batch.halo.species])
    return replace(
        batch,
        positions=batch.positions[atoms],
        species=batch.species[atoms],
        system=batch.system[atoms],
        senders=batch.senders[rows] + (atoms.stop - atoms.start),
        receivers=batch.receivers[rows] - atoms.start,
        shifts=batch.shifts[rows],
        row_pointer=batch.row_pointer[atoms.start : atoms.stop + 1] - rows.start,
        reverse=torch.full_like(batch.senders[rows], -1),
        edge_vectors=vectors,
        halo=_Elements(species),
        **{name: None if values is None else values[atoms] for name, values in given.items()},
    )


@dataclass(frozen=True, eq=False)
class _Elements:
    """A halo that knows elements and nothing else."""

    species: Int[Tensor, " copies"]

    def fill(self, values: Float[Tensor, "atoms *rest"]) -> Float[Tensor, "senders *rest"]:
        raise AssertionError("a strictly local model reads nothing of its neighbors but their elements")

    def to(self, device: torch.device | str) -> Halo:
        return replace(self, species=self.species.to(device))
