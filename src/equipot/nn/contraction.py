"""Symmetric contraction: all products of up to ν copies of a feature, every species with its own weights."""

from collections.abc import Collection
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from equipot.nn.product_paths import PathWeights, ProductSums, highest_degree
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features, concatenate_components, from_spherical, in_spherical
from equipot.tensor.irreps import Irrep, Irreps
from equipot.tensor.paths import product_paths
from equipot.tensor.symmetric import independent_paths
from equipot.tensor.tables import constant

PathChoice = Literal["ordered", "independent"]
Evaluation = Literal["couplings", "tensors"]


class SymmetricContraction(nn.Module):
    """m_{k,LM} = Σ_ν Σ_η w^{ν,L}_{z,η,k} Σ_{m1…mν} U^{LM}_{η,m1…mν} A_{k,m1} ⋯ A_{k,mν},   ν = 1 … order.

    Batatia et al., NeurIPS 2022 (arXiv:2206.07697), Eqs. 10 and 11. `ordered`: one weight for every sequence of
    couplings, as published. Many of them agree once all factors are the same A; `independent` has weights for an
    orthonormal basis of what they span. The function space is the same, the way to it not.

    Either way the weights are handed to independent paths, and the sum is evaluated by couplings, ((A ⊗ A) ⊗ A),
    or with the tensors U, contracted with one A after the other. The numbers are the same, in both tensor bases.
    """

    def __init__(
        self,
        irreps_in: Irreps,
        wanted: Collection[Irrep],
        order: int,
        num_elements: int | None,
        basis: str,
        *,
        paths: PathChoice = "ordered",
        evaluation: Evaluation = "couplings",
    ) -> None:
        super().__init__()
        self.order, self.l_max = order, highest_degree(irreps_in)
        self.channels, self.basis = irreps_in[0][0], get_basis(basis)
        self.irreps_out = Irreps.uniform(self.channels, reachable(wanted, self.l_max, order))
        self.mixing = "ordered_mixing" if paths == "ordered" else "orthonormal_mixing"
        outputs = self.irreps_out.labels
        for irrep in outputs if evaluation == "tensors" else ():  # refused here if it is too large
            constant("symmetric_tensors", self.l_max, order, irrep.l, like=torch.empty(0))
        numbers = {str(irrep): num_paths(self.l_max, order, irrep, paths) for irrep in outputs}
        self.weights = nn.ModuleDict(
            {i: PathWeights(n, self.channels, num_elements) for i, n in numbers.items()}
        )
        independent = [
            [path for n in range(1, order + 1) for path in independent_paths(self.l_max, n, i)]
            for i in outputs
        ]
        self.sums = ProductSums(independent, self.l_max, "spherical") if evaluation == "couplings" else None

    def forward(self, features: Features, species: Int[Tensor, " atoms"]) -> Features:
        """Features `irreps_out` of every atom."""
        a = in_spherical(features, self.basis)
        weights = []
        for irrep in self.irreps_out.labels:
            mixing = constant(self.mixing, self.l_max, self.order, irrep.l, like=a.blocks[0])
            weights.append(self.weights[str(irrep)](species, mixing))
        if self.sums is not None:
            return from_spherical(self.sums(a, weights), self.basis)
        packed = concatenate_components(a)
        pairs = zip(self.irreps_out.labels, weights, strict=True)
        blocks = tuple(contract(packed, w, self.l_max, self.order, irrep) for irrep, w in pairs)
        return from_spherical(Features(self.irreps_out, blocks), self.basis)


def contract(
    a: Float[Tensor, "rows components channels"],
    weights: Float[Tensor, "weights_rows paths channels"],
    l_max: int,
    order: int,
    out: Irrep,
) -> Float[Tensor, "rows dim channels"]:
    """Σ_ν Σ_p w_p U_p · A ⋯ A from the highest order down, ((U₃w · A + U₂w) · A + U₁w) · A; A ⊗ A is never formed.

    The first product has paths and last factor in one index: a single matrix, the same for all rows.
    """
    by_order = weights.split(num_paths(l_max, order, out, "independent"), dim=1)
    sum_: Tensor | None = None
    for n, w in reversed(list(enumerate(by_order, start=1))):
        if sum_ is not None:  # what the higher orders left, [rows, dim · componentsⁿ, channels]
            sum_ = (sum_.unflatten(1, (-1, a.shape[1])) * a[:, None]).sum(2)
        if w.shape[1] == 0:
            continue
        table = constant(
            "symmetric_tensors", l_max, n, out.l, like=a
        )  # [paths, dim, components, …, components]
        matrix = table.movedim(-1, 1).flatten(0, 1).flatten(1).T
        here = matrix @ (w[:, :, None] * a[:, None]).flatten(1, 2)
        sum_ = here if sum_ is None else sum_ + here
    assert sum_ is not None
    return sum_


def reachable(wanted: Collection[Irrep], l_max: int, order: int) -> list[Irrep]:
    """The irreps among those wanted that products make: of natural parity, up to l = order · l_max."""
    return sorted(i for i in wanted if i == Irrep.natural(i.l) and i.l <= order * l_max)


def num_paths(l_max: int, order: int, out: Irrep, paths: PathChoice) -> list[int]:
    """How many there are, by order."""
    chosen = {"ordered": product_paths, "independent": independent_paths}[paths]
    return [len(chosen(l_max, n, out)) for n in range(1, order + 1)]
