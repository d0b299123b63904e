"""Functions of the interatomic distance."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

RadialName = Literal["bessel", "gaussian"]


class Bessel(nn.Module):
    """Radial Bessel basis, b_n(r) = √(2/r_c) sin(nπr/r_c)/r, n = 1 … num_radial.

    Finite at r = 0. Vanishes at the cutoff, but its slope does not: multiply by a cutoff function.
    Gasteiger, Groß, Günnemann, ICLR 2020, Eq. 7.
    """

    frequencies: Tensor

    def __init__(self, num_radial: int, cutoff: float) -> None:
        super().__init__()
        self.prefactor = math.sqrt(2 / cutoff)
        self.register_buffer(
            "frequencies", torch.arange(1, num_radial + 1) * (math.pi / cutoff), persistent=False
        )

    def forward(self, distance: Float[Tensor, " edges"]) -> Float[Tensor, "edges num_radial"]:
        """The basis at every distance."""
        r = distance.clamp(min=1e-6)[:, None]
        return self.prefactor * torch.sin(r * self.frequencies) / r


class Gaussian(nn.Module):
    """Gaussians exp(−(r − μ_n)²/2Δ²) with centres μ_n uniform on [0, r_c] and Δ their spacing.

    Schütt et al., J. Chem. Phys. 148, 241722 (2018).
    """

    centers: Tensor

    def __init__(self, num_radial: int, cutoff: float) -> None:
        super().__init__()
        self.register_buffer("centers", torch.linspace(0, cutoff, num_radial), persistent=False)
        self.coefficient = -0.5 * ((num_radial - 1) / cutoff) ** 2

    def forward(self, distance: Float[Tensor, " edges"]) -> Float[Tensor, "edges num_radial"]:
        """The basis at every distance."""
        return torch.exp(self.coefficient * (distance[:, None] - self.centers) ** 2)


def radial_basis(name: RadialName, num_radial: int, cutoff: float) -> Bessel | Gaussian:
    """The basis of that name."""
    return {"bessel": Bessel, "gaussian": Gaussian}[name](num_radial, cutoff)
