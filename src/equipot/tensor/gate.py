"""Gated nonlinearity: scalars decide how much of every tensor passes."""

from typing import Literal

from torch import Tensor, nn

from equipot.tensor.activation import normalized_sigmoid, normalized_silu, normalized_tanh
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irreps


class Gate(nn.Module):
    """0e → c SiLU, 0o → c tanh, l > 0 → times c SiLU (or c sigmoid) of an extra 0e channel of its own.

    `irreps_in` is the output with the gates added to its 0e block, behind the scalars and in the order of the
    tensors. Weiler et al., NeurIPS 2018; the constants c keep the mean square.
    """

    def __init__(self, irreps_out: Irreps, gates: Literal["silu", "sigmoid"] = "silu") -> None:
        super().__init__()
        self.irreps_out, self.sigmoid_gates = irreps_out, gates == "sigmoid"
        self.num_scalars = irreps_out.channels(SCALAR)
        scalars = self.num_scalars + sum(n for n, irrep in irreps_out if irrep.l > 0)
        others = tuple((n, irrep) for n, irrep in irreps_out if irrep != SCALAR)
        self.irreps_in = Irreps(((scalars, SCALAR), *others) if scalars else others)

    def forward(self, features: Features) -> Features:
        """Features `irreps_out` from `irreps_in`."""
        scalars, gates = self._activated(features) if SCALAR in self.irreps_in else (None, None)
        first = 0  # channel of the next gate
        blocks: list[Tensor] = []
        for channels, irrep in self.irreps_out:
            if irrep.l == 0 and irrep != SCALAR:
                blocks.append(normalized_tanh(features[irrep]))
                continue
            assert scalars is not None and gates is not None
            if irrep == SCALAR:
                blocks.append(scalars)
            else:
                blocks.append(gates[..., first : first + channels] * features[irrep])
                first += channels
        return Features(self.irreps_out, tuple(blocks))

    def _activated(self, features: Features) -> tuple[Tensor, Tensor]:
        """The scalars, and the gates behind them."""
        x, n = features[SCALAR], self.num_scalars
        if self.sigmoid_gates:
            return normalized_silu(x[..., :n]), normalized_sigmoid(x[..., n:])
        activated = normalized_silu(x)
        return activated[..., :n], activated[..., n:]
