"""Allegro: scalars and tensors of ordered pairs of atoms, strictly local.

A. Musaelian, S. Batzner, A. Johansson, L. Sun, C. J. Owen, M. Kornbluth, B. Kozinsky, Nat. Commun. 14, 579 (2023)
(arXiv:2204.05249).

    two bodies    x_ij = u(r_ij) MLP([1_{z_i}, 1_{z_j}, b(r_ij) u(r_ij)]),   V_ij^l = (x_ij W^l) ∘ Y_l(r̂_ij)
    environment   A_i^l = N̄^(−1/2) Σ_k (x_ik W'^l) ∘ Y_l(r̂_ik)
    product       P_ij = V_ij ⊗ A_i, channel by channel, every path apart;   V_ij ← Linear(P_ij)
    latents       x_ij ← (x_ij + γ u(r_ij) MLP([x_ij, scalars of P_ij])) (1 + γ²)^(−1/2),   γ = ½
    read-out      E_i = N̄^(−1/2) Σ_j e(x_ij), e linear

Y: harmonics; u: polynomial envelope; b: Bessel functions; N̄: mean number of neighbors. No atom hears of what its
neighbors hear of: E_i depends on what lies within one cutoff of atom i. The environment of i sums over the same pairs
whatever j is, so that products with all neighbors cost no more than one (the density trick of the atomic cluster
expansion), and every layer adds one order of correlation.

`form: current` is what later releases of the authors' code do: x_ij = MLP of a product of elements and distances;
every layer adds its scalars to those before instead of mixing them; products are summed over the paths with one weight
per path and channel; what vanishes at the cutoff is the input of the networks, which have no biases. The read-out stays
linear here, and the factor of the last sum is (2N̄)^(−1/2).

Differs from the paper: weights are drawn from N(0, 1) instead of the uniform distribution of the same variance.
"""

from collections.abc import Collection
from math import sqrt
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.kernels import edge_sum
from equipot.models.architecture import SteerableConfig
from equipot.nn.cutoff import polynomial_cutoff
from equipot.nn.dense import NormalizedLinear, normalized_mlp
from equipot.nn.density import DensityProjection
from equipot.nn.pair_embedding import ConcatenatedPair, PairEmbedding, ProductPair, SplinePair
from equipot.nn.pair_product import PairProduct, PathSum
from equipot.nn.radial import Bessel
from equipot.nn.readout import LinearReadout
from equipot.statistics import Statistics
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irrep, Irreps, products
from equipot.tensor.linear import IrrepsLinear


class AllegroConfig(SteerableConfig):
    """Hyper-parameters of Allegro."""

    presets: ClassVar = {
        "small": {
            "channels": 16,
            "num_layers": 1,
            "two_body": (32, 64),
            "latent": (64, 64),
            "readout_hidden": (32,),
        },
        "medium": {},
        "large": {
            "channels": 128,
            "l_max": 3,
            "num_layers": 3,
            "two_body": (128, 256, 512, 1024),
            "latent": (1024, 1024, 1024),
            "readout_hidden": (128,),
        },
    }

    name: Literal["allegro"] = "allegro"
    form: Literal["published", "current"] = "published"
    channels: PositiveInt = 32  # of the tensors, for each irrep
    l_max: NonNegativeInt = 2  # of tensors and harmonics
    parity: bool = True  # false: tensors of natural parity, (−1)^l, alone
    num_layers: PositiveInt = 2
    radial: Literal["bessel", "spline"] = "bessel"  # spline: a curve per pair of elements
    num_radial: PositiveInt = 8
    trainable_radial: bool = False  # frequencies of the Bessel functions
    envelope_power: PositiveInt = 6
    two_body: tuple[PositiveInt, ...] = (64, 128)  # widths, the last one that of x
    latent: tuple[PositiveInt, ...] = (128, 128)  # widths of the network of every layer
    trainable_update: bool = False  # γ of every layer, the logistic function of a parameter; form published
    readout_hidden: tuple[PositiveInt, ...] = (64,)
    # In the published numbers of parameters, and of no use with reference energies.
    mix_last: bool = False  # path weights of the last scalar tensors, which nothing reads; form published
    species_shifts: bool = False  # a trainable energy per element, which an isolated atom has, too

    @model_validator(mode="after")
    def _consistent(self) -> "AllegroConfig":
        if not self.two_body or not self.latent:
            raise ValueError("two_body and latent need at least one width")
        if self.radial == "spline" and self.num_radial < 4:
            raise ValueError(
                f"num_radial={self.num_radial}: radial=spline needs at least four, as many as overlap."
            )
        if self.form == "published" and self.two_body[-1] != self.latent[-1]:
            raise ValueError(
                f"two_body ends with {self.two_body[-1]} and latent with {self.latent[-1]}: the published form adds "
                "the scalars of all layers. Give both the same last width, or set form=current."
            )
        if self.form == "current" and (self.trainable_update or self.mix_last):
            raise ValueError(
                "trainable_update and mix_last belong to form=published; form=current has neither."
            )
        return self

    @property
    def strictly_local(self) -> bool:
        """No atom hears of what its neighbors hear of, nor of the system, unless it is told a condition."""
        return not self.conditions


