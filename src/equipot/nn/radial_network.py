"""Weights of messages as learned functions of the distance, and tables of them for inference."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.kernels import PairWeights, Table, TabulatedWeights, interpolate, places
from equipot.nn.dense import enveloped
from equipot.tensor.product import linear

Weights = Float[Tensor, "edges paths channels"] | TabulatedWeights | PairWeights
FEWEST_KNOTS, MOST_KNOTS = 32, 8192


def values(weights: Weights) -> Float[Tensor, "edges paths channels"]:
    """The weights as numbers, whatever they are kept as."""
    return weights if isinstance(weights, Tensor) else weights.values()


class Distances:
    """Lengths of the edges; their radial basis and cutoff function, computed if somebody asks."""

    def __init__(
        self,
        r: Float[Tensor, " edges"],
        radial: Callable[[Tensor], Tensor],
        envelope: Callable[[Tensor], Tensor],
    ) -> None:
        self.r, self._radial, self._envelope = r, radial, envelope
        self._reverse: Tensor | None = None  # of every edge, the mirrored one

    def mirrored(self, batch: AtomicBatch) -> "Distances":
        """The same, which know that an edge and its mirrored one are equally long."""
        # with vectors of edges, the gradient by each of them is asked for: what they share must not be one's alone
        if batch.halo is None and batch.edge_vectors is None:
            self._reverse = batch.reverse
        return self

    @cached_property
    def pairs(self) -> "tuple[Distances, Int[Tensor, ' edges']] | None":
        """Of one edge of every mirrored two, and the place of every edge in its pair; None where that is not known."""
        if self._reverse is None:
            return None
        place, first = places(self._reverse)
        return Distances(self.r[first], self._radial, self._envelope), place

    @cached_property
    def radial(self) -> Float[Tensor, "edges num_radial"]:
        """The basis as it is."""
        return self._radial(self.r)

    @cached_property
    def cut(self) -> Float[Tensor, " edges"]:
        """The cutoff function."""
        return self._envelope(self.r)

    @cached_property
    def smooth(self) -> Float[Tensor, "edges num_radial"]:
        """The basis, brought to zero at the cutoff."""
        return self.radial * self.cut[:, None]


class RadialFunction(nn.Module, ABC):
    """W(r), zero at the cutoff: the weights of messages, for each of `paths`.

    After `tabulate` it is a cubic Hermite table, which the edge operation reads: for inference, since its parameters
    are not used any more.
    """

    table: Tensor | None  # [knots, 2, weights], see `interpolate`

    def _begin(self, paths: int) -> None:
        self.paths, self.spacing, self.error = paths, 0.0, 0.0
        self.register_buffer("table", None, persistent=False)

    def forward(self, at: Distances) -> Weights:
        """The weights of every edge."""
        if self.table is not None:
            return TabulatedWeights(Table(self.table, self.spacing, self.paths), at.r)
        if self.training and at.pairs is not None:
            # there is no table, and layers are most of a step: once for each two mirrored edges
            pairs, place = at.pairs
            rows, factor = self._factors(pairs)
            return PairWeights(rows.unflatten(-1, (self.paths, -1)), factor, place)
        return self._computed(at).unflatten(-1, (self.paths, -1))

    @abstractmethod
    def _computed(self, at: Distances) -> Float[Tensor, "edges weights"]:
        """What the table is made of."""

    @abstractmethod
    def _factors(self, at: Distances) -> tuple[Float[Tensor, "edges weights"], Float[Tensor, " edges"]]:
        """The same as a row and a number for every edge, whose product it is."""

    def tabulate(self, distances: Callable[[Tensor], Distances], cutoff: float, tolerance: float) -> float:
        """Make the table, with twice the knots until the largest error in between is within `tolerance`.

        Errors are relative to the largest weight, and returned; without success there is no table. In float64, or
        rounding bounds them from below.
        """
        intervals, like = FEWEST_KNOTS, next(self.parameters())
        while True:
            self.spacing = cutoff / intervals
            knots = self.spacing * torch.arange(intervals + 1, dtype=like.dtype, device=like.device)
            self.table = None
            values, slopes = self._with_slopes(distances, knots)
            between, _ = self._with_slopes(distances, knots[:-1] + 0.5 * self.spacing)
            self.table = torch.stack([values, self.spacing * slopes], dim=1)
            found = interpolate(self.table, knots[:-1] + 0.5 * self.spacing, self.spacing)
            self.error = float((found - between).abs().max() / values.abs().max().clamp(min=1e-30))
            if self.error <= tolerance:
                return self.error
            if 2 * intervals > MOST_KNOTS:
                self.table = None
                return self.error
            intervals *= 2

    def _with_slopes(self, distances: Callable[[Tensor], Distances], r: Tensor) -> tuple[Tensor, Tensor]:
        """W(r) and dW/dr, which is linear in a direction that is then taken off."""
        with torch.enable_grad():
            r = r.detach().requires_grad_(True)
            values = self._computed(distances(r))
            direction = torch.zeros_like(values, requires_grad=True)
            (along,) = torch.autograd.grad(values, r, direction, create_graph=True)
            (slopes,) = torch.autograd.grad(along.sum(), direction)
        return values.detach(), slopes.detach()


class RadialNetwork(RadialFunction, nn.Sequential):
    """Layers on a radial basis.

    `envelope="basis"`: of basis times cutoff function, through layers that are zero at zero; `"result"`: of the basis,
    and the result times the cutoff function.
    """

    def __init__(self, layers: nn.Sequential, paths: int, envelope: Literal["basis", "result"]) -> None:
        nn.Sequential.__init__(self, *layers)
        self.envelope = envelope
        self._begin(paths)

    def _computed(self, at: Distances) -> Float[Tensor, "edges weights"]:
        if self.envelope == "basis":
            return nn.Sequential.forward(self, at.smooth)
        *hidden, last = self
        if isinstance(last, nn.Linear):
            return enveloped(last, nn.Sequential(*hidden)(at.radial), at.cut)
        return nn.Sequential.forward(self, at.radial) * at.cut[:, None]

    def _factors(self, at: Distances) -> tuple[Float[Tensor, "edges weights"], Float[Tensor, " edges"]]:
        if self.envelope == "basis":
            return nn.Sequential.forward(self, at.smooth), torch.ones_like(at.r)
        return nn.Sequential.forward(self, at.radial), at.cut


class RadialLinear(RadialFunction, nn.Linear):
    """One linear layer on a radial basis, times the cutoff function; it starts as `dense` does."""

    def __init__(self, num_radial: int, paths: int, channels: int) -> None:
        nn.Linear.__init__(self, num_radial, paths * channels)
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)
        self._begin(paths)

    def _computed(self, at: Distances) -> Float[Tensor, "edges weights"]:
        return enveloped(self, at.radial, at.cut)

    def _factors(self, at: Distances) -> tuple[Float[Tensor, "edges weights"], Float[Tensor, " edges"]]:
        return linear(at.radial, self.weight, self.bias), at.cut
