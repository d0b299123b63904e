"""The iterated product of a feature with itself, P_ν = P_{ν−1} ⊗ A, without precomputed tensors."""

from collections.abc import Collection
from math import sqrt
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor, nn

from equipot.nn.product_paths import PathWeights, ProductSums, highest_degree
from equipot.nn.species import SpeciesLinear
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irrep, Irreps
from equipot.tensor.paths import product_paths


class IteratedProduct(nn.Module):
    """m = Σ_ν Σ_paths w_{z,path} P_ν,   P_1 = A,   P_ν = P_{ν−1} ⊗ A,   ν = 1 … order, l ≤ l_max throughout.

    Zaverkin et al., NeurIPS 2024 (arXiv:2405.14253). Products are even, l1 + l2 − l3 = 0, 2, …, so that natural
    parity stays. `full`: all of them; `sym`: at ν = 2 those with l1 ≥ l2, since A ⊗ A is symmetric. A weight
    belongs to an element, a path and a channel; with `coupled` channels a path has a matrix, which mixes them, too.
    Without elements (`num_elements=None`) all atoms share the weights.
    """

    def __init__(
        self,
        irreps_in: Irreps,
        wanted: Collection[Irrep],
        order: int,
        num_elements: int | None,
        basis: str,
        *,
        paths: Literal["full", "sym"] = "full",
        coupled: bool = False,
    ) -> None:
        super().__init__()
        l_max, channels = highest_degree(irreps_in), irreps_in[0][0]
        outputs = sorted(set(wanted) & set(irreps_in.labels))
        self.irreps_out, self.by_element = Irreps.uniform(channels, outputs), num_elements is not None
        found = [[product_paths(l_max, n, irrep, paths) for n in range(1, order + 1)] for irrep in outputs]
        self.sums = ProductSums([[path for n in into for path in n] for into in found], l_max, basis)
        numbers = {irrep: [len(n) for n in into] for irrep, into in zip(outputs, found, strict=True)}
        self.weights = (
            None
            if coupled
            else nn.ModuleDict(
                {str(irrep): PathWeights(n, channels, num_elements) for irrep, n in numbers.items()}
            )
        )
        self.mix = _path_matrices(numbers, channels, num_elements or 1) if coupled else None

    def forward(self, features: Features, species: Int[Tensor, " atoms"]) -> Features:
        """Features `irreps_out` of every atom."""
        if self.weights is not None:
            return self.sums(features, [self.weights[str(i)](species) for i in self.irreps_out.labels])
        assert self.mix is not None
        return self.mix(self.sums.apart(features), species if self.by_element else torch.zeros_like(species))


def _path_matrices(numbers: dict[Irrep, list[int]], channels: int, num_elements: int) -> SpeciesLinear:
    """Σ_paths Σ_k' W^{z,path}_{k'k} P_{path,k'}, entries N(0, 1) over √K' and the number of paths of the order."""
    irreps_in = Irreps(tuple((sum(n) * channels, irrep) for irrep, n in numbers.items()))
    linear = SpeciesLinear(irreps_in, Irreps.uniform(channels, numbers), num_elements)
    for irrep, by_order in numbers.items():
        shares = torch.tensor([1 / n for n in by_order for _ in range(n)])
        undone = sqrt(sum(by_order) * num_elements)  # the layer divides by it, and by √K'
        with torch.no_grad():
            linear.weights[str(irrep)].mul_(undone * shares.repeat_interleave(channels)[:, None])
    return linear