def tensor_irreps(config: AllegroConfig, outputs: Collection[Irrep]) -> list[list[Irrep]]:
    """Irreps of V before the first and after every layer: what products reach, and what still leads to an output."""
    natural = [Irrep.natural(l) for l in range(config.l_max + 1)]
    parities = (1, -1) if config.parity else (1,)
    allowed = {Irrep(l, p * (-1) ** l) for l in range(config.l_max + 1) for p in parities}
    irreps = [natural]
    for t in range(config.num_layers):
        wanted = allowed & {SCALAR, *outputs} if t == config.num_layers - 1 else allowed
        irreps.append(sorted({c for a in irreps[-1] for b in natural for c in products(a, b)} & wanted))
    for t in reversed(range(config.num_layers)):
        after = irreps[t + 1]
        irreps[t] = [a for a in irreps[t] if any(c in after for b in natural for c in products(a, b))]
    return irreps


class Layer(nn.Module):
    """Environment, product and latents."""

    def __init__(
        self,
        config: AllegroConfig,
        num_scalars: int,
        irreps_in: list[Irrep],
        irreps_out: list[Irrep],
        statistics: Statistics,
        last: bool,
    ) -> None:
        super().__init__()
        channels, basis = config.channels, config.tensor_basis
        natural = [Irrep.natural(l) for l in range(config.l_max + 1)]
        per_neighbor = 1 / sqrt(statistics.mean_neighbors)
        self.weights = NormalizedLinear(num_scalars, len(natural) * channels, per_neighbor)
        self.environment = DensityProjection(None, channels, config.l_max, natural, basis)
        self.product = PairProduct(
            Irreps.uniform(channels, irreps_in), self.environment.irreps_out, irreps_out, basis
        )
        if config.form == "published":
            used = [irrep for irrep in irreps_out if irrep != SCALAR or not last or config.mix_last]
            self.mix: IrrepsLinear | PathSum = IrrepsLinear(
                self.product.irreps_out, Irreps.uniform(channels, used)
            )
            seen = self.product.irreps_out.channels(SCALAR)
            if last and config.mix_last:
                self.mix.weights[str(SCALAR)].requires_grad_(False)
        else:
            self.mix, seen = PathSum(self.product.irreps_out, channels), channels
        self.latent = normalized_mlp(num_scalars + seen, *config.latent)
        if config.trainable_update:
            self.update: Tensor = nn.Parameter(torch.zeros(()))
        else:
            self.register_buffer("update", torch.zeros(()), persistent=False)

    def forward(
        self,
        x: Float[Tensor, "edges scalars"],
        v: Features,
        cut: Float[Tensor, " edges"],
        harmonics: Float[Tensor, "edges harmonics"],
        batch: AtomicBatch,
    ) -> tuple[Float[Tensor, "edges scalars_out"], Features]:
        """The scalars and tensors of the next layer."""
        weights = self.weights(x).unflatten(-1, (self.environment.num_paths, -1))
        around = self.environment(None, harmonics, weights, batch)
        if isinstance(self.mix, PathSum):
            v = self.product(v, around, batch.row_pointer, self.mix)
            return torch.cat([x, self.latent(torch.cat([x, v.scalars], dim=-1))], dim=-1), v
        paths = self.product(v, around, batch.row_pointer)
        v = self.mix(paths)
        ratio = torch.sigmoid(self.update)
        new = cut[:, None] * self.latent(torch.cat([x, paths.scalars], dim=-1))
        return (x + ratio * new) * (1 + ratio**2).rsqrt(), v


