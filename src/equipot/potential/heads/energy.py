"""The energy of an atom in its surroundings."""

from jaxtyping import Float
from torch import Tensor, nn

from equipot.nn.dense import mlp
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps


class AtomicEnergy(nn.Module):
    """e_i = MLP(s_i), dimensionless: the potential multiplies by its scale and adds reference energies."""

    def __init__(self, irreps: Irreps) -> None:
        super().__init__()
        channels = irreps.channels("0e")
        self.readout = mlp(channels, channels // 2, 1)

    def forward(self, features: Features) -> Float[Tensor, " atoms"]:
        """One number per atom."""
        return self.readout(features.scalars)[:, 0]
