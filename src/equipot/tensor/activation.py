"""Scalar nonlinearities that keep the mean square of a standard normal variable.

c σ(x) with c = E_{z∼N(0,1)}[σ(z)²]^(−1/2).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SILU_FACTOR = 1.6765324703310909
TANH_FACTOR = 1.5925374197228315
SIGMOID_FACTOR = 1.8462285453386056


def normalized_silu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Smooth step c x / (1 + e^(−x)), for quantities without sign under inversion."""
    return SILU_FACTOR * functional.silu(x)


def normalized_tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Sigmoid c tanh x: odd, so that a pseudoscalar stays one."""
    return TANH_FACTOR * torch.tanh(x)


def normalized_sigmoid(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Share c / (1 + e^(−x)) of a tensor that passes, never negative."""
    return SIGMOID_FACTOR * torch.sigmoid(x)
