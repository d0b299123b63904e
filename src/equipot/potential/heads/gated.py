"""The gated equivariant block that turns scalars and tensors into scalars and tensors of the wanted width."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.nn.dense import dense, mlp
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, VECTOR, Irrep, Irreps
from equipot.tensor.norm import safe_norm


class GatedBlock(nn.Module):
    """V' = vA, W' = vB, [s', g] = MLP([s, |V'|]); out: s' and g ∘ W'.

    Schütt, Unke, Gastegger, ICML 2021, Fig. 3, for tensors of any degree. The norm is safe at zero, so that second
    derivatives exist.
    """

    def __init__(self, scalars: int, tensors: int, scalars_out: int, tensors_out: int) -> None:
        super().__init__()
        self.split = (tensors, tensors_out)
        self.mix = dense(tensors, tensors + tensors_out, bias=False)
        self.gate = mlp(scalars + tensors, scalars, scalars_out + tensors_out)
        self.widths = (scalars_out, tensors_out)

    def forward(
        self, s: Float[Tensor, "atoms scalars"], v: Float[Tensor, "atoms dim tensors"]
    ) -> tuple[Float[Tensor, "atoms scalars_out"], Float[Tensor, "atoms dim tensors_out"]]:
        """Scalars without activation, and gated tensors."""
        normed, out = self.mix(v).split(self.split, dim=-1)
        scalars, gate = self.gate(torch.cat([s, safe_norm(normed, dim=1)], dim=-1)).split(self.widths, dim=-1)
        return scalars, gate[:, None] * out


class GatedReadout(nn.Module):
    """Two gated blocks, F → F/2 → the numbers of scalars and of tensors (l, p) that a head asks for."""

    def __init__(self, irreps: Irreps, scalars_out: int, tensors_out: int, irrep: Irrep = VECTOR) -> None:
        super().__init__()
        self.irrep = irrep
        scalars, tensors = irreps.channels(SCALAR), irreps.channels(irrep)
        half = max(scalars // 2, 1)
        self.first = GatedBlock(scalars, tensors, half, half)
        self.second = GatedBlock(half, half, scalars_out, tensors_out)

    def forward(
        self, features: Features
    ) -> tuple[Float[Tensor, "atoms scalars"], Float[Tensor, "atoms dim tensors"]]:
        """Scalars and tensors of every atom."""
        s, v = self.first(features.scalars, features[self.irrep])
        return self.second(nn.functional.silu(s), v)
