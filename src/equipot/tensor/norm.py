"""Lengths of equivariant features, and nonlinearities that act on them."""

from jaxtyping import Float
from torch import Tensor

NORM_EPSILON = 1e-8  # of a squared feature; keeps first and second derivatives finite at zero


def safe_norm(x: Float[Tensor, "*shape"], dim: int = -2, keepdim: bool = False) -> Float[Tensor, "*reduced"]:
    """√(Σ x² + ε) along the component axis.

    The plain norm has no gradient at zero, where isolated atoms, inversion centers and first layers sit;
    training on forces needs its second derivative too.
    """
    return (x.square().sum(dim, keepdim=keepdim) + NORM_EPSILON).sqrt()
