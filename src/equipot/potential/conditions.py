"""What all atoms of a system have in common and positions do not say: its total charge and its multiplicity.

    x_i = SiLU(s_i W + a_Q + b_S)
    s_i ← s_i + x_i W'
    t_i ← (1 + x_i W'') ∘ t_i        every irrep beside the scalars, channel by channel

a, b: a row for each value that occurs in training; a value without a row is refused. The features of any backbone pass
through before a head reads them, so that no architecture needs to know. A charge given to the first layer instead
would reach the same class of energies, Σ_i E(environment of i, Q, S).

Q and S belong to the system and not to a part of it. Energies of distant fragments therefore add only where the whole
and every part have the same values, as neutral singlets have; a charge is not shared out among fragments.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from equipot.batch import CONDITION_WORDS, AtomicBatch, Condition
from equipot.nn.dense import dense
from equipot.potential.per_element import PerElement
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irreps


class Row(nn.Module):
    """a_Q: a row of weights for each value of a condition."""

    def __init__(self, name: Condition, values: Sequence[float], channels: int) -> None:
        super().__init__()
        self.name: Condition = name
        self.values = PerElement(values)  # numbers that stay double
        self.weight = nn.Parameter(torch.randn(len(values), channels))

    def forward(self, batch: AtomicBatch) -> Float[Tensor, "systems channels"]:
        """The row of every system."""
        found = batch.condition(self.name)
        matches = found[:, None] == self.values.values
        self._refuse_unseen(found, matches)
        known = matches.any(-1, keepdim=True)
        return torch.where(known, matches.to(self.weight.dtype), torch.nan) @ self.weight

    def _refuse_unseen(
        self, found: Float[Tensor, " systems"], matches: Bool[Tensor, "systems values"]
    ) -> None:
        """In words where that costs nothing; a GPU would have to be waited for, and its energies become NaN instead."""
        if found.device.type != "cpu" or torch.compiler.is_compiling() or bool(matches.any(-1).all()):
            return
        system = int(torch.nonzero(~matches.any(-1))[0])
        raise ValueError(
            f"system {system} of the batch: {CONDITION_WORDS[self.name]} {float(found[system]):g}; this model was"
            f" trained on {', '.join(f'{value:g}' for value in self.values.numbers)}."
        )


class Conditions(nn.Module):
    """Features that know the charge or the multiplicity of their system."""

    def __init__(self, irreps: Irreps, values: Mapping[Condition, Sequence[float]]) -> None:
        super().__init__()
        channels = irreps.channels("0e")
        self.widths = [n for n, _ in irreps]
        self.scalar = irreps.labels.index(SCALAR)
        self.rows = nn.ModuleList(Row(name, seen, channels) for name, seen in values.items())
        self.mix = dense(channels, channels)
        self.change = dense(channels, sum(self.widths))

    def forward(self, features: Features, batch: AtomicBatch) -> Features:
        """The features of the same irreps."""
        common = torch.stack([row(batch) for row in self.rows]).sum(0)
        x = nn.functional.silu(self.mix(features.scalars) + common[batch.system])
        changes = self.change(x)[:, None].split(self.widths, dim=-1)
        blocks = [
            t + change if k == self.scalar else t * (1 + change)
            for k, (t, change) in enumerate(zip(features.blocks, changes, strict=True))
        ]
        return Features(features.irreps, tuple(blocks))
