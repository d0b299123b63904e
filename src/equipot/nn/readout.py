"""Read-outs of the energy: from the features of an atom to one dimensionless number, e_i.

The potential multiplies by its scale and adds reference energies. Every architecture names the read-out of its paper.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.nn.dense import NormalizedLinear, mlp, normalized_mlp
from equipot.tensor.features import Features


class EnergyReadout(Protocol):
    """What the potential calls."""

    def __call__(self, features: Features) -> Float[Tensor, " atoms"]:
        """One number per atom."""
        ...

    def scale_by(self, factor: float) -> None:
        """Multiply the output by a factor, without touching biases."""
        ...


class DenseReadout(nn.Module):
    """e_i = MLP(s_i), F → F/2 → 1 with biases: SchNet, PaiNN, TensorNet; F → F → 1: SEGNN."""

    def __init__(self, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        self.readout = mlp(channels, hidden or channels // 2, 1)

    def forward(self, features: Features) -> Float[Tensor, " atoms"]:
        """One number per atom."""
        return self.readout(features.scalars).squeeze(1)

    @torch.no_grad()
    def scale_by(self, factor: float) -> None:
        """Scale the weights of the last layer."""
        last = self.readout[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(factor)


class LinearReadout(nn.Module):
    """e_i = s_i W_1 W_2 …, without activation or bias: NequIP, and, since a sum passes through it, Allegro.

    With `offset`, one more channel of the scalars, the last, is added as it is.
    """

    def __init__(self, *sizes: int, offset: bool = False) -> None:
        super().__init__()
        self.offset = offset
        pairs = zip(sizes, (*sizes[1:], 1), strict=True)
        self.layers = nn.ModuleList(NormalizedLinear(a, b) for a, b in pairs)

    def forward(self, features: Features) -> Float[Tensor, " atoms"]:
        """One number per atom."""
        scalars = features.scalars
        return self.linear(scalars[:, :-1]) + scalars[:, -1] if self.offset else self.linear(scalars)

    def linear(self, scalars: Float[Tensor, "rows channels"]) -> Float[Tensor, " rows"]:
        """The linear part, for atoms or for pairs of them."""
        for layer in self.layers:
            scalars = layer(scalars)
        return scalars.squeeze(1)

    @torch.no_grad()
    def merge(self) -> None:
        """One layer in the place of all, for inference: a product of matrices is a matrix."""
        layers = [layer for layer in self.layers if isinstance(layer, NormalizedLinear)]
        matrices = [layer.scaled(weight, c) for layer in layers for weight, c in layer.matrices()]
        merged = NormalizedLinear(matrices[0].shape[0], 1)
        merged.weight = nn.Parameter(reduce(torch.matmul, matrices), requires_grad=False)
        merged.folded = True
        self.layers = nn.ModuleList([merged])

    @torch.no_grad()
    def scale_by(self, factor: float) -> None:
        """Scale the weights of the last layer."""
        last = self.layers[-1]
        assert isinstance(last, NormalizedLinear)
        last.weight.mul_(factor)


class LayerwiseReadout(nn.Module):
    """e_i = Σ_t w_t · s_i^t + MLP(s_i^T): each layer its share, the last one through a nonlinearity. MACE, ICTP.

    The scalars of all layers lie side by side, those of the last layer at the end.
    """

    def __init__(self, channels: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.channels = list(channels)
        self.linear = nn.ModuleList(NormalizedLinear(n, 1) for n in self.channels[:-1])
        self.last = normalized_mlp(self.channels[-1], hidden, 1)

    def forward(self, features: Features) -> Float[Tensor, " atoms"]:
        """One number per atom."""
        *earlier, final = features.scalars.split(self.channels, dim=-1)
        out = self.last(final)
        for layer, scalars in zip(self.linear, earlier, strict=True):
            out = out + layer(scalars)
        return out.squeeze(1)

    @torch.no_grad()
    def scale_by(self, factor: float) -> None:
        """Scale the last weights of every layer's share."""
        for layer in (*self.linear, self.last[-1]):
            assert isinstance(layer, NormalizedLinear)
            layer.weight.mul_(factor)
