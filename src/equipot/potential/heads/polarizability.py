"""Polarizability from isotropic atomic parts and symmetric traceless ones."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.potential.heads.gated import GatedReadout
from equipot.potential.origin import CenteredPositions, refuse_periodic
from equipot.potential.per_element import PerElement
from equipot.potential.targets import PolarizabilityTarget
from equipot.statistics import TargetStatistics
from equipot.tensor.features import Features
from equipot.tensor.irreps import VECTOR, Irrep, Irreps
from equipot.tensor.tables import constant

SYMMETRIC = Irrep.natural(2)


class Polarizability(nn.Module):
    """α = Σ_i α₀(s_i) 1 + Σ_m c_m(t_i) B_m, or α = Σ_i α₀(s_i) 1 + ν_i ⊗ w_i + w_i ⊗ ν_i.

    t_i: features 2e, where the backbone has them; B_m: the symmetric traceless tensors of the harmonics. The other form
    is that of Schütt, Unke, Gastegger, ICML 2021, Eq. 12, where w_i is the position relative to the centre of mass; a
    second learned vector instead needs no origin and so is extensive and defined in crystals.
    """

    def __init__(
        self,
        irreps: Irreps,
        target: PolarizabilityTarget,
        statistics: TargetStatistics,
        elements: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.form = resolved_form(target, irreps)
        irrep = SYMMETRIC if self.form == "irreps" else VECTOR
        self.readout = GatedReadout(irreps, 1, 2 if self.form == "vectors" else 1, irrep)
        self.baseline = PerElement(statistics.baseline)
        self.isotropic_scale, self.anisotropic_scale = statistics.scales
        self.centered = CenteredPositions(elements)

    def forward(self, features: Features, batch: AtomicBatch) -> Float[Tensor, "systems 3 3"]:
        """Polarizability, Å³; symmetric by construction."""
        scalars, tensors = self.readout(features)
        isotropic, tensors = scalars[:, 0].double(), tensors.double()
        if self.form == "irreps":
            traceless = (constant("isometry", 2, like=tensors) @ tensors).view(-1, 3, 3)
        else:
            trace, traceless = self._products(tensors, batch)
            isotropic = isotropic + trace
        scalar = self.isotropic_scale * isotropic + self.baseline(batch.species)
        one = torch.eye(3, dtype=traceless.dtype, device=traceless.device)
        return batch.sum_over_systems(scalar[:, None, None] * one + self.anisotropic_scale * traceless)

    def _products(
        self, vectors: Float[Tensor, "atoms 3 vectors"], batch: AtomicBatch
    ) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "atoms 3 3"]]:
        """A third of the trace of ν ⊗ w + w ⊗ ν, and the rest."""
        if self.form == "positions":
            refuse_periodic(
                batch, "This form of the polarizability", "Train with targets.polarizability.form=auto."
            )
            w = self.centered(batch)
        else:
            w = vectors[..., 1]
        product = vectors[:, :, None, 0] * w[:, None, :]
        product = product + product.transpose(1, 2)
        trace = product.diagonal(dim1=1, dim2=2).mean(-1)
        one = torch.eye(3, dtype=product.dtype, device=product.device)
        return trace, product - trace[:, None, None] * one


def resolved_form(target: PolarizabilityTarget, irreps: Irreps) -> Literal["irreps", "vectors", "positions"]:
    """The form that these features allow."""
    if target.form == "auto":
        return "irreps" if SYMMETRIC in irreps else "vectors"
    if target.form == "irreps" and SYMMETRIC not in irreps:
        raise ValueError(
            f"targets.polarizability.form=irreps reads 2e, and this model has features {irreps}. Use form=auto, or "
            "a model with l_max of two or more."
        )
    return target.form
