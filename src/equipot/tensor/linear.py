"""Mixing of channels, irrep by irrep: the linear maps that commute with rotations and inversion."""

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irreps


def mixed(
    x: Float[Tensor, "*rows channels_in"], weight: Float[Tensor, "channels_in channels"]
) -> Float[Tensor, "*rows channels"]:
    """One product of matrices, x W, also for a part of packed features, where PyTorch would make one per row."""
    return (x.reshape(-1, x.shape[-1]) @ weight).reshape(*x.shape[:-1], weight.shape[1])


class IrrepsLinear(nn.Module):
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
        self.folded = False

    @torch.no_grad()
    def fold(self) -> None:
        """Put the constant into the weights, for inference."""
        if self.folded:
            return
        for weight in self.weights.values():
            weight /= sqrt(weight.shape[0])
        self.folded = True

    def forward(self, features: Features) -> Features:
        """The mixed features."""
        blocks = []
        for _, irrep in self.irreps_out:
            weight = self.weights[str(irrep)]
            block = mixed(features[irrep], weight if self.folded else weight / sqrt(weight.shape[0]))
            blocks.append(block + self.bias if self.bias is not None and irrep == SCALAR else block)
        return Features(self.irreps_out, tuple(blocks))
