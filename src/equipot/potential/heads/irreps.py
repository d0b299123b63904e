"""Targets given by their irreducible representations."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.nn.dense import dense, mlp
from equipot.potential.heads.gated import GatedReadout
from equipot.potential.targets import TensorTarget
from equipot.statistics import TargetStatistics
from equipot.tensor.basis import Spherical
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irrep, Irreps


class Component(nn.Module):
    """One irrep (l, p) of the target: read from the features where they have it, gated, else built from vectors.

    Vectors reach any (l, p): l of them coupled stretched give (l, (−1)^l), one cross product more gives the other
    parity, Σ_k λ_k(s) [ν_k1 ⊗ ν_k2 ⊗ …]_l.
    """

    def __init__(
        self,
        irreps: Irreps,
        irrep: Irrep,
        copies: int,
        rank: int,
        readout: Literal["gated", "linear"] = "gated",
    ) -> None:
        super().__init__()
        self.irrep, self.copies, self.rank, self.basis = irrep, copies, rank, Spherical()
        self.natural = irrep.parity == (-1) ** irrep.l
        self.direct, self.gated = irrep in irreps, readout == "gated"
        scalars = irreps.channels(SCALAR)
        if irrep == SCALAR:
            self.readout: nn.Module = mlp(scalars, max(scalars // 2, 1), copies)
        elif self.direct and self.gated:
            self.readout = GatedReadout(irreps, 0, copies, irrep)
        elif self.direct:
            self.readout = dense(irreps.channels(irrep), copies, bias=False)
        else:
            self.num_vectors = irrep.l if self.natural else max(irrep.l + 1, 3 if irrep.l == 0 else 2)
            self.readout = GatedReadout(irreps, rank * copies, rank * self.num_vectors)

    def forward(self, features: Features) -> Float[Tensor, "atoms dim"]:
        """Components of all copies, one copy after the other."""
        if self.irrep == SCALAR:
            return self.readout(features.scalars)
        if self.direct:
            out = self.readout(features)[1] if self.gated else self.readout(features[self.irrep])
            return out.transpose(1, 2).flatten(1)
        weights, vectors = self.readout(features)
        coupled = self._couple(list(vectors.split(self.rank, dim=-1)))
        return torch.einsum("amk,ack->acm", coupled, weights.unflatten(-1, (self.copies, self.rank))).flatten(
            1
        )

    def _couple(self, factors: list[Float[Tensor, "atoms 3 rank"]]) -> Float[Tensor, "atoms dim rank"]:
        first, *rest = factors
        value, l = first, 1
        if not self.natural:
            second, *rest = rest
            value = self.basis.couple(first, 1, second, 1, 1)
        for factor in rest:
            step = l + 1 if self.irrep.l > 0 else 0
            value, l = self.basis.couple(value, l, factor, 1, step), step
        return value


class IrrepsHead(nn.Module):
    """Spherical components of the target's irreps, in their order, for each atom or summed over the system."""

    def __init__(self, irreps: Irreps, target: TensorTarget, statistics: TargetStatistics) -> None:
        super().__init__()
        assert target.irreps is not None
        self.per, wanted = target.per, Irreps.parse(target.irreps)
        self.components = nn.ModuleList(
            Component(irreps, irrep, n, target.rank, target.readout) for n, irrep in wanted
        )
        self.scales = statistics.scales

    def forward(self, features: Features, batch: AtomicBatch) -> Float[Tensor, "rows dim"]:
        """In the unit of the labels."""
        parts = [s * c(features).double() for s, c in zip(self.scales, self.components, strict=True)]
        out = torch.cat(parts, dim=-1)
        return out if self.per == "atom" else batch.sum_over_systems(out)
