"""Linear maps that know the chemical element."""

from collections.abc import Iterable
from math import sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from equipot.batch import readable
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps
from equipot.tensor.linear import Scaled, mixed

FEW = 256  # atoms × elements


class SpeciesLinear(Scaled):
    """y_i = (K S)^(−1/2) x_i W^(z_i) for every irrep, W ∼ N(0, 1): the self-connection of NequIP, MACE and ICTP.

    Equal to the product with a one-hot vector of the S elements, normalisation included; irreps of the output that
    the input lacks are left out. Atoms are multiplied element by element, so the cost does not grow with S.
    """

    def __init__(self, irreps_in: Irreps, irreps_out: Irreps, num_elements: int) -> None:
        super().__init__()
        kept = tuple((n, irrep) for n, irrep in irreps_out if irrep in irreps_in)
        self.irreps_in, self.irreps_out, self.num_elements = irreps_in, Irreps(kept), num_elements
        self.weights = nn.ParameterDict(
            {str(irrep): torch.randn(num_elements, irreps_in.channels(irrep), n) for n, irrep in kept}
        )

    def forward(self, features: Features, species: Int[Tensor, " atoms"]) -> Features:
        """The mixed features."""
        weights = [self.scaled(weight, constant) for weight, constant in self.matrices()]
        pairs = [(features[irrep], w) for irrep, w in zip(self.irreps_out.labels, weights, strict=True)]
        atoms = species.shape[0]
        if isinstance(atoms, torch.SymInt) or atoms * self.num_elements <= FEW or not readable(species):
            blocks = [_by_all(x, weight, species) for x, weight in pairs]
        else:
            order = species.argsort(stable=True)
            counts = torch.bincount(species, minlength=self.num_elements).tolist()
            blocks = [_by_element(x, weight, order, counts) for x, weight in pairs]
        return Features(self.irreps_out, tuple(blocks))

    def matrices(self) -> Iterable[tuple[Tensor, float]]:
        """Of all elements, with (K S)^(−1/2), irrep by irrep of the output."""
        weights = [self.weights[str(irrep)] for irrep in self.irreps_out.labels]
        return [(weight, 1 / sqrt(weight.shape[1] * self.num_elements)) for weight in weights]


def _by_all(
    x: Float[Tensor, "atoms dim channels_in"],
    weight: Float[Tensor, "elements channels_in channels_out"],
    species: Int[Tensor, " atoms"],
) -> Float[Tensor, "atoms dim channels_out"]:
    """Every atom times the matrices of all elements, and of the results its own: few operations for few atoms."""
    found = mixed(x, weight.transpose(0, 1).flatten(1)).unflatten(-1, (len(weight), -1))
    return found[torch.arange(x.shape[0], device=x.device), :, species]


def _by_element(
    x: Float[Tensor, "atoms dim channels_in"],
    weight: Float[Tensor, "elements channels_in channels_out"],
    order: Int[Tensor, " atoms"],
    counts: list[int],
) -> Float[Tensor, "atoms dim channels_out"]:
    """Atoms of one element behind one another, each such part times the matrix of its element."""
    parts = x.index_select(0, order).split(counts)
    found = [mixed(part, w) for part, w in zip(parts, weight.unbind(0), strict=True) if len(part)]
    out = x.new_zeros(*x.shape[:-1], weight.shape[-1])
    return out.index_copy(0, order, torch.cat(found)) if found else out
