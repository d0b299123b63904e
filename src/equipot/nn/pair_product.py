"""Products of two features of the same atom or the same edge."""

from collections.abc import Collection
from math import sqrt

import torch
from torch import nn

from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features, side_by_side
from equipot.tensor.irreps import Irrep, Irreps, products


class PairProduct(nn.Module):
    """[x ⊗ y]_l3 row by row and channel by channel, every path (l1, l2, l3) kept apart.

    x has K channels of every irrep; y has K as well ("uuu"), or one, which meets them all ("uvu"). Of every irrep
    among `wanted` that some path makes, the result has K channels per path, side by side, in the order of
    `paths`; a linear layer mixes them. Weights on paths, where an architecture has them, are that layer's or
    multiply the result.
    """

    def __init__(
        self,
        irreps_x: Irreps,
        irreps_y: Irreps,
        wanted: Collection[Irrep],
        basis: str,
        *,
        even_only: bool = False,
    ) -> None:
        super().__init__()
        widths = {n for n, _ in irreps_x}, {n for n, _ in irreps_y}
        self.channels = max(widths[0])
        if len(widths[0]) != 1 or len(widths[1]) != 1 or not widths[1] <= {self.channels, 1}:
            raise ValueError(
                f"pair product: found '{irreps_x}' and '{irreps_y}'; expected the same number of channels of each "
                "irrep, or one channel of each in the second factor"
            )
        self.basis = get_basis(basis)
        self.paths = tuple(
            sorted(
                (
                    (a, b, c)
                    for a in irreps_x.labels
                    for b in irreps_y.labels
                    for c in products(a, b)
                    if c in wanted and not (even_only and (a.l + b.l - c.l) % 2)
                ),
                key=lambda path: path[2],
            )
        )
        self.reached: dict[tuple[Irrep, Irrep], list[Irrep]] = {}  # what a pair of irreps makes
        for a, b, c in self.paths:
            self.reached.setdefault((a, b), []).append(c)
        labels = list(dict.fromkeys(c for _, _, c in self.paths))
        self.irreps_out = Irreps(
            tuple((self.channels * sum(c == label for _, _, c in self.paths), label) for label in labels)
        )

    def forward(self, x: Features, y: Features) -> Features:
        """The products of the rows."""
        found = {}
        for (a, b), reached in self.reached.items():
            parts = self.basis.couple_to(x[a], a.l, y[b], b.l, [c.l for c in reached])
            found.update({(a, b, c): part for c, part in zip(reached, parts, strict=True)})
        return side_by_side([Features(Irreps(((self.channels, p[2]),)), (found[p],)) for p in self.paths])


class PathSum(nn.Module):
    """z = P^(−1/2) Σ_p w_p ∘ z_p over the P paths into an irrep, a weight per path and channel, w ∼ N(0, 1).

    The paths lie side by side, as `PairProduct` leaves them; channels do not mix, unlike in a linear layer.
    """

    def __init__(self, irreps_in: Irreps, channels: int) -> None:
        super().__init__()
        self.irreps_out = Irreps.uniform(channels, irreps_in.labels)
        self.weights = nn.ParameterDict(
            {str(irrep): torch.randn(n // channels, channels) for n, irrep in irreps_in}
        )

    def forward(self, products: Features) -> Features:
        """One tensor of each irrep and channel."""
        blocks = []
        for irrep in self.irreps_out.labels:
            weight = self.weights[str(irrep)]
            by_path = products[irrep].unflatten(-1, weight.shape)
            blocks.append((by_path * (weight / sqrt(weight.shape[0]))).sum(-2))
        return Features(self.irreps_out, tuple(blocks))
