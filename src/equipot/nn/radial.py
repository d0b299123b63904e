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


class Gaussian(nn.Module):
    """Gaussians exp(−(r − μ_n)²/2Δ²) with centres μ_n uniform on [0, r_c] and Δ their spacing.

    Schütt et al., J. Chem. Phys. 148, 241722 (2018).
    """

    index: Tensor  # exact in every precision, unlike the centres

    def __init__(self, num_radial: int, cutoff: float) -> None:
        super().__init__()
        self.per_spacing = (num_radial - 1) / cutoff
        self.register_buffer("index", torch.arange(float(num_radial)), persistent=False)

    def forward(self, distance: Float[Tensor, " edges"]) -> Float[Tensor, "edges num_radial"]:
        """The basis at every distance."""
        return torch.exp(-0.5 * (distance[:, None] * self.per_spacing - self.index) ** 2)


def radial_basis(name: RadialName, num_radial: int, cutoff: float) -> Bessel | Gaussian:
    """The basis of that name."""
    return {"bessel": Bessel, "gaussian": Gaussian}[name](num_radial, cutoff)
