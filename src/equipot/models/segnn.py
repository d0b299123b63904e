"""SEGNN: messages and updates are perceptrons of tensors, steered by the directions of the neighbors.

J. Brandstetter, R. Hesselink, E. van der Pol, E. J. Bekkers, M. Welling, ICLR 2022 (arXiv:2110.02905).

    attributes  ã_ij = Y(r̂_ij),   ã_i = ⟨ã_ij⟩_j + Y(velocity_i) + …,   ã_0 = 1
    message     m_ij = gate(W_ã_ij gate(W_ã_ij [h_i ⊕ h_j ⊕ d_ij²]))
    update      h_i ← h_i + W_ã_i gate(W_ã_i [h_i ⊕ Σ_j m_ij])
    output      W_ã_i gate(W_ã_i h_i),   e_i = MLP of its scalars

W_ã: steerable linear layers, `nn/steerable.py`; gate: SiLU of scalars, sigmoid gates of tensors.

Differs from the paper, so that energies are smooth and add: f_cut(r) = polynomial envelope in Σ_j f_cut m_ij / √N̄ and
⟨ã_ij⟩ = Σ_j f_cut ã_ij / N̄ with N̄ the mean number of neighbors (`envelope: none` is the published Σ_j m_ij and mean);
no instance norm (`norm: instance`); and the layers behind the mean over atoms, C → C → 1, act on every atom and the
energies e_i are added, since a perceptron of a mean makes no extensive energy.
"""

from collections.abc import Collection, Sequence
from math import sqrt
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from equipot.batch import AtomicBatch, AtomicVector
from equipot.kernels import edge_sum
from equipot.models.architecture import SteerableConfig
from equipot.nn.atomic_vectors import AtomicVectors
from equipot.nn.cutoff import polynomial_cutoff
from equipot.nn.instance_norm import InstanceNorm
from equipot.nn.readout import DenseReadout
from equipot.nn.steerable import (
    SteerableLinear,
    Steering,
    SteeringMatrices,
    balanced_channels,
    rows_of,
    total,
)
from equipot.statistics import Statistics
from equipot.tensor.basis import get_basis, spherical_harmonics
from equipot.tensor.features import Features, add, side_by_side
from equipot.tensor.gate import Gate
from equipot.tensor.irreps import SCALAR, Irrep, Irreps


class SEGNNConfig(SteerableConfig):
    """Hyper-parameters of SEGNN."""

    presets: ClassVar = {
        "small": {"channels": 48, "l_features": 1, "l_attributes": 1, "num_layers": 3},
        "medium": {"channels": 64, "l_features": 1, "l_attributes": 2, "num_layers": 4},
        "large": {"channels": 128, "l_features": 2, "l_attributes": 3, "num_layers": 7},
    }

    name: Literal["segnn"] = "segnn"
    channels: PositiveInt = 64  # of a layer of scalars with as many weights; each irrep has fewer
    l_features: NonNegativeInt = 1
    l_attributes: NonNegativeInt = 2
    num_layers: PositiveInt = 4
    embedding_layers: Literal[1, 2] = 1
    distance: Literal["squared", "plain"] = "squared"
    envelope: Literal["polynomial", "none"] = "polynomial"
    envelope_power: PositiveInt = 6
    norm: Literal["none", "instance"] = "none"
    inputs: tuple[AtomicVector, ...] = ()  # what the model reads of every atom beside its element
    input_harmonics: Literal["solid", "directions"] = "solid"  # solid: smooth where an input vanishes

    @model_validator(mode="after")
    def _reachable(self) -> "SEGNNConfig":
        if self.l_attributes < self.l_features:
            raise ValueError("l_attributes must be at least l_features: tensors are made of attributes")
        if len(set(self.inputs)) < len(self.inputs):
            raise ValueError("inputs must differ")
        return self

    @property
    def atomic_inputs(self) -> tuple[AtomicVector, ...]:
        """Those that `inputs` names."""
        return self.inputs