class Allegro(nn.Module):
    """Sums over the neighbors of the scalars and tensors of all pairs."""

    def __init__(self, config: AllegroConfig, statistics: Statistics, outputs: Collection[Irrep]) -> None:
        super().__init__()
        self.config, self.basis = config, get_basis(config.tensor_basis)
        self.published = config.form == "published"
        irreps = tensor_irreps(config, outputs)
        added = 0 if self.published else config.latent[-1]
        widths = [config.two_body[-1] + t * added for t in range(config.num_layers + 1)]
        self.embedding = pair_embedding(config, len(statistics.elements))
        self.two_body = normalized_mlp(*config.two_body)
        self.weights = NormalizedLinear(widths[0], len(irreps[0]) * config.channels)
        self.layers = nn.ModuleList(
            Layer(config, widths[t], irreps[t], irreps[t + 1], statistics, last=t == config.num_layers - 1)
            for t in range(config.num_layers)
        )
        self.per_neighbor = 1 / sqrt(statistics.mean_neighbors * (1 if self.published else 2))
        self.shifts = nn.Parameter(torch.zeros(len(statistics.elements))) if config.species_shifts else None
        tensors = [(config.channels, irrep) for irrep in irreps[-1] if irrep != SCALAR]
        self.irreps_of_pairs = Irreps(((widths[-1], SCALAR), *tensors))
        self.irreps = Irreps(((widths[-1] + config.species_shifts, SCALAR), *tensors))

    def energy_readout(self) -> LinearReadout:
        """F → 128 → 1, linear."""
        channels = self.irreps_of_pairs.channels(SCALAR)
        return LinearReadout(channels, *self.config.readout_hidden, offset=self.config.species_shifts)

    def pair_features(self, batch: AtomicBatch) -> Features:
        """What every edge i ← j adds to the features of its center i, one row per edge."""
        dtype = self.weights.weight.dtype
        vectors = batch.vectors().to(dtype)
        r = vectors.norm(dim=-1)
        cut = polynomial_cutoff(r, self.config.cutoff, self.config.envelope_power)
        harmonics = self.basis.packed_harmonics(vectors, range(self.config.l_max + 1))
        x = self.two_body(self.embedding(r, cut, batch.species[batch.receivers], batch.species_of_senders()))
        x = cut[:, None] * x if self.published else x
        v = self._initial_tensors(x, harmonics)
        for layer in self.layers:
            x, v = layer(x, v, cut, harmonics, batch)
        blocks = (x[:, None], *(v[irrep] for irrep in self.irreps_of_pairs.labels[1:]))
        return Features(self.irreps_of_pairs, tuple(self.per_neighbor * block for block in blocks))

    def _initial_tensors(
        self, x: Float[Tensor, "edges scalars"], harmonics: Float[Tensor, "edges harmonics"]
    ) -> Features:
        labels = [Irrep.natural(l) for l in range(self.config.l_max + 1)]
        weights = self.weights(x)[:, None].chunk(len(labels), dim=-1)
        slots = harmonics[..., None].split([self.basis.dim(irrep.l) for irrep in labels], dim=1)
        blocks = tuple(w * y for w, y in zip(weights, slots, strict=True))
        return Features(Irreps.uniform(self.config.channels, labels), blocks)

    def forward(self, batch: AtomicBatch) -> Features:
        """Features of the atoms; 0e carries the shift of the element behind the scalars, where there are shifts."""
        pairs = self.pair_features(batch)
        scalars, *tensors = (edge_sum(block, batch) for block in pairs.blocks)
        if self.shifts is not None:
            scalars = torch.cat([scalars, self.shifts[batch.species, None, None]], dim=-1)
        return Features(self.irreps, (scalars, *tensors))


def pair_embedding(config: AllegroConfig, num_elements: int) -> PairEmbedding:
    """The first layer of the two-body network."""
    width = config.two_body[0]
    if config.radial == "spline":
        return SplinePair(config.num_radial, config.cutoff, num_elements, width)
    radial = Bessel(config.num_radial, config.cutoff, trainable=config.trainable_radial)
    kind = ConcatenatedPair if config.form == "published" else ProductPair
    return kind(radial, num_elements, width)
