"""Functions of the interatomic distance."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

RadialName = Literal["bessel", "gaussian"]


class Bessel(nn.Module):
    """Radial Bessel basis, b_n(r) = √(2/r_c) sin(nπr/r_c)/r, n = 1 … num_radial.

    Finite at r = 0. Vanishes at the cutoff, but its slope does not: multiply by a cutoff function.
    Gasteiger, Groß, Günnemann, ICLR 2020, Eq. 7.
    """

    index: Tensor  # exact in every precision, unlike the frequencies nπ/r_c

    def __init__(self, num_radial: int, cutoff: float, trainable: bool = False) -> None:
        super().__init__()
        self.prefactor, self.unit = math.sqrt(2 / cutoff), math.pi / cutoff
        index = torch.arange(1.0, num_radial + 1)
        if trainable:  # n may leave the integers; then only an envelope brings the basis to zero
            self.index = nn.Parameter(index)
        else:
            self.register_buffer("index", index, persistent=False)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the model."""
        return self.index.dtype

    def forward(self, distance: Float[Tensor, " edges"]) -> Float[Tensor, "edges num_radial"]:
        """The basis at every distance."""
        r = distance.clamp(min=1e-6)[:, None]
        return self.prefactor * torch.sin(r * (self.index * self.unit)) / r


def bell(x: Tensor) -> Tensor:
    """exp(−x²), exactly zero below 1e-20, where it would change no sum.

    Otherwise most of a basis is denormal numbers in single precision, with which a processor is a hundred times slower.
    """
    return torch.exp(functional.threshold(-(x**2), math.log(1e-20), -math.inf))


class Gaussian(nn.Module):
    """Gaussians exp(−(r − μ_n)²/2Δ²) with centres μ_n uniform on [0, r_c] and Δ their spacing.

    Schütt et al., J. Chem. Phys. 148, 241722 (2018).
    """

    index: Tensor  # exact in every precision, unlike the centres

    def __init__(self, num_radial: int, cutoff: float) -> None:
        super().__init__()
        self.per_width = (num_radial - 1) / (math.sqrt(2) * cutoff)
        self.register_buffer("index", torch.arange(float(num_radial)), persistent=False)

    def forward(self, distance: Float[Tensor, " edges"]) -> Float[Tensor, "edges num_radial"]:
        """The basis at every distance."""
        return bell(distance[:, None] * self.per_width - self.index / math.sqrt(2))


class ExpNormal(nn.Module):
    """Gaussians of an exponential, exp(−β(e^(−αr) − μ_n)²): dense where bonds are, sparse near the cutoff.

    α = 5 Å⁻¹/(r_c/Å), μ_n uniform on [e^(−r_c/Å), 1], β = (2(1 − e^(−r_c/Å))/num_radial)⁻². Trainable: centres, widths.
    Unke, Meuwly, J. Chem. Theory Comput. 15, 3678 (2019); constants of Thölke, De Fabritiis, ICLR 2022.
    """

    index: Tensor  # exact in every precision, unlike the centres
    width: Tensor  # in units of the first one

    def __init__(self, num_radial: int, cutoff: float, trainable: bool = False) -> None:
        super().__init__()
        self.rate, self.first = 5.0 / cutoff, math.exp(-cutoff)
        self.spacing = (1 - self.first) / max(num_radial - 1, 1)
        self.per_width = num_radial / (2 * (1 - self.first))  # √β
        index, width = torch.arange(float(num_radial)), torch.ones(num_radial)
        if trainable:
            self.index, self.width = nn.Parameter(index), nn.Parameter(width)
        else:
            self.register_buffer("index", index, persistent=False)
            self.register_buffer("width", width, persistent=False)

    def forward(self, distance: Float[Tensor, " edges"]) -> Float[Tensor, "edges num_radial"]:
        """The basis at every distance."""
        x = torch.exp(-self.rate * distance)[:, None] - (self.first + self.index * self.spacing)
        return bell(x * self.per_width / self.width)


def cubic_splines(
    x: Float[Tensor, " edges"], num_intervals: int
) -> tuple[Int[Tensor, " edges"], Float[Tensor, "edges 4"]]:
    """The four uniform cubic B-splines that differ from zero at x, knots at the integers: first index, and values.

    On [0, n] there are n + 3 of them. They are positive, sum to one, and have two continuous derivatives. Beyond the
    ends the outermost polynomials go on. de Boor, A Practical Guide to Splines, Springer 1978, ch. IX.
    """
    knot = x.detach().floor().clamp(0, num_intervals - 1)
    t = x - knot
    s = 1 - t
    values = [s**3, (3 * t - 6) * t**2 + 4, (3 * s - 6) * s**2 + 4, t**3]
    return knot.long(), torch.stack(values, dim=-1) / 6


def radial_basis(name: RadialName, num_radial: int, cutoff: float) -> Bessel | Gaussian:
    """The basis of that name."""
    return {"bessel": Bessel, "gaussian": Gaussian}[name](num_radial, cutoff)
