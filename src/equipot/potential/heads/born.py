"""Born effective charges that obey the acoustic sum rule."""

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.potential.heads.charges import total_charge
from equipot.potential.heads.irreps import Component
from equipot.potential.heads.tensor import SPHERICAL, CartesianTensor
from equipot.potential.per_element import PerElement
from equipot.potential.targets import TensorTarget
from equipot.statistics import TargetStatistics
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irreps
from equipot.tensor.matrix import to_matrices, to_parts


class BornCharges(nn.Module):
    """Z_i = z_i 1 + Σ_l σ_l T_i^l, then shifted alike on all atoms so that Σ_i Z_i = Q 1.

    z: mean of the element; T^l: isotropic, antisymmetric and symmetric traceless part of a learned matrix. The sum rule
    says that a translation of all atoms moves the total charge (Pick, Cohen, Martin, Phys. Rev. B 1, 910 (1970), Eq.
    3.38); the uniform shift is what codes of density-functional perturbation theory do to theirs.
    """

    def __init__(self, irreps: Irreps, statistics: TargetStatistics, charge: float | None) -> None:
        super().__init__()
        one = TargetStatistics(baseline=statistics.baseline, scales=(1.0,))
        self.matrix = CartesianTensor(irreps, TensorTarget(order=2, per="atom"), one)
        # products of vectors vanish at symmetric sites, where scalars do not
        bare = self.matrix.direct is None
        self.trace = Component(irreps, SCALAR, 1, self.matrix.target.rank) if bare else None
        self.scales = statistics.scales
        self.baseline = PerElement(statistics.baseline)
        self.charge = charge

    def forward(self, features: Features, batch: AtomicBatch) -> Float[Tensor, "atoms 3 3"]:
        """Born effective charges, e, the index of the dipole first."""
        raw = self.unconstrained(features, batch)
        excess = self.excess(raw, batch) / batch.atoms_per_system()[:, None, None]
        return raw - excess[batch.system]

    def unconstrained(self, features: Features, batch: AtomicBatch) -> Float[Tensor, "atoms 3 3"]:
        """As learned, before the sum rule."""
        matrix = self.matrix(features, batch)
        if self.trace is not None:
            matrix = matrix + self.trace(features)[..., None].double() * _one(matrix) / sqrt(3)
        parts = to_parts(matrix.unsqueeze(-1), SPHERICAL).split((1, 3, 5), dim=1)
        scaled = torch.cat([scale * part for scale, part in zip(self.scales, parts, strict=True)], dim=1)
        learned = to_matrices(scaled, SPHERICAL).squeeze(-1)
        return learned + self.baseline(batch.species)[:, None, None] * _one(learned)

    def excess(self, raw: Float[Tensor, "atoms 3 3"], batch: AtomicBatch) -> Float[Tensor, "systems 3 3"]:
        """Σ_i Z_i − Q 1, e: what breaks the sum rule."""
        total = total_charge(batch, self.charge)[:, None, None] * _one(raw)
        return batch.sum_over_systems(raw) - total


def _one(like: Float[Tensor, "... 3 3"]) -> Float[Tensor, "3 3"]:
    return torch.eye(3, dtype=like.dtype, device=like.device)