class GatedLinear(nn.Module):
    """gate(W_ã h)."""

    def __init__(self, irreps_in: Irreps, attribute: Collection[Irrep], irreps_out: Irreps) -> None:
        super().__init__()
        self.gate = Gate(irreps_out, gates="sigmoid")
        self.linear = SteerableLinear(irreps_in, attribute, self.gate.irreps_in)

    def forward(self, h: Features, matrices: SteeringMatrices) -> Features:
        """One layer of a steerable perceptron."""
        return self.gate(self.linear(h, matrices))


class Perceptron(nn.Module):
    """W_ã gate(W_ã h)."""

    def __init__(
        self, irreps_in: Irreps, attribute: Collection[Irrep], hidden: Irreps, irreps_out: Irreps
    ) -> None:
        super().__init__()
        self.gated = GatedLinear(irreps_in, attribute, hidden)
        self.linear = SteerableLinear(hidden, attribute, irreps_out)

    def forward(self, h: Features, matrices: SteeringMatrices) -> Features:
        """Two layers, the last without a gate."""
        return self.linear(self.gated(h, matrices), matrices)


class Message(nn.Module):
    """m_ij, Eqs. 7 and 8. The first weights act on the atoms, before features go to the edges: the same, for less."""

    def __init__(self, hidden: Irreps, attribute: Collection[Irrep]) -> None:
        super().__init__()
        self.channels = hidden[0][0]
        both = Irreps(tuple((2 * n + (irrep == SCALAR), irrep) for n, irrep in hidden))
        self.first = GatedLinear(both, attribute, hidden)
        self.second = GatedLinear(hidden, attribute, hidden)

    def forward(
        self, h: Features, distance: Features, matrices: SteeringMatrices, batch: AtomicBatch
    ) -> Features:
        """The messages of the edges."""
        first = self.first.linear
        receiver = rows_of(first.mix(h), batch.receivers)
        sender = rows_of(batch.all_of_senders(first.mix(h, self.channels)), batch.senders)
        mixed = total(receiver, sender, first.mix(distance, 2 * self.channels))
        return self.second(self.first.gate(first.steer(mixed, matrices)), matrices)


class Layer(nn.Module):
    """Messages, their sum, and the update of the atoms."""

    def __init__(self, hidden: Irreps, edge: Collection[Irrep], node: Collection[Irrep], norm: bool) -> None:
        super().__init__()
        self.message = Message(hidden, edge)
        self.update = Perceptron(Irreps(tuple((2 * n, irrep) for n, irrep in hidden)), node, hidden, hidden)
        self.norm = InstanceNorm(hidden) if norm else None

    def forward(
        self,
        h: Features,
        distance: Features,
        weights: Float[Tensor, "edges 1 1"],
        edges: SteeringMatrices,
        nodes: SteeringMatrices,
        batch: AtomicBatch,
    ) -> Features:
        """The features of the next layer."""
        message = self.message(h, distance, edges, batch)
        sums = tuple(edge_sum(weights * block, batch) for block in message.blocks)
        h = add(h, self.update(side_by_side([h, Features(h.irreps, sums)]), nodes))
        return h if self.norm is None else self.norm(h, batch)


