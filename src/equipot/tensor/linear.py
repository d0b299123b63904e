"""Mixing of channels, irrep by irrep: the linear maps that commute with rotations and inversion."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irreps
from equipot.tensor.product import product


def mixed(
    x: Float[Tensor, "*rows channels_in"], weight: Float[Tensor, "channels_in channels"]
) -> Float[Tensor, "*rows channels"]:
    """One product of matrices, x W, also for a part of packed features, where PyTorch would make one per row."""
    return product(x.reshape(-1, x.shape[-1]), weight).reshape(*x.shape[:-1], weight.shape[1])


class Scaled(nn.Module, ABC):
    """A layer whose matrices come with constants; `fold` puts these into the matrices, for inference."""

    folded = False

    @abstractmethod
    def matrices(self) -> Iterable[tuple[Tensor, float]]:
        """Every matrix and its constant."""

    def scaled(self, matrix: Tensor, constant: float) -> Tensor:
        """The matrix that multiplies."""
        return matrix if self.folded else matrix * constant

    def fold(self) -> None:
        """For a layer that is not trained any more; a second time changes nothing."""
        if not self.folded:
            with torch.no_grad():
                for matrix, constant in self.matrices():
                    matrix *= constant
            self.folded = True


class IrrepsLinear(Scaled):
    """y_{k'm} = fan_in^(−1/2) Σ_k W_{kk'} x_{km} for every irrep (l, parity), W ∼ N(0, 1).

    Preserves the mean square of its input at initialization. The optional bias, zero at first, belongs to
    0e alone: no other irrep has an invariant vector. Input irreps without an output are dropped.
    """

    def __init__(self, irreps_in: Irreps, irreps_out: Irreps, bias: bool = False) -> None:
        super().__init__()
        missing = [str(irrep) for irrep in irreps_out.labels if irrep not in irreps_in]
        if missing:
            raise ValueError(
                f"linear: no {', '.join(missing)} in the input '{irreps_in}' for the output '{irreps_out}'; "
                "no linear map can make it, couple features instead"
            )
        if bias and SCALAR not in irreps_out:
            raise ValueError(f"linear: found bias=True, but the output '{irreps_out}' has no 0e to carry it")
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.weights = nn.ParameterDict(
            {str(irrep): torch.randn(irreps_in.channels(irrep), n) for n, irrep in irreps_out}
        )
        self.bias = nn.Parameter(torch.zeros(irreps_out.channels(SCALAR))) if bias else None

    def matrices(self) -> Iterable[tuple[Tensor, float]]:
        """With fan_in^(−1/2)."""
        return [(weight, 1 / sqrt(weight.shape[0])) for weight in self.weights.values()]

    def forward(self, features: Features) -> Features:
        """The mixed features."""
        blocks = []
        for _, irrep in self.irreps_out:
            weight = self.weights[str(irrep)]
            block = mixed(features[irrep], self.scaled(weight, 1 / sqrt(weight.shape[0])))
            blocks.append(block + self.bias if self.bias is not None and irrep == SCALAR else block)
        return Features(self.irreps_out, tuple(blocks))
