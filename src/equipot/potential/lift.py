"""Vectors for backbones that have only scalars."""

from math import sqrt

from torch import nn

from equipot.batch import AtomicBatch
from equipot.kernels import EdgeProduct, Path, edge_product
from equipot.nn.cutoff import envelope
from equipot.nn.dense import dense, mlp
from equipot.nn.radial import Bessel
from equipot.tensor.basis import Spherical
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irrep, Irreps

SCALAR, VECTOR = Irrep(0, 1), Irrep(1, -1)
TO_VECTORS = EdgeProduct(
    inputs=(SCALAR,), edge=(VECTOR,), outputs=(VECTOR,), paths=(Path(0, 0, 0, scale=1 / sqrt(3)),)
)


class Lift(nn.Module):
    """v_i = Σ_j W(r_ij) ∘ φ(s_j) r̂_ij: one equivariant message, so that an invariant model can feed tensorial heads."""

    def __init__(self, irreps: Irreps, cutoff: float, num_radial: int = 20) -> None:
        super().__init__()
        channels = irreps.channels("0e")
        self.cutoff, self.basis = cutoff, Spherical()
        self.irreps = Irreps.parse(f"{irreps} + {channels}x1o")
        self.phi = mlp(channels, channels, channels)
        self.radial = Bessel(num_radial, cutoff)
        self.filter = dense(num_radial, channels)

    def forward(self, features: Features, batch: AtomicBatch) -> Features:
        """The features with vectors beside them."""
        s = features.scalars
        vectors = batch.vectors().to(s.dtype)
        r = vectors.norm(dim=-1)
        weights = self.filter(self.radial(r)) * envelope("cosine", r, self.cutoff)[:, None]
        harmonics = self.basis.harmonics(vectors, 1)
        v = edge_product(TO_VECTORS, self.phi(s)[:, None], harmonics, weights[:, None], batch)
        return Features(irreps=self.irreps, blocks=(*features.blocks, v))
