"""TensorNet: every atom carries 3 × 3 matrices, and their products are the only tensor operation.

G. Simeon, G. De Fabritiis, NeurIPS 2023 (arXiv:2306.06482).

    matrices      X_i = I_i + A_i + S_i: a multiple of one, antisymmetric, symmetric traceless; F of each atom
    embedding     X_i = Σ_j φ(r_ij) Z_ij (f_I 1 + f_A [r̂_ij]_× + f_S (r̂_ij r̂_ijᵀ − 1/3)),   Z_ij = [a_zi, a_zj] W + b
                  [n_I, n_A, n_S] = MLP(LayerNorm(|X_i|²)),   X_i ← n_I I_i W_I + n_A A_i W_A + n_S S_i W_S
    interaction   X_i ← X_i/(|X_i|² + 1),   Y_i = I_i W_1 + A_i W_2 + S_i W_3
                  M_i = Σ_j φ(r_ij) (f_I I_j + f_A A_j + f_S S_j) of Y_j,   [f_I, f_A, f_S] = MLP(g(r_ij))
                  C_i = Y_i M_i + M_i Y_i;   ΔX_i = I W_4 + A W_5 + S W_6 of C_i/(|C_i|² + 1)
                  X_i ← X_i + ΔX_i + ΔX_i²
    scalars       s_i = SiLU(LayerNorm([|I_i|², |A_i|², |S_i|²]) W + b)

Sums over j include i itself, with r̂ = 0. Squared norms alone: nothing is singular where a matrix vanishes. Stored are
irreducible parts (0e, 1o, 2e) in which |X|² is the sum of squares; `tensor/matrix.py`.
"""

from itertools import pairwise
from math import sqrt
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.kernels import EdgeProduct, Path, edge_product
from equipot.models.architecture import SteerableConfig
from equipot.nn.activation import SiLU
from equipot.nn.cutoff import EnvelopeName, envelope
from equipot.nn.dense import AtomicEmbedding, Linear
from equipot.nn.matrices import damped, damped_product, with_square
from equipot.nn.radial import ExpNormal
from equipot.nn.radial_network import Distances, RadialLinear, RadialNetwork, values
from equipot.nn.readout import DenseReadout
from equipot.statistics import Statistics
from equipot.tensor.basis import TensorBasis, get_basis
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, VECTOR, Irrep, Irreps
from equipot.tensor.product import linear

PARTS = (SCALAR, VECTOR, Irrep(2, 1))
# the parts of 1, [r̂]_× and r̂ r̂ᵀ − 1/3 are these multiples of the harmonics, whose norm is √(2l+1)
SCALES = (sqrt(3), sqrt(2 / 3), sqrt(2 / 15))


class TensorNetConfig(SteerableConfig):
    """Hyper-parameters of TensorNet."""

    presets: ClassVar = {
        "small": {"channels": 64, "num_layers": 1},
        "medium": {"channels": 128, "num_layers": 2},
        "large": {"channels": 256, "num_layers": 3},
    }

    name: Literal["tensornet"] = "tensornet"
    cutoff: PositiveFloat = 4.5  # Å
    channels: PositiveInt = 128
    num_layers: PositiveInt = 2
    num_radial: PositiveInt = 32
    trainable_radial: bool = False  # centres and widths of the radial functions
    envelope: EnvelopeName = "cosine"
    group: Literal["O(3)", "SO(3)"] = "O(3)"  # SO(3): C = 2 Y M, which tells mirror images apart


def activated(*sizes: int) -> nn.Sequential:
    """Linear layers with SiLU behind each, the last included."""
    layers: list[nn.Module] = []
    for num_in, num_out in pairwise(sizes):
        layers += [Linear(num_in, num_out), SiLU()]
    return nn.Sequential(*layers)


def parts_of(x: Float[Tensor, "atoms parts channels"], basis: TensorBasis) -> tuple[Tensor, ...]:
    """I, A and S, which lie behind one another along the component axis."""
    return x.split([basis.dim(irrep.l) for irrep in PARTS], dim=1)


def spread(
    factors: Float[Tensor, "rows 3 channels"], basis: TensorBasis
) -> Float[Tensor, "rows parts channels"]:
    """A factor for each of I, A and S, repeated for its components."""
    pairs = zip(factors.split(1, dim=1), PARTS, strict=True)
    return torch.cat([factor.expand(-1, basis.dim(irrep.l), -1) for factor, irrep in pairs], dim=1)


def squared_norm(x: Float[Tensor, "atoms parts channels"]) -> Float[Tensor, "atoms 1 channels"]:
    """|X|² = Σ_ab X_ab²."""
    return x.square().sum(1, keepdim=True)


class Mix(nn.Module):
    """I W_I + A W_A + S W_S."""

    def __init__(self, channels: int, basis: TensorBasis) -> None:
        super().__init__()
        self.basis = basis
        self.linear = nn.ModuleList(Linear(channels, channels, bias=False) for _ in PARTS)

    def forward(self, x: Float[Tensor, "atoms parts channels"]) -> Float[Tensor, "atoms parts channels"]:
        """Mixed channels of each part."""
        pairs = zip(self.linear, parts_of(x, self.basis), strict=True)
        # contiguous: one product of matrices, where PyTorch would make one per atom
        return torch.cat([linear(part.contiguous()) for linear, part in pairs], dim=1)


