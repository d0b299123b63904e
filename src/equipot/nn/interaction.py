"""Two-body density of an atom in the environment of its neighbors: the first half of a MACE or ICTP layer."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.kernels import edge_sum
from equipot.nn.dense import NormalizedLinear, normalized_mlp
from equipot.nn.density import DensityProjection
from equipot.nn.radial_network import Distances, RadialNetwork
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irrep, Irreps
from equipot.tensor.linear import IrrepsLinear

NeighborNorm = Literal["mean", "density"]


class Interaction(nn.Module):
    """A_i = N^(−1) (Σ_j R(r_ij) [(h_j W)_l1 ⊗ Y_l2(r̂_ij)]_l3) W',   l3 ≤ l_max, even l1 + l2 − l3.

    N is the mean number of neighbors or, for `density`, 1 + Σ_j tanh(d(r_ij)²) of the atom itself, d linear in the
    radial basis. `shared_variance`: every path into l3 is divided by the root of their number.
    """

    def __init__(
        self,
        irreps_in: Irreps,
        channels_out: int,
        l_max: int,
        radial_sizes: tuple[int, ...],
        mean_neighbors: float,
        basis: str,
        *,
        neighbor_norm: NeighborNorm = "mean",
        shared_variance: bool = False,
    ) -> None:
        super().__init__()
        channels, natural = irreps_in[0][0], [Irrep.natural(l) for l in range(l_max + 1)]
        self.before = IrrepsLinear(irreps_in, irreps_in)
        self.density = DensityProjection(
            irreps_in, channels, l_max, natural, basis, even_only=True, shared_variance=shared_variance
        )
        per_neighbor = 1 / mean_neighbors if neighbor_norm == "mean" else 1.0
        layers = normalized_mlp(*radial_sizes, self.density.num_paths * channels, scale=per_neighbor)
        self.radial = RadialNetwork(layers, self.density.num_paths, envelope="basis")
        self.after = IrrepsLinear(self.density.irreps_out, Irreps.uniform(channels_out, natural))
        self.crowding = NormalizedLinear(radial_sizes[0], 1) if neighbor_norm == "density" else None
        self.irreps_out = self.after.irreps_out

    def forward(
        self,
        h: Features,
        distances: Distances,
        harmonics: Float[Tensor, "edges harmonics"],
        batch: AtomicBatch,
    ) -> Features:
        """The density of every atom, `irreps_out`."""
        a = self.after(self.density(self.before(h), harmonics, self.radial(distances), batch))
        if self.crowding is None:
            return a
        crowd = 1 + edge_sum(torch.tanh(self.crowding(distances.smooth).square()), batch)
        return Features(a.irreps, tuple(block / crowd[:, None] for block in a.blocks))
