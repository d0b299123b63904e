"""PaiNN: messages of scalars s and vectors v, and their exchange on each atom.

K. T. Schütt, O. T. Unke, M. Gastegger, ICML 2021 (arXiv:2102.03150).

    message   Fig. 2b   [a, b, c]_ij = φ(s_j) ∘ W(r_ij),   W(r) = (g(r) W_r + b_r) f_cut(r)
                        s_i += Σ_j a_ij,   v_i += Σ_j (b_ij r̂_ij + c_ij v_j)
    update    Fig. 2c   [a_ss, a_vv, a_sv] = MLP([s_i, |V v_i|])
                        s_i += a_ss + a_sv ⟨U v_i, V v_i⟩,   v_i += a_vv U v_i

Differs from the paper: the norm is √(|V v|² + ε), so that its second derivative exists where v = 0.
"""

from math import sqrt
from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.kernels import EdgeProduct, Path, edge_product
from equipot.models.architecture import ArchitectureConfig
from equipot.nn.cutoff import EnvelopeName, envelope
from equipot.nn.dense import AtomicEmbedding, dense, mlp
from equipot.nn.radial import RadialName, radial_basis
from equipot.nn.radial_network import Distances, RadialLinear
from equipot.nn.readout import DenseReadout
from equipot.nn.scalars_vectors import Scalars, Vectors, exchanged, invariants, received, sent
from equipot.statistics import Statistics
from equipot.tensor.basis import Spherical
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irrep, Irreps

SCALAR, VECTOR = Irrep(0, 1), Irrep(1, -1)
# harmonics have norm √(2l+1): the scale of the middle path makes it the unit vector of the paper
MESSAGE = EdgeProduct(
    inputs=(SCALAR, SCALAR, VECTOR),
    edge=(SCALAR, VECTOR),
    outputs=(SCALAR, VECTOR),
    paths=(Path(0, 0, 0), Path(1, 1, 1, scale=1 / sqrt(3)), Path(2, 0, 1)),
)


class PaiNNConfig(ArchitectureConfig):
    """Hyper-parameters of PaiNN."""

    presets: ClassVar = {
        "small": {"channels": 64},
        "medium": {"channels": 128},
        "large": {"channels": 256, "num_layers": 4},
    }

    name: Literal["painn"] = "painn"
    channels: PositiveInt = 128
    num_layers: PositiveInt = 3
    num_radial: PositiveInt = 20
    radial: RadialName = "bessel"
    envelope: EnvelopeName = "cosine"


class Message(nn.Module):
    """Fig. 2b."""

    def __init__(self, channels: int, num_radial: int) -> None:
        super().__init__()
        self.phi = mlp(channels, channels, 3 * channels)
        self.filter = RadialLinear(num_radial, 3, channels)

    def forward(
        self,
        s: Scalars,
        v: Vectors,
        distances: Distances,
        harmonics: Float[Tensor, "edges 4"],
        batch: AtomicBatch,
    ) -> tuple[Scalars, Vectors]:
        """The new s and v."""
        x = sent(self.phi(s.squeeze(1)).unflatten(-1, (3, -1)), v)
        return received(s, v, edge_product(MESSAGE, x, harmonics, self.filter(distances), batch))


class Update(nn.Module):
    """Fig. 2c."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = dense(channels, 2 * channels, bias=False)  # U and V side by side
        self.attend = mlp(2 * channels, channels, 3 * channels)

    def forward(self, s: Scalars, v: Vectors) -> tuple[Scalars, Vectors]:
        """The new s and v."""
        uw = self.mix(v).unflatten(-1, (2, -1)).flatten(1, 2)
        factors = self.attend(invariants(s, uw).flatten(1))
        return exchanged(s, v, uw, factors.unflatten(-1, (3, -1)))


class PaiNN(nn.Module):
    """Scalars and vectors of every atom after `num_layers` rounds of message and update."""

    def __init__(self, config: PaiNNConfig, statistics: Statistics) -> None:
        super().__init__()
        self.cutoff = config.cutoff
        self.envelope: EnvelopeName = config.envelope
        self.irreps = Irreps.parse(f"{config.channels}x0e + {config.channels}x1o")
        self.basis = Spherical()
        self.embedding = AtomicEmbedding(statistics.elements, config.channels)
        self.radial = radial_basis(config.radial, config.num_radial, config.cutoff)
        rounds = range(config.num_layers)
        self.messages = nn.ModuleList(Message(config.channels, config.num_radial) for _ in rounds)
        self.updates = nn.ModuleList(Update(config.channels) for _ in rounds)

    def energy_readout(self) -> DenseReadout:
        """F → F/2 → 1."""
        return DenseReadout(self.irreps.channels("0e"))

    def distances(self, r: Float[Tensor, " edges"]) -> Distances:
        """With the radial basis and the cutoff function."""
        return Distances(r, self.radial, lambda d: envelope(self.envelope, d, self.cutoff))

    def forward(self, batch: AtomicBatch) -> Features:
        """Features 0e and 1o."""
        s = self.embedding(batch.species)[:, None]
        v = s.new_zeros(s.shape[0], 3, s.shape[2])
        vectors = batch.vectors().to(s.dtype)
        distances = self.distances(vectors.norm(dim=-1)).mirrored(batch)
        harmonics = self.basis.packed_harmonics(vectors, (0, 1))
        for message, update in zip(self.messages, self.updates, strict=True):
            s, v = message(s, v, distances, harmonics, batch)
            s, v = update(s, v)
        return Features(irreps=self.irreps, blocks=(s, v))
