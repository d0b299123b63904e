"""Constants of the chemical elements that keep double precision whatever the model's."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class PerElement(nn.Module):
    """One float64 number per element of the model: reference energies, masses, baselines.

    Total energies of 10⁵ eV do not fit into float32 (its resolution there is 6 meV), so `.float()` on a model must not
    round them.
    """

    def __init__(self, numbers: Sequence[float]) -> None:
        super().__init__()
        self.numbers = tuple(float(n) for n in numbers)
        self.values = torch.tensor(self.numbers, dtype=torch.float64)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PerElement":
        self.values = self.values.to(fn(self.values).device)
        return self

    def forward(self, species: Tensor) -> Float[Tensor, " atoms"]:
        """The number of every atom's element."""
        return self.values[species]
