"""Cartesian tensors of any order from products of vectors."""

import math
from itertools import permutations
from string import ascii_lowercase

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.potential.heads.gated import ScalarsAndVectors
from equipot.potential.targets import TensorTarget
from equipot.statistics import TargetStatistics
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps
from equipot.tensor.tables import constant


class CartesianTensor(nn.Module):
    """T_i = Σ_{k=1..R} λ_k(s_i) ν(v_i)_k1 ⊗ … ⊗ ν(v_i)_kM, summed over the atoms for a tensor of the system.

    Order M and rank R; Schütt, Unke, Gastegger, ICML 2021, Eq. 10 and the talk on it. A generic symmetric 3 × 3
    tensor needs R ≥ 3. Symmetrised and freed of its traces where the target asks for it.
    """

    def __init__(self, irreps: Irreps, target: TensorTarget, statistics: TargetStatistics) -> None:
        super().__init__()
        assert target.order is not None
        self.target, self.order, self.scale = target, target.order, statistics.scales[0]
        self.readout = ScalarsAndVectors(irreps, target.rank, target.rank * max(target.order, 1))

    def forward(self, features: Features, batch: AtomicBatch) -> Float[Tensor, "rows *components"]:
        """One tensor (3, … 3) per atom or per system, in the unit of the labels."""
        weights, vectors = self.readout(features)
        tensor = self._symmetrised(self._outer(weights, vectors))
        tensor = self.scale * tensor.double()
        return tensor if self.target.per == "atom" else batch.sum_over_systems(tensor)

    def _outer(
        self, weights: Float[Tensor, "atoms rank"], vectors: Float[Tensor, "atoms 3 vectors"]
    ) -> Float[Tensor, "atoms *components"]:
        if self.order == 0:
            return weights.sum(-1)
        factors = vectors.chunk(self.order, dim=-1)
        axes = ascii_lowercase[: self.order]
        terms = ",".join(f"X{axis}Z" for axis in axes)
        return torch.einsum(f"XZ,{terms}->X{axes}", weights, *factors)

    def _symmetrised(self, t: Float[Tensor, "atoms *components"]) -> Float[Tensor, "atoms *components"]:
        if not self.target.symmetric or self.order < 2:
            return t
        orders = list(permutations(range(1, self.order + 1)))
        t = torch.stack([t.permute(0, *p) for p in orders]).sum(0) / math.factorial(self.order)
        if not self.target.traceless:
            return t
        isometry = constant("isometry", self.order, like=t)  # onto symmetric traceless tensors
        return (t.flatten(1) @ isometry @ isometry.T).reshape(t.shape)
