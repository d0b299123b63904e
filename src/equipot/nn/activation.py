"""Activations whose second derivative is one pass."""

import math
from functools import cache
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function

from equipot.kernels import Polynomial, Slot, Tape, compiles, evaluate, whole_vectors

FEW = 100_000  # numbers: so many take longer than starting what PyTorch does


class SiLU(nn.SiLU):
    """x σ(x), element by element.

    PyTorch puts its second derivative, which training on forces takes of every edge and hidden channel, together from a
    dozen operations; here it is compiled. Without it PyTorch's own function is as good.
    """

    def forward(self, x: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        """Of the same shape."""
        if self.training and _pays(x):
            return evaluate(_silu(), x.reshape(-1, 1, x.shape[-1]))[0].reshape(x.shape)
        return super().forward(x)


class ShiftedSoftplus(nn.Module):
    """ln(1 + eˣ) − ln 2: smooth everywhere, zero at zero. Schütt et al., NeurIPS 2017.

    Its derivative, σ(x), is compiled where that of SiLU is.
    """

    def forward(self, x: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        """Element by element."""
        grown = _Softplus.apply(x) if self.training and _pays(x) else F.softplus(x)
        return grown - math.log(2)


class _Softplus(Function):
    """ln(1 + eˣ), whose derivative can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return F.softplus(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        rows = (-1, 1, x.shape[-1])
        return evaluate(_slope(), x.reshape(rows), gradient.reshape(rows))[0].reshape(x.shape)


def _pays(x: Tensor) -> bool:
    return x.numel() >= FEW and compiles(x) and whole_vectors(x.shape[-1], x.dtype)


@cache
def _slope() -> Polynomial:
    tape = Tape()
    slope = tape.product(tape.input(1, 0), tape.logistic(tape.input(0, 0)))
    return Polynomial(tape, (Slot(1), Slot(1)), (Slot(1),), ((slope,),))


@cache
def _silu() -> Polynomial:
    tape = Tape()
    return Polynomial(tape, (Slot(1),), (Slot(1),), ((tape.silu(tape.input(0, 0)),),))