class SEGNN(nn.Module):
    """Features of every atom after `num_layers` messages and updates."""

    def __init__(self, config: SEGNNConfig, statistics: Statistics, outputs: Collection[Irrep]) -> None:
        super().__init__()
        self.config, self.mean_neighbors = config, statistics.mean_neighbors
        self.basis, self.num_elements = get_basis(config.tensor_basis), len(statistics.elements)
        directions = config.input_harmonics == "directions"
        self.vectors = AtomicVectors(config.inputs, config.l_attributes, statistics, directions)
        edge = [Irrep.natural(l) for l in range(config.l_attributes + 1)]
        node = sorted({*edge, *self.vectors.irreps})
        natural = [irrep for irrep in edge if irrep.l <= config.l_features]
        n = balanced_channels(config.channels, natural, edge)
        hidden = Irreps.uniform(n, [irrep for irrep in node if irrep.l <= config.l_features])
        inputs = self.vectors.features_beside(self.num_elements)
        read = ((n, irrep) for irrep in hidden.labels if irrep in outputs and irrep != SCALAR)
        self.irreps = Irreps(((n * len(natural), SCALAR), *read))

        self.edge_steering = Steering(hidden.labels, edge, hidden.labels, config.tensor_basis)
        sources = {*hidden.labels, *inputs.labels}
        self.node_steering = Steering(sources, node, hidden.labels, config.tensor_basis)
        deep = config.embedding_layers == 2
        self.embedding = (
            Perceptron(inputs, node, hidden, hidden) if deep else SteerableLinear(inputs, node, hidden)
        )
        norm = config.norm == "instance"
        self.layers = nn.ModuleList(Layer(hidden, edge, node, norm) for _ in range(config.num_layers))
        self.output = Perceptron(hidden, node, hidden, self.irreps)

    def energy_readout(self) -> DenseReadout:
        """C → C → 1, C as many scalars as a hidden feature has channels."""
        channels = self.irreps.channels(SCALAR)
        return DenseReadout(channels, hidden=channels)

    def forward(self, batch: AtomicBatch) -> Features:
        """Scalars, and the tensors that a head can read."""
        dtype = self.output.linear.bias.dtype
        vectors = batch.vectors().to(dtype)
        r = vectors.norm(dim=-1)
        per_message, per_attribute = self._neighbor_weights(r, batch)
        harmonics = spherical_harmonics(vectors, self.config.l_attributes)
        attribute = [edge_sum(per_attribute * y, batch) for y in harmonics[1:]]
        edges = self.edge_steering(_attribute(harmonics))
        ones = vectors.new_ones(batch.num_atoms, 1)
        nodes = self.node_steering(self.vectors.add_to(_attribute([ones, *attribute]), batch))

        length = r.square() if self.config.distance == "squared" else r
        distance = Features(Irreps(((1, SCALAR),)), (length[:, None, None],))
        h = self.embedding(self._inputs(batch, dtype), nodes)
        for layer in self.layers:
            h = layer(h, distance, per_message[..., None], edges, nodes, batch)
        return self.output(h, nodes)

    def _neighbor_weights(
        self, r: Float[Tensor, " edges"], batch: AtomicBatch
    ) -> tuple[Float[Tensor, "edges 1"], Float[Tensor, "edges 1"]]:
        """Weights of the sum of messages, and of the mean of attributes."""
        if self.config.envelope == "none":
            neighbors = batch.row_pointer.diff().index_select(0, batch.receivers)
            return torch.ones_like(r)[:, None], neighbors.to(r.dtype).reciprocal()[:, None]
        cut = polynomial_cutoff(r, self.config.cutoff, self.config.envelope_power)[:, None]
        return cut / sqrt(self.mean_neighbors), cut / self.mean_neighbors

    def _inputs(self, batch: AtomicBatch, dtype: torch.dtype) -> Features:
        """The element, one-hot, and what else the model reads of an atom."""
        one_hot = functional.one_hot(batch.species, self.num_elements).to(dtype)
        element = Features(Irreps(((self.num_elements, SCALAR),)), (one_hot[:, None],))
        return side_by_side([element, *self.vectors.features(batch, dtype)])


def _attribute(by_degree: Sequence[Float[Tensor, "rows _"]]) -> Features:
    """Harmonics of degree 0, 1, … as an attribute."""
    natural = [Irrep.natural(l) for l in range(len(by_degree))]
    return Features(Irreps.uniform(1, natural), tuple(y[..., None] for y in by_degree))
