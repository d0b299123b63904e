"""SchNet: atoms exchange scalars through filters generated from their distance.

K. T. Schütt, P.-J. Kindermans, H. E. Sauceda, S. Chmiela, A. Tkatchenko, K.-R. Müller, NeurIPS 2017
(arXiv:1706.08566); K. T. Schütt et al., J. Chem. Phys. 148, 241722 (2018).

    filter        W_ij = [ssp(g(r_ij) W₁ + b₁) W₂ + b₂] f_cut(r_ij)
    convolution   a_i  = Σ_j (x_j A) ∘ W_ij
    interaction   x_i += ssp(a_i U₁ + c₁) U₂ + c₂

Differs from the paper: a cutoff function, and Gaussians up to the cutoff whose width is their spacing, as in all
later releases.
"""

from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.kernels import EdgeProduct, Path, edge_product
from equipot.models.architecture import ArchitectureConfig
from equipot.nn.activation import ShiftedSoftplus
from equipot.nn.cutoff import EnvelopeName, envelope
from equipot.nn.dense import AtomicEmbedding, dense, mlp
from equipot.nn.radial import RadialName, radial_basis
from equipot.nn.radial_network import Distances, RadialNetwork
from equipot.nn.readout import DenseReadout
from equipot.statistics import Statistics
from equipot.tensor.basis import Spherical
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irrep, Irreps

SCALAR = Irrep(0, 1)
CONVOLUTION = EdgeProduct(inputs=(SCALAR,), edge=(SCALAR,), outputs=(SCALAR,), paths=(Path(0, 0, 0),))


class SchNetConfig(ArchitectureConfig):
    """Hyper-parameters of SchNet."""

    presets: ClassVar = {
        "small": {"channels": 64, "num_layers": 3},
        "medium": {"channels": 128, "num_layers": 6},
        "large": {"channels": 256, "num_layers": 6},
    }

    name: Literal["schnet"] = "schnet"
    channels: PositiveInt = 128
    num_layers: PositiveInt = 6
    num_radial: PositiveInt = 20
    radial: RadialName = "gaussian"
    envelope: EnvelopeName = "cosine"


class Interaction(nn.Module):
    """Continuous-filter convolution between two atom-wise layers."""

    def __init__(self, channels: int, num_radial: int) -> None:
        super().__init__()
        layers = mlp(num_radial, channels, channels, activation=ShiftedSoftplus)
        self.filter = RadialNetwork(layers, 1, envelope="result")
        self.before = dense(channels, channels, bias=False)
        self.after = mlp(channels, channels, channels, activation=ShiftedSoftplus)

    def forward(
        self,
        x: Float[Tensor, "atoms channels"],
        distances: Distances,
        batch: AtomicBatch,
    ) -> Float[Tensor, "atoms channels"]:
        """The change of x."""
        ones = x.new_ones(distances.r.shape[0], 1)
        gathered = edge_product(CONVOLUTION, self.before(x)[:, None], ones, self.filter(distances), batch)
        return self.after(gathered[:, 0])


class SchNet(nn.Module):
    """Scalars of every atom after `num_layers` interactions."""

    def __init__(self, config: SchNetConfig, statistics: Statistics) -> None:
        super().__init__()
        self.cutoff = config.cutoff
        self.envelope: EnvelopeName = config.envelope
        self.irreps = Irreps.parse(f"{config.channels}x0e")
        self.basis = Spherical()
        self.embedding = AtomicEmbedding(statistics.elements, config.channels)
        self.radial = radial_basis(config.radial, config.num_radial, config.cutoff)
        layers = [Interaction(config.channels, config.num_radial) for _ in range(config.num_layers)]
        self.interactions = nn.ModuleList(layers)

    def energy_readout(self) -> DenseReadout:
        """F → F/2 → 1."""
        return DenseReadout(self.irreps.channels("0e"))

    def distances(self, r: Float[Tensor, " edges"]) -> Distances:
        """With the radial basis and the cutoff function."""
        return Distances(r, self.radial, lambda d: envelope(self.envelope, d, self.cutoff))

    def forward(self, batch: AtomicBatch) -> Features:
        """Features 0e."""
        x = self.embedding(batch.species)
        distances = self.distances(batch.vectors().norm(dim=-1).to(x.dtype)).mirrored(batch)
        for interaction in self.interactions:
            x = x + interaction(x, distances, batch)
        return Features(irreps=self.irreps, blocks=(x[:, None],))
