"""The gated equivariant block that turns scalars and vectors into scalars and vectors of the wanted width."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.nn.dense import dense, mlp
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps
from equipot.tensor.norm import safe_norm


class GatedBlock(nn.Module):
    """V' = vA, W' = vB, [s', g] = MLP([s, |V'|]); out: s' and g ∘ W'.

    Schütt, Unke, Gastegger, ICML 2021, Fig. 3. The norm is safe at zero, so that second derivatives exist.
    """

    def __init__(self, scalars: int, vectors: int, scalars_out: int, vectors_out: int) -> None:
        super().__init__()
        self.split = (vectors, vectors_out)
        self.mix = dense(vectors, vectors + vectors_out, bias=False)
        self.gate = mlp(scalars + vectors, scalars, scalars_out + vectors_out)
        self.widths = (scalars_out, vectors_out)

    def forward(
        self, s: Float[Tensor, "atoms scalars"], v: Float[Tensor, "atoms 3 vectors"]
    ) -> tuple[Float[Tensor, "atoms scalars_out"], Float[Tensor, "atoms 3 vectors_out"]]:
        """Scalars without activation, and gated vectors."""
        normed, out = self.mix(v).split(self.split, dim=-1)
        scalars, gate = self.gate(torch.cat([s, safe_norm(normed, dim=1)], dim=-1)).split(self.widths, dim=-1)
        return scalars, gate[:, None] * out


class ScalarsAndVectors(nn.Module):
    """Two gated blocks, F → F/2 → the numbers of scalars and vectors that a head asks for."""

    def __init__(self, irreps: Irreps, scalars_out: int, vectors_out: int) -> None:
        super().__init__()
        scalars, vectors = irreps.channels("0e"), irreps.channels("1o")
        half = scalars // 2
        self.first = GatedBlock(scalars, vectors, half, half)
        self.second = GatedBlock(half, half, scalars_out, vectors_out)

    def forward(
        self, features: Features
    ) -> tuple[Float[Tensor, "atoms scalars"], Float[Tensor, "atoms 3 vectors"]]:
        """Scalars and vectors of every atom."""
        s, v = self.first(features.scalars, features["1o"])
        return self.second(nn.functional.silu(s), v)
