"""What MACE and ICTP have in common: densities of neighbors, their products on every atom, energies layer by layer.

    density     A_i = N̄^(−1) (Σ_j R(r_ij) [(h_j W)_l1 ⊗ Y_l2(r̂_ij)]_l3) W',   R = MLP(b(r) u(r))
    product     m_i = all products of up to ν copies of A_i, weighted by the element of atom i
    update      h_i ← m_i W'' + h_i S^(z_i)

They differ in how the products are made and stored. N̄: mean number of neighbors; b: Bessel functions; u: polynomial
envelope; S: a matrix for every element.
"""

from collections.abc import Callable, Collection
from typing import ClassVar

from jaxtyping import Float, Int
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from equipot.batch import AtomicBatch
from equipot.models.architecture import SteerableConfig
from equipot.nn.cutoff import polynomial_cutoff
from equipot.nn.interaction import Interaction, NeighborNorm
from equipot.nn.radial import Bessel
from equipot.nn.radial_network import Distances
from equipot.nn.readout import LayerwiseReadout
from equipot.nn.species import SpeciesLinear
from equipot.statistics import Statistics
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features, add, side_by_side
from equipot.tensor.irreps import SCALAR, Irrep, Irreps
from equipot.tensor.linear import IrrepsLinear

MakeProduct = Callable[[Irreps, Collection[Irrep]], nn.Module]


class ManyBodyConfig(SteerableConfig):
    """Hyper-parameters of both."""

    presets: ClassVar = {
        "small": {"channels": 64, "l_hidden": 0},
        "medium": {"channels": 96, "l_hidden": 1},
        "large": {"channels": 256, "l_hidden": 2},
    }

    channels: PositiveInt = 96  # of every irrep
    l_max: NonNegativeInt = 3  # of harmonics, densities and products on the way
    l_hidden: NonNegativeInt = 1  # of features that atoms tell their neighbors, natural parity
    correlation: PositiveInt = 3  # ν: factors of a product, one less than the bodies of a layer
    num_layers: PositiveInt = 2
    num_radial: PositiveInt = 8
    radial_hidden: tuple[PositiveInt, ...] = (64, 64, 64)
    envelope_power: PositiveInt = 5
    neighbor_norm: NeighborNorm = "mean"  # density: by each atom's own number of neighbors, counted smoothly
    exact_isolated_limit: bool = False  # atoms without neighbors have no energy but their reference
    element_weights: bool = True  # of products; false: shared by all elements
    readout_hidden: PositiveInt = 16

    @property
    def free_atoms_exact(self) -> bool:
        """With `exact_isolated_limit`, every contribution is a product with the neighbors."""
        return self.exact_isolated_limit

    @model_validator(mode="after")
    def _hidden_within(self) -> "ManyBodyConfig":
        if self.l_hidden > self.l_max:
            raise ValueError(
                f"l_hidden={self.l_hidden} exceeds l_max={self.l_max}: densities have no such irreps. Raise l_max."
            )
        return self


class Layer(nn.Module):
    """Density, product, update.

    With `isolated`, the matrices of the elements act on the density instead of the features of the layer before, so
    that without neighbors nothing comes out.
    """

    def __init__(
        self,
        config: ManyBodyConfig,
        interaction: Interaction,
        product: nn.Module,
        irreps_in: Irreps,
        wanted: Collection[Irrep],
        num_elements: int,
        isolated: bool,
    ) -> None:
        super().__init__()
        self.irreps_out = Irreps.uniform(config.channels, sorted(wanted))
        self.interaction, self.product, self.isolated = interaction, product, isolated
        self.after = IrrepsLinear(
            Irreps.uniform(interaction.irreps_out[0][0], self.irreps_out.labels), self.irreps_out
        )
        a = interaction.irreps_out
        self.self_connection = SpeciesLinear(
            *((a, a) if isolated else (irreps_in, self.irreps_out)), num_elements
        )

    def forward(
        self,
        h: Features,
        species: Int[Tensor, " atoms"],
        distances: Distances,
        harmonics: Float[Tensor, "edges harmonics"],
        batch: AtomicBatch,
    ) -> Features:
        """The features of the next layer."""
        a = self.interaction(h, distances, harmonics, batch)
        if self.isolated:
            return self.after(self.product(self.self_connection(a, species), species))
        return add(self.after(self.product(a, species)), self.self_connection(h, species))


class ManyBodyNetwork(nn.Module):
    """Features of every atom from all layers, side by side, the last layer's at the end."""

    def __init__(
        self,
        config: ManyBodyConfig,
        statistics: Statistics,
        outputs: Collection[Irrep],
        make_product: MakeProduct,
        *,
        product_channels: int | None = None,
        shared_variance: bool = False,
    ) -> None:
        super().__init__()
        self.config, self.num_elements = config, len(statistics.elements)
        self.basis = get_basis(config.tensor_basis)
        self.radial = Bessel(config.num_radial, config.cutoff)
        hidden = {Irrep.natural(l) for l in range(config.l_hidden + 1)}
        self.embedding = IrrepsLinear(
            Irreps(((self.num_elements, SCALAR),)), Irreps(((config.channels, SCALAR),))
        )
        irreps, layers = self.embedding.irreps_out, []
        for t in range(config.num_layers):
            wanted = hidden & {SCALAR, *outputs} if t == config.num_layers - 1 else hidden
            interaction = Interaction(
                irreps,
                product_channels or config.channels,
                config.l_max,
                (config.num_radial, *config.radial_hidden),
                statistics.mean_neighbors,
                config.tensor_basis,
                neighbor_norm=config.neighbor_norm,
                shared_variance=shared_variance,
            )
            product = make_product(interaction.irreps_out, wanted)
            isolated = config.exact_isolated_limit and t == 0
            layers.append(Layer(config, interaction, product, irreps, wanted, self.num_elements, isolated))
            irreps = layers[-1].irreps_out
        self.layers = nn.ModuleList(layers)
        everything = [layer.irreps_out for layer in layers]
        self.irreps = Irreps(
            tuple((sum(i.channels(irrep) for i in everything), irrep) for irrep in everything[0].labels)
        )

    def energy_readout(self) -> LayerwiseReadout:
        """Σ_t w_t · s_i^t over the layers but the last, and MLP(s_i^T), K → 16 → 1."""
        config = self.config
        return LayerwiseReadout([config.channels] * config.num_layers, config.readout_hidden)

    def distances(self, r: Float[Tensor, " edges"]) -> Distances:
        """With the radial basis and its envelope."""
        config = self.config
        return Distances(r, self.radial, lambda d: polynomial_cutoff(d, config.cutoff, config.envelope_power))

    def forward(self, batch: AtomicBatch) -> Features:
        """Features of all layers."""
        vectors = batch.vectors().to(self.radial.dtype)
        distances = self.distances(vectors.norm(dim=-1)).mirrored(batch)
        harmonics = self.basis.packed_harmonics(vectors, range(self.config.l_max + 1))
        one_hot = functional.one_hot(batch.species, self.num_elements).to(vectors.dtype)
        h = self.embedding(Features(self.embedding.irreps_in, (one_hot[:, None],)))
        every = []
        for layer in self.layers:
            h = layer(h, batch.species, distances, harmonics, batch)
            every.append(h)
        return side_by_side(every)
