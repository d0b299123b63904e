"""What a pair of atoms knows before it sees a third: the distance and both elements."""

from math import sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from equipot.nn.radial import Bessel, cubic_splines
from equipot.tensor.activation import normalized_silu


class ConcatenatedPair(nn.Module):
    """c SiLU([1_{z_i}, 1_{z_j}, b(r_ij) u(r_ij)] W): the first layer of a network on one-hot elements.

    A one-hot vector picks a row of W, so the rows are looked up: the cost does not grow with the number of elements.
    """

    def __init__(self, radial: Bessel, num_elements: int, num_out: int) -> None:
        super().__init__()
        self.radial = radial
        self.sizes = (num_elements, num_elements, len(radial.index))
        self.weight = nn.Parameter(torch.randn(sum(self.sizes), num_out))

    def forward(
        self,
        r: Float[Tensor, " edges"],
        cut: Float[Tensor, " edges"],
        center: Int[Tensor, " edges"],
        neighbor: Int[Tensor, " edges"],
    ) -> Float[Tensor, "edges num_out"]:
        """Of every directed pair; does not vanish at the cutoff."""
        of_center, of_neighbor, of_distance = (self.weight / sqrt(sum(self.sizes))).split(self.sizes)
        species = of_center.index_select(0, center) + of_neighbor.index_select(0, neighbor)
        return normalized_silu(torch.addmm(species, self.radial(r) * cut[:, None], of_distance))


class ProductPair(nn.Module):
    """[a_{z_i}, a'_{z_j}] ∘ (b(r_ij) u(r_ij) W): the elements weigh functions that vanish at the cutoff."""

    def __init__(self, radial: Bessel, num_elements: int, num_out: int) -> None:
        super().__init__()
        self.radial = radial
        self.center = nn.Parameter(torch.randn(num_elements, num_out // 2))
        self.neighbor = nn.Parameter(torch.randn(num_elements, num_out - num_out // 2))
        self.weight = nn.Parameter(torch.randn(len(radial.index), num_out))

    def forward(
        self,
        r: Float[Tensor, " edges"],
        cut: Float[Tensor, " edges"],
        center: Int[Tensor, " edges"],
        neighbor: Int[Tensor, " edges"],
    ) -> Float[Tensor, "edges num_out"]:
        """Of every directed pair; vanishes at the cutoff."""
        species = torch.cat(
            [self.center.index_select(0, center), self.neighbor.index_select(0, neighbor)], dim=-1
        )
        return species * ((self.radial(r) * cut[:, None]) @ (self.weight / sqrt(len(self.weight))))


class SplinePair(nn.Module):
    """u(r) Σ_n w_n^(z_i z_j) B_n(r): a curve of its own for every ordered pair of elements and every channel.

    B_n: the cubic B-splines with uniform knots on [0, r_c], whose second derivative is continuous. Four of them meet at
    any distance, and only their weights are looked up: the cost grows neither with their number nor with that of the
    elements. The factor gives independent weights a mean square of one.
    """

    FACTOR = sqrt(315 / 151)  # 151/315: mean over an interval of the sum of the squares of the four

    def __init__(self, num_splines: int, cutoff: float, num_elements: int, num_out: int) -> None:
        super().__init__()
        if num_splines < 4:
            raise ValueError(f"splines: found {num_splines}; expected at least four, as many as overlap")
        self.num_splines, self.num_elements = num_splines, num_elements
        self.per_spacing = (num_splines - 3) / cutoff
        self.weight = nn.Parameter(torch.randn(num_elements**2 * num_splines, num_out))

    def forward(
        self,
        r: Float[Tensor, " edges"],
        cut: Float[Tensor, " edges"],
        center: Int[Tensor, " edges"],
        neighbor: Int[Tensor, " edges"],
    ) -> Float[Tensor, "edges num_out"]:
        """Of every directed pair; vanishes at the cutoff."""
        knot, splines = cubic_splines(r * self.per_spacing, self.num_splines - 3)
        first = (center * self.num_elements + neighbor) * self.num_splines + knot
        scaled = splines * (self.FACTOR * cut)[:, None]
        terms = [scaled[:, n, None] * self.weight.index_select(0, first + n) for n in range(splines.shape[1])]
        return torch.stack(terms).sum(0)


PairEmbedding = ConcatenatedPair | ProductPair | SplinePair
