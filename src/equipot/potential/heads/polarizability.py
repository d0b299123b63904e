"""Polarizability from isotropic atomic parts and products of vectors."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.potential.heads.gated import ScalarsAndVectors
from equipot.potential.origin import CenteredPositions, refuse_periodic
from equipot.potential.per_element import PerElement
from equipot.potential.targets import PolarizabilityTarget
from equipot.statistics import TargetStatistics
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps


class Polarizability(nn.Module):
    """α = Σ_i α₀(s_i) 1 + ν_i ⊗ w_i + w_i ⊗ ν_i.

    Schütt, Unke, Gastegger, ICML 2021, Eq. 12, where w_i is the position relative to the centre of mass; by default
    w_i is a second learned vector instead, which needs no origin and so is extensive and defined in crystals.
    """

    def __init__(
        self,
        irreps: Irreps,
        target: PolarizabilityTarget,
        statistics: TargetStatistics,
        elements: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.form = target.form
        self.readout = ScalarsAndVectors(irreps, 1, 1 if self.form == "positions" else 2)
        self.baseline = PerElement(statistics.baseline)
        self.isotropic_scale, self.anisotropic_scale = statistics.scales
        self.centered = CenteredPositions(elements)

    def forward(self, features: Features, batch: AtomicBatch) -> Float[Tensor, "systems 3 3"]:
        """Polarizability, Å³; symmetric by construction."""
        isotropic, vectors = self.readout(features)
        nu = vectors[..., 0].double()
        if self.form == "positions":
            refuse_periodic(
                batch, "This form of the polarizability", "Train with targets.polarizability.form=vectors."
            )
            w = self.centered(batch)
        else:
            w = vectors[..., 1].double()
        product = nu[:, :, None] * w[:, None, :]
        product = product + product.transpose(1, 2)
        one = torch.eye(3, dtype=product.dtype, device=product.device)
        trace = product.diagonal(dim1=1, dim2=2).mean(-1)
        scalar = self.isotropic_scale * (isotropic[:, 0].double() + trace) + self.baseline(batch.species)
        traceless = product - trace[:, None, None] * one
        return batch.sum_over_systems(scalar[:, None, None] * one + self.anisotropic_scale * traceless)
