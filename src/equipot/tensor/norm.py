"""Lengths of equivariant features, and a nonlinearity that acts on them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.tensor.activation import normalized_silu
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irreps

NORM_EPSILON = 1e-8  # of a squared feature; keeps first and second derivatives finite at zero


def safe_norm(x: Float[Tensor, "*shape"], dim: int = -2, keepdim: bool = False) -> Float[Tensor, "*reduced"]:
    """√(Σ x² + ε) along the component axis.

    The plain norm has no gradient at zero, where isolated atoms, inversion centers and first layers sit;
    training on forces needs its second derivative too.
    """
    return (x.square().sum(dim, keepdim=keepdim) + NORM_EPSILON).sqrt()


class NormActivation(nn.Module):
    """Scale every tensor by a function of its length: v → v σ(|v| + b), scalars s → c SiLU(s + b).

    σ is the logistic function, b a trainable number per channel, zero at first; a 0o counts as a tensor.
    Thomas et al., arXiv:1802.08219, Sec. 4.3.
    """

    def __init__(self, irreps: Irreps) -> None:
        super().__init__()
        self.irreps = irreps
        self.biases = nn.ParameterDict({str(irrep): torch.zeros(n) for n, irrep in irreps})

    def forward(self, features: Features) -> Features:
        """The activated features."""
        blocks = []
        for _, irrep in self.irreps:
            x, bias = features[irrep], self.biases[str(irrep)]
            if irrep == SCALAR:
                blocks.append(normalized_silu(x + bias))
            else:
                blocks.append(x * torch.sigmoid(safe_norm(x, keepdim=True) + bias))
        return Features(self.irreps, tuple(blocks))
