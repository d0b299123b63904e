"""Cartesian tensors of any order from products of vectors, and from features of their degree."""

import math
from itertools import permutations
from string import ascii_lowercase

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.potential.heads.gated import GatedReadout
from equipot.potential.heads.irreps import Component
from equipot.potential.targets import MATRIX, TensorTarget
from equipot.statistics import TargetStatistics
from equipot.tensor.basis import Spherical
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps
from equipot.tensor.matrix import to_matrices
from equipot.tensor.tables import constant

SPHERICAL = Spherical()  # heads read spherical components


class CartesianTensor(nn.Module):
    """T_i = Σ_{k=1..R} λ_k(s_i) ν(v_i)_k1 ⊗ … ⊗ ν(v_i)_kM, summed over the atoms for a tensor of the system.

    Order M and rank R; Schütt, Unke, Gastegger, ICML 2021, Eq. 10 and the talk on it. A generic symmetric 3 × 3
    tensor needs R ≥ 3. Features of degree M add their symmetric traceless part, for matrices also trace and axial
    vector. Symmetrised and freed of its traces where the target asks for it.
    """

    def __init__(self, irreps: Irreps, target: TensorTarget, statistics: TargetStatistics) -> None:
        super().__init__()
        assert target.order is not None
        self.target, self.order, self.scale = target, target.order, statistics.scales[0]
        self.readout = GatedReadout(irreps, target.rank, target.rank * max(target.order, 1))
        held = [irrep for irrep in target.direct_irreps() if irrep in irreps]
        self.direct = DirectParts(irreps, Irreps.uniform(1, held), target) if any(i.l for i in held) else None

    def forward(self, features: Features, batch: AtomicBatch) -> Float[Tensor, "rows *components"]:
        """One tensor (3, … 3) per atom or per system, in the unit of the labels."""
        weights, vectors = self.readout(features)
        tensor = self._outer(weights, vectors)
        if self.direct is not None:
            tensor = tensor + self.direct(features)
        tensor = self.scale * self._symmetrised(tensor).double()
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


class DirectParts(nn.Module):
    """What features hold of a Cartesian tensor: Σ_m c_m B_m of degree M, of a matrix c₀ 1/√3 + [a]_×/√2 as well."""

    def __init__(self, irreps: Irreps, held: Irreps, target: TensorTarget) -> None:
        super().__init__()
        assert target.order is not None
        self.order = target.order
        self.components = nn.ModuleDict(
            {str(irrep): Component(irreps, irrep, 1, target.rank, target.readout) for irrep in held.labels}
        )

    def forward(self, features: Features) -> Float[Tensor, "atoms *components"]:
        """One tensor (3, … 3) per atom."""
        parts = {name: component(features) for name, component in self.components.items()}
        if self.order > 2:
            (part,) = parts.values()
            return (part @ constant("isometry", self.order, like=part).T).view(-1, *(3,) * self.order)
        zeros = {str(irrep): features.scalars.new_zeros(len(features.scalars), irrep.dim) for irrep in MATRIX}
        packed = torch.cat(list({**zeros, **parts}.values()), dim=-1)
        return to_matrices(packed.unsqueeze(-1), SPHERICAL).squeeze(-1)
