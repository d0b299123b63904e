"""NequIP: convolutions of features of any degree, both parities, with gates between them.

S. Batzner, A. Musaelian, L. Sun, M. Geiger, J. P. Mailoa, M. Kornbluth, N. Molinari, T. E. Smidt, B. Kozinsky,
Nat. Commun. 13, 2453 (2022) (arXiv:2101.03164).

    convolution      m_i = N̄^(−1/2) Σ_j Σ_paths R(r_ij) [(h_j W)_l1 ⊗ Y_l2(r̂_ij)]_l3,   R = MLP(b(r) u(r))
    self-connection  y_i = m_i W' + h_i S^(z_i)
    nonlinearity     h_i ← Gate(y_i)

N̄: mean number of neighbors; b: Bessel functions; u: polynomial envelope; every path has its own channels in m.
"""

from collections.abc import Collection
from math import sqrt
from typing import ClassVar, Literal

from jaxtyping import Float, Int
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from equipot.batch import AtomicBatch
from equipot.models.architecture import SteerableConfig
from equipot.nn.cutoff import polynomial_cutoff
from equipot.nn.dense import normalized_mlp
from equipot.nn.density import DensityProjection
from equipot.nn.gate import FusedGate
from equipot.nn.radial import Bessel
from equipot.nn.radial_network import Distances, RadialNetwork
from equipot.nn.readout import LinearReadout
from equipot.nn.species import SpeciesLinear
from equipot.statistics import Statistics
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features, add
from equipot.tensor.irreps import SCALAR, Irrep, Irreps, products
from equipot.tensor.linear import IrrepsLinear


class NequIPConfig(SteerableConfig):
    """Hyper-parameters of NequIP."""

    presets: ClassVar = {
        "small": {"channels": 32, "l_max": 1, "num_layers": 3},
        "medium": {"channels": 32, "l_max": 2, "num_layers": 4},
        "large": {"channels": 64, "l_max": 3, "num_layers": 5},
    }

    name: Literal["nequip"] = "nequip"
    channels: PositiveInt = 32  # of every irrep
    l_max: NonNegativeInt = 2  # of features and harmonics
    parity: bool = True  # false: features of natural parity, (−1)^l, alone
    num_layers: PositiveInt = 4
    num_radial: PositiveInt = 8
    trainable_radial: bool = True  # frequencies of the Bessel functions
    radial_hidden: tuple[PositiveInt, ...] = (64, 64)
    envelope_power: PositiveInt = 6
    self_connection: Literal["all", "not first"] = "all"
    residual: bool = False  # h ← h + Gate(y) where the irreps agree
    prune: bool = True  # the last layer makes only what a head reads; false: all irreps, as first published
    readout_hidden: PositiveInt = 16


class Layer(nn.Module):
    """Convolution, self-connection and gate."""

    def __init__(
        self,
        config: NequIPConfig,
        irreps_in: Irreps,
        wanted: Collection[Irrep],
        statistics: Statistics,
        first: bool,
    ) -> None:
        super().__init__()
        basis, num_elements = config.tensor_basis, len(statistics.elements)
        channels = irreps_in[0][0]
        natural = [Irrep.natural(l) for l in range(config.l_max + 1)]
        reached = {c for a in irreps_in.labels for b in natural for c in products(a, b)}
        self.gate = FusedGate(Irreps.uniform(config.channels, sorted(reached & set(wanted))))
        self.before = IrrepsLinear(irreps_in, irreps_in)
        self.density = DensityProjection(irreps_in, channels, config.l_max, self.gate.irreps_in.labels, basis)
        sizes = (config.num_radial, *config.radial_hidden, self.density.num_paths * channels)
        layers = normalized_mlp(*sizes, scale=1 / sqrt(statistics.mean_neighbors))
        self.radial = RadialNetwork(layers, self.density.num_paths, envelope="basis")
        self.after = IrrepsLinear(self.density.irreps_out, self.gate.irreps_in)
        connected = config.self_connection == "all" or not first
        self.self_connection = (
            SpeciesLinear(irreps_in, self.gate.irreps_in, num_elements) if connected else None
        )
        self.residual = config.residual and irreps_in == self.gate.irreps_out

    def forward(
        self,
        h: Features,
        species: Int[Tensor, " atoms"],
        distances: Distances,
        harmonics: Float[Tensor, "edges harmonics"],
        batch: AtomicBatch,
    ) -> Features:
        """The features of the next layer."""
        y = self.after(self.density(self.before(h), harmonics, self.radial(distances), batch))
        if self.self_connection is not None:
            y = add(y, self.self_connection(h, species))
        return add(h, self.gate(y)) if self.residual else self.gate(y)


class NequIP(nn.Module):
    """Features of every atom after `num_layers` convolutions."""

    def __init__(self, config: NequIPConfig, statistics: Statistics, outputs: Collection[Irrep]) -> None:
        super().__init__()
        self.config, self.num_elements = config, len(statistics.elements)
        self.basis = get_basis(config.tensor_basis)
        self.radial = Bessel(config.num_radial, config.cutoff, trainable=config.trainable_radial)
        parities = (1, -1) if config.parity else (1,)
        hidden = {Irrep(l, p * (-1) ** l) for l in range(config.l_max + 1) for p in parities}
        self.embedding = IrrepsLinear(
            Irreps(((self.num_elements, SCALAR),)), Irreps(((config.channels, SCALAR),))
        )
        irreps, layers = self.embedding.irreps_out, []
        for t in range(config.num_layers):
            last = t == config.num_layers - 1
            wanted = hidden & {SCALAR, *outputs} if last and config.prune else hidden
            layers.append(Layer(config, irreps, wanted, statistics, first=t == 0))
            irreps = layers[-1].gate.irreps_out
        self.layers = nn.ModuleList(layers)
        self.irreps = irreps

    def energy_readout(self) -> LinearReadout:
        """F → 16 → 1, linear."""
        return LinearReadout(self.config.channels, self.config.readout_hidden)

    def distances(self, r: Float[Tensor, " edges"]) -> Distances:
        """With the radial basis and its envelope."""
        config = self.config
        return Distances(r, self.radial, lambda d: polynomial_cutoff(d, config.cutoff, config.envelope_power))

    def forward(self, batch: AtomicBatch) -> Features:
        """Features of the last layer."""
        vectors = batch.vectors().to(self.radial.dtype)
        distances = self.distances(vectors.norm(dim=-1)).mirrored(batch)
        harmonics = self.basis.packed_harmonics(vectors, range(self.config.l_max + 1))
        one_hot = functional.one_hot(batch.species, self.num_elements).to(vectors.dtype)
        h = self.embedding(Features(self.embedding.irreps_in, (one_hot[:, None],)))
        for layer in self.layers:
            h = layer(h, batch.species, distances, harmonics, batch)
        return h
