"""Dense layers of the invariant parts."""

import math
from collections.abc import Iterable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.nn.activation import SiLU
from equipot.tensor.activation import SILU_FACTOR
from equipot.tensor.linear import Scaled, mixed
from equipot.tensor.product import linear


class Linear(nn.Linear):
    """PyTorch's layer, by the faster product of matrices."""

    def forward(self, x: Float[Tensor, "*rows num_in"]) -> Float[Tensor, "*rows num_out"]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """X Wᵀ + b."""
        return linear(x, self.weight, self.bias)


def dense(num_in: int, num_out: int, *, bias: bool = True) -> Linear:
    """A linear layer with Xavier-uniform weights and zero biases, as SchNet and PaiNN start."""
    layer = Linear(num_in, num_out, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def mlp(*sizes: int, activation: type[nn.Module] = SiLU) -> nn.Sequential:
    """Dense layers with an activation between them, none after the last."""
    layers: list[nn.Module] = []
    for num_in, num_out in pairwise(sizes):
        layers += [dense(num_in, num_out), activation()]
    return nn.Sequential(*layers[:-1])


def enveloped(
    layer: nn.Linear, x: Float[Tensor, "rows num_in"], factor: Float[Tensor, " rows"]
) -> Float[Tensor, "rows num_out"]:
    """(W x + b) f by row: f meets the few inputs and not the many outputs, with b as the weight of one more input."""
    rows = torch.cat([x, torch.ones_like(x[:, :1])], dim=-1) * factor[:, None]
    return linear(rows, torch.cat([layer.weight, layer.bias[:, None]], dim=-1))


class NormalizedLinear(Scaled):
    """y = c x W / √n for n inputs, W ∼ N(0, 1), no bias: with c = 1 keeps the mean square, and zero at zero."""

    def __init__(self, num_in: int, num_out: int, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_in, num_out))
        self.factor = scale / math.sqrt(num_in)

    def matrices(self) -> Iterable[tuple[Tensor, float]]:
        """With c/√n."""
        return [(self.weight, self.factor)]

    def forward(self, x: Float[Tensor, "*batch num_in"]) -> Float[Tensor, "*batch num_out"]:
        """The mixed channels."""
        return mixed(x, self.scaled(self.weight, self.factor))


def normalized_mlp(*sizes: int, scale: float = 1.0) -> nn.Sequential:
    """Normalized linear layers with c SiLU between them, none after the last: radial networks of NequIP and MACE.

    Without biases, it is zero where its input is: what vanishes at the cutoff stays so. The c of an activation and the
    `scale` of the result are in the weights of the layer after them, which are fewer than the rows.
    """
    layers: list[nn.Module] = []
    for place, (num_in, num_out) in enumerate(pairwise(sizes)):
        before, last = SILU_FACTOR if place else 1.0, place == len(sizes) - 2
        layers += [NormalizedLinear(num_in, num_out, before * (scale if last else 1.0)), SiLU()]
    return nn.Sequential(*layers[:-1])


class AtomicEmbedding(nn.Module):
    """A learned vector for each chemical element, x_i = a_{Z_i}, of a table that holds all elements.

    The table has 100 rows whatever the training set holds, as in the published models, so that a model may be
    fine-tuned to more elements; an index into the model's element list comes in.
    """

    atomic_numbers: Tensor

    def __init__(self, elements: tuple[int, ...], channels: int, num_rows: int = 100) -> None:
        super().__init__()
        if max(elements) >= num_rows:
            raise ValueError(f"element {max(elements)}: the embedding knows atomic numbers below {num_rows}.")
        self.table = nn.Embedding(num_rows, channels)
        self.register_buffer("atomic_numbers", torch.tensor(elements), persistent=False)

    def forward(self, species: Tensor) -> Float[Tensor, "atoms channels"]:
        """One row per atom."""
        return self.table(self.atomic_numbers[species])
