"""Gated nonlinearity: scalars decide how much of every tensor passes."""

from torch import Tensor, nn

from equipot.tensor.activation import normalized_silu, normalized_tanh
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irreps


class Gate(nn.Module):
    """0e → c SiLU, 0o → c tanh, l > 0 → times c SiLU of an extra 0e channel of its own.

    `irreps_in` is the output with the gates added to its 0e block, behind the scalars and in the order of the
    tensors. Weiler et al., NeurIPS 2018; the constants c keep the mean square.
    """

    def __init__(self, irreps_out: Irreps) -> None:
        super().__init__()
        self.irreps_out = irreps_out
        self.num_scalars = irreps_out.channels(SCALAR)
        scalars = self.num_scalars + sum(n for n, irrep in irreps_out if irrep.l > 0)
        others = tuple((n, irrep) for n, irrep in irreps_out if irrep != SCALAR)
        self.irreps_in = Irreps(((scalars, SCALAR), *others) if scalars else others)

    def forward(self, features: Features) -> Features:
        """Features `irreps_out` from `irreps_in`."""
        activated = normalized_silu(features[SCALAR]) if SCALAR in self.irreps_in else None
        gate = self.num_scalars  # first channel of the next gate
        blocks: list[Tensor] = []
        for channels, irrep in self.irreps_out:
            if irrep.l == 0 and irrep != SCALAR:
                blocks.append(normalized_tanh(features[irrep]))
                continue
            assert activated is not None
            if irrep == SCALAR:
                blocks.append(activated[..., : self.num_scalars])
            else:
                blocks.append(activated[..., gate : gate + channels] * features[irrep])
                gate += channels
        return Features(self.irreps_out, tuple(blocks))
