"""Neighbor densities: the sum that every message passing layer of a steerable model begins with."""

from collections.abc import Collection
from math import sqrt

from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.kernels import EdgeProduct, Path, edge_product
from equipot.nn.radial_network import Weights
from equipot.tensor.features import Features, concatenate_components
from equipot.tensor.irreps import SCALAR, Irrep, Irreps, products


class DensityProjection(nn.Module):
    """A_i = Σ_j Σ_paths W_p(ij) [h_j ⊗ Y_l2(r̂_ij)]_l3, channel by channel, every path (l1, l2, l3) kept apart.

    The features h_j have K channels of every irrep; without features (`irreps_in=None`, K channels of ones)
    the sum is that of the harmonics alone. Of every irrep among `wanted` that some path makes, the result has
    K channels per path, side by side; a linear layer mixes them. `shared_variance` divides each path by the square
    root of the number of paths into its irrep.
    """

    def __init__(
        self,
        irreps_in: Irreps | None,
        channels: int,
        l_max: int,
        wanted: Collection[Irrep],
        basis: str,
        *,
        even_only: bool = False,
        shared_variance: bool = False,
    ) -> None:
        super().__init__()
        inputs = (SCALAR,) if irreps_in is None else irreps_in.labels
        if irreps_in is not None and any(n != channels for n, _ in irreps_in):
            raise ValueError(
                f"density projection: found '{irreps_in}'; expected {channels} channels of each irrep"
            )
        edge = tuple(Irrep.natural(l) for l in range(l_max + 1))
        found = sorted(
            (c, n, m)
            for n, a in enumerate(inputs)
            for m, b in enumerate(edge)
            for c in products(a, b)
            if c in wanted and not (even_only and (a.l + b.l - c.l) % 2)
        )
        counts = {c: sum(c == other for other, _, _ in found) for c, _, _ in found}
        scales = {c: 1 / sqrt(n) if shared_variance else 1.0 for c, n in counts.items()}
        self.has_features = irreps_in is not None
        self.spec = EdgeProduct(
            inputs=inputs,
            edge=edge,
            outputs=tuple(c for c, _, _ in found),
            paths=tuple(Path(n, m, slot, scales[c]) for slot, (c, n, m) in enumerate(found)),
            basis=basis,
        )
        self.irreps_out = Irreps(tuple((n * channels, c) for c, n in counts.items()))
        self.num_paths, self.channels = len(found), channels

    def forward(
        self,
        features: Features | None,
        harmonics: Float[Tensor, "edges harmonics"],
        weights: Weights,
        batch: AtomicBatch,
    ) -> Features:
        """The densities around every atom; `harmonics` are packed, l = 0 … l_max."""
        x = concatenate_components(features) if features is not None else None
        packed = edge_product(self.spec, x, harmonics, weights, batch)
        return self._side_by_side(packed)

    def _side_by_side(self, packed: Float[Tensor, "atoms components channels"]) -> Features:
        """The slots of one irrep, one behind the other, become its channels."""
        blocks, dim = [], self.spec.tensor_basis.dim
        numbers = [n // self.channels for n, _ in self.irreps_out]
        widths = [n * dim(irrep.l) for n, irrep in zip(numbers, self.irreps_out.labels, strict=True)]
        for n, block in zip(numbers, packed.split(widths, dim=1), strict=True):
            blocks.append(block.unflatten(1, (n, -1)).transpose(1, 2).flatten(2) if n > 1 else block)
        return Features(self.irreps_out, tuple(blocks))