class Embedding(nn.Module):
    """The first matrices, from directions and pairs of elements."""

    def __init__(self, config: TensorNetConfig, elements: tuple[int, ...], basis: TensorBasis) -> None:
        super().__init__()
        f = config.channels
        self.basis = basis
        paths = tuple(Path(0, n, n, scale) for n, scale in enumerate(SCALES))
        self.spec = EdgeProduct(inputs=(SCALAR,), edge=PARTS, outputs=PARTS, paths=paths, basis=basis.name)
        self.atoms = AtomicEmbedding(elements, f, num_rows=128)
        self.pairs = Linear(2 * f, f)
        self.filters = RadialLinear(config.num_radial, 3, f)  # f_I, f_A, f_S side by side
        self.filters.reset_parameters()
        self.norm = nn.LayerNorm(f)
        self.scalars = activated(f, 2 * f, 3 * f)
        self.mix = Mix(f, basis)

    def forward(
        self,
        distances: Distances,
        itself: Distances,
        harmonics: Float[Tensor, "edges harmonics"],
        batch: AtomicBatch,
    ) -> Float[Tensor, "atoms parts channels"]:
        """X of every atom; `itself`: r = 0."""
        # Z_ij is a sum of what i and what j brings
        of_center, of_neighbor = self._elements(batch)
        filters = self.filters(distances)
        own = edge_product(self.spec, None, harmonics, filters, batch)
        x = of_center * own + edge_product(self.spec, of_neighbor, harmonics, filters, batch)
        one, *others = parts_of(x, self.basis)
        at_zero = SCALES[0] * values(self.filters(itself))[:, :1]
        x = torch.cat([one + at_zero * (of_center + of_neighbor), *others], dim=1)
        factors = self.scalars(self.norm(squared_norm(x)[:, 0])).unflatten(-1, (3, -1))
        return spread(factors, self.basis) * self.mix(x)

    def _elements(
        self, batch: AtomicBatch
    ) -> tuple[Float[Tensor, "atoms 1 channels"], Float[Tensor, "atoms 1 channels"]]:
        """The halves of Z: [a_i, a_j] W + b = (a_i W_1 + b) + a_j W_2, looked up by element."""
        weight, neighbor = self.pairs.weight.chunk(2, dim=1)
        a = self.atoms(torch.arange(len(self.atoms.atomic_numbers), device=batch.species.device))
        center = linear(a, weight, self.pairs.bias)
        rows = (t.index_select(0, batch.species)[:, None] for t in (center, linear(a, neighbor)))
        return next(rows), next(rows)


class Interaction(nn.Module):
    """Neighbors' matrices, weighed and summed, times one's own."""

    def __init__(self, config: TensorNetConfig, basis: TensorBasis) -> None:
        super().__init__()
        f = config.channels
        self.basis, self.both_orders = basis, config.group == "O(3)"
        paths = tuple(Path(n, 0, n) for n in range(3))
        self.spec = EdgeProduct(inputs=PARTS, edge=(SCALAR,), outputs=PARTS, paths=paths, basis=basis.name)
        layers = activated(config.num_radial, f, 2 * f, 3 * f)
        self.filters = RadialNetwork(layers, 3, envelope="result")
        self.before, self.after = Mix(f, basis), Mix(f, basis)

    def forward(
        self,
        x: Float[Tensor, "atoms parts channels"],
        distances: Distances,
        itself: Distances,
        harmonics: Float[Tensor, "edges harmonics"],
        batch: AtomicBatch,
    ) -> Float[Tensor, "atoms parts channels"]:
        """X after the exchange; `itself`: r = 0."""
        x = damped(x)
        y = self.before(x)
        m = (
            edge_product(self.spec, y, harmonics[:, :1], self.filters(distances), batch)
            + spread(values(self.filters(itself)), self.basis) * y
        )
        dx = self.after(damped_product(y, m, self.basis, self.both_orders))
        return with_square(x, dx, self.basis)


class TensorNet(nn.Module):
    """Scalars and the matrices of every atom, as 0e, 1o and 2e, after `num_layers` interactions."""

    def __init__(self, config: TensorNetConfig, statistics: Statistics) -> None:
        super().__init__()
        self.cutoff = config.cutoff
        self.envelope: EnvelopeName = config.envelope
        self.basis = get_basis(config.tensor_basis)
        self.irreps = Irreps.uniform(config.channels, PARTS)
        self.radial = ExpNormal(config.num_radial, config.cutoff, config.trainable_radial)
        self.embedding = Embedding(config, statistics.elements, self.basis)
        self.interactions = nn.ModuleList(Interaction(config, self.basis) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(3 * config.channels)
        self.invariants = activated(3 * config.channels, config.channels)

    def energy_readout(self) -> DenseReadout:
        """F → F/2 → 1."""
        return DenseReadout(self.irreps.channels(SCALAR))

    def distances(self, r: Float[Tensor, " edges"]) -> Distances:
        """With the radial basis and the cutoff function."""
        return Distances(r, self.radial, lambda d: envelope(self.envelope, d, self.cutoff))

    def forward(self, batch: AtomicBatch) -> Features:
        """Features 0e, 1o and 2e."""
        vectors = batch.vectors().to(self.norm.weight.dtype)
        distances, itself = (
            self.distances(vectors.norm(dim=-1)).mirrored(batch),
            self.distances(vectors.new_zeros(1)),
        )
        harmonics = self.basis.packed_harmonics(vectors, range(3))
        x = self.embedding(distances, itself, harmonics, batch)
        for interaction in self.interactions:
            x = interaction(x, distances, itself, harmonics, batch)
        _, vector, symmetric = parts = parts_of(x, self.basis)
        s = self.invariants(self.norm(torch.cat([part.square().sum(1) for part in parts], dim=-1)))
        return Features(self.irreps, (s[:, None], vector, symmetric))
