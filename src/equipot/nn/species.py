"""Linear maps that know the chemical element."""

from math import sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps
from equipot.tensor.linear import mixed


class SpeciesLinear(nn.Module):
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
        order = species.argsort(stable=True)
        counts = torch.bincount(species, minlength=self.num_elements).tolist()
        blocks = [self._mix(features[irrep], str(irrep), order, counts) for _, irrep in self.irreps_out]
        return Features(self.irreps_out, tuple(blocks))

    def _mix(
        self,
        x: Float[Tensor, "atoms dim channels"],
        name: str,
        order: Int[Tensor, " atoms"],
        counts: list[int],
    ) -> Float[Tensor, "atoms dim channels_out"]:
        """Atoms of one element behind one another, each such part times the matrix of its element."""
        weight = self.weights[name] / sqrt(x.shape[-1] * self.num_elements)
        if counts.count(0) == len(counts) - 1:  # of one element
            return (
                mixed(x, weight[counts.index(len(x))])
                if len(x)
                else x.new_zeros(0, x.shape[1], weight.shape[2])
            )
        parts = x.index_select(0, order).split(counts)
        found = [mixed(part, w) for part, w in zip(parts, weight.unbind(0), strict=True) if len(part)]
        out = x.new_zeros(*x.shape[:-1], weight.shape[-1])
        return out.index_copy(0, order, torch.cat(found)) if found else out
