"""The part of a system that one process owns, as the batch of a model, with the exchange of features beyond it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function

from equipot.batch import AtomicBatch

#: (rows [senders, numbers], forward) -> rows: those of copies from their owners, or added to those of their owners
Exchange = Callable[[Tensor, bool], Tensor]


@dataclass(frozen=True, eq=False)
class Copies:
    """The halo of a process: the elements of its copies, and how features are exchanged."""

    species: Int[Tensor, " copies"]
    exchange: Exchange

    def fill(self, values: Float[Tensor, "atoms *rest"]) -> Float[Tensor, "senders *rest"]:
        """The values of the owned atoms and, behind them, those of the copies."""
        rest = values.shape[1:]
        flat = values.reshape(
            len(values), math.prod(rest)
        )  # not −1, which means nothing where there are no atoms
        return _Fill.apply(flat, len(self.species), self.exchange).reshape(-1, *rest)

    def to(self, device: torch.device | str) -> "Copies":
        """The halo on another device; features go back and forth."""
        return replace(self, species=self.species.to(device))


class _Fill(Function):
    """Forward to the copies; backward, from the copies to their owners."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, copies: int, exchange: Exchange) -> Tensor:
        """Rows of atoms and copies."""
        ctx.exchange, ctx.atoms = exchange, len(values)
        return exchange(torch.cat([values, values.new_zeros(copies, values.shape[1])]), True)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What all processes ask of the atoms that are owned here."""
        return ctx.exchange(gradient.contiguous(), False)[: ctx.atoms], None, None


def domain(
    species: Int[Tensor, " senders"],
    row_pointer: Int[Tensor, " rows"],
    receivers: Int[Tensor, " edges"],
    senders: Int[Tensor, " edges"],
    vectors: Float[Tensor, "edges 3"],
    exchange: Exchange,
) -> AtomicBatch:
    """The batch of the atoms that have a row of edges; copies are behind them in `species`."""
    atoms = row_pointer.shape[0] - 1
    return AtomicBatch(
        positions=vectors.new_zeros(atoms, 3),  # energies are functions of the edge vectors
        species=species[:atoms],
        system=torch.zeros_like(species[:atoms]),
        cell=vectors.new_zeros(1, 3, 3),
        pbc=torch.zeros(1, 3, dtype=torch.bool, device=vectors.device),
        senders=senders,
        receivers=receivers,
        shifts=senders.new_zeros(senders.shape[0], 3),
        row_pointer=row_pointer,
        reverse=torch.full_like(senders, -1),
        edge_vectors=vectors,
        halo=Copies(species[atoms:], exchange),
    )
