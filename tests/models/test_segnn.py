"""SEGNN against its equations, written down edge by edge; its sizes, both bases, published options, inputs."""

from math import sqrt

import pytest
import torch

from equipot.batch import ATOMIC_VECTORS
from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.models.segnn import SEGNN, SEGNNConfig
from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics
from equipot.tensor.features import in_spherical
from equipot.tensor.irreps import SCALAR, Irrep, products
from equipot.testing import crystal, molecule
from models.edges import coupling, edges, harmonic

ELEMENTS, CUTOFF, MEAN = (1, 6, 8), 3.0, 3.7
SCALES = {"velocities": 0.8, "external_forces": 1.3, "magnetic_moments": 0.6}
STATISTICS = Statistics(elements=ELEMENTS, mean_neighbors=MEAN, reference_energies=(0.0,) * 3, inputs=SCALES)
TINY = {"channels": 6, "num_layers": 2, "cutoff": CUTOFF}
PUBLISHED = {"envelope": "none", "norm": "instance"}
VARIANTS = {
    "default": {},
    "published": PUBLISHED,
    "high degrees": {"l_features": 2, "l_attributes": 3, "distance": "plain", "embedding_layers": 2},
    "scalars": {"l_features": 0, "l_attributes": 0},
    "all inputs": {"l_attributes": 3, "inputs": ATOMIC_VECTORS},
    "published inputs": {**PUBLISHED, "inputs": ("velocities",), "input_harmonics": "directions"},
}
EVERYTHING = [Irrep(l, p) for l in range(4) for p in (1, -1)]


def built(outputs=EVERYTHING, **values) -> SEGNN:
    """Every weight alive, those of the norms too."""
    torch.manual_seed(1)
    model = SEGNN(SEGNNConfig.model_validate({**TINY, **values}), STATISTICS, outputs).double()
    for name, parameter in model.named_parameters():
        if ".norm." in name:
            torch.nn.init.normal_(parameter)
    return model


class Loops:
    """The same model: dictionaries of [components, channels], atom by atom and edge by edge."""

    def __init__(self, model: SEGNN) -> None:
        self.config = model.config
        self.weights = dict(model.named_parameters())
        self.hidden = {i: n for n, i in model.layers[0].message.second.gate.irreps_out}
        self.read = {i: n for n, i in model.irreps}

    def linear(self, name, x, attribute, outputs):
        """Σ_paths √(2l3+1) w3j(x W_p, ã) + b."""
        y = {c: torch.zeros(c.dim, n, dtype=torch.float64) for c, n in outputs.items()}
        for a in x:
            for c in outputs:
                through = [b for b in sorted(attribute) if c in products(a, b)]
                for p, b in enumerate(through):
                    weight = self.weights[f"{name}.weights.{a}-{c}"][:, p]
                    y[c] += coupling(a.l, b.l, c.l) @ attribute[b] @ x[a] @ weight
        y[SCALAR] += self.weights[f"{name}.bias"]
        return y

    def gated(self, name, x, attribute, outputs):
        gates = sum(n for i, n in outputs.items() if i.l > 0)
        y = self.linear(name, x, attribute, {**outputs, SCALAR: outputs[SCALAR] + gates})
        scalars, rest = y[SCALAR].split([outputs[SCALAR], gates], dim=-1)
        out = {SCALAR: 1.6765324703310909 * scalars * torch.sigmoid(scalars)}
        start = 0
        for irrep, n in outputs.items():
            if irrep.l > 0:
                out[irrep] = y[irrep] * 1.8462285453386056 * torch.sigmoid(rest[:, start : start + n])
                start += n
        return out

    def perceptron(self, name, x, attribute, outputs):
        return self.linear(
            f"{name}.linear",
            self.gated(f"{name}.gated.linear", x, attribute, self.hidden),
            attribute,
            outputs,
        )

    def __call__(self, frame):
        config, neighbors = self.config, list(edges(frame, CUTOFF))
        nodes = [self.node_attribute(frame, i, neighbors) for i in range(frame.num_atoms)]
        h = [self.embedded(frame, i, nodes[i]) for i in range(frame.num_atoms)]
        for t in range(config.num_layers):
            sums = [
                {c: torch.zeros(c.dim, n, dtype=torch.float64) for c, n in self.hidden.items()} for _ in h
            ]
            for i, j, vector in neighbors:
                r = vector.norm()
                pair = {c: torch.cat([h[i][c], h[j][c]], dim=-1) for c in self.hidden}
                length = r**2 if config.distance == "squared" else r
                pair[SCALAR] = torch.cat([pair[SCALAR], length.reshape(1, 1)], dim=-1)
                attribute = harmonics(vector, config.l_attributes)
                m = self.gated(f"layers.{t}.message.first.linear", pair, attribute, self.hidden)
                m = self.gated(f"layers.{t}.message.second.linear", m, attribute, self.hidden)
                factor = 1.0 if config.envelope == "none" else self.cut(r) / sqrt(MEAN)
                for c in self.hidden:
                    sums[i][c] += factor * m[c]
            for i, total in enumerate(sums):
                both = {c: torch.cat([h[i][c], total[c]], dim=-1) for c in self.hidden}
                change = self.perceptron(f"layers.{t}.update", both, nodes[i], self.hidden)
                h[i] = {c: h[i][c] + change[c] for c in self.hidden}
            if config.norm == "instance":
                h = self.normalised(f"layers.{t}.norm", h)
        return [self.perceptron("output", x, a, self.read) for x, a in zip(h, nodes, strict=True)]

    def cut(self, r):
        x = r / CUTOFF
        return 1 - 28 * x**6 + 48 * x**7 - 21 * x**8

    def node_attribute(self, frame, i, neighbors):
        config, mine = self.config, [vector for k, _, vector in neighbors if k == i]
        out = {
            Irrep.natural(l): torch.zeros(2 * l + 1, dtype=torch.float64)
            for l in range(config.l_attributes + 1)
        }
        for vector in mine:
            factor = 1 / len(mine) if config.envelope == "none" else self.cut(vector.norm()) / MEAN
            for irrep, y in harmonics(vector, config.l_attributes).items():
                out[irrep] += factor * y
        for name in config.inputs:
            v = torch.from_numpy(frame.vectors[name][i]) / SCALES[name]
            size = 1.0 if config.input_harmonics == "directions" else v.norm() / (1 + v.norm() ** 2).sqrt()
            for l in range(1, config.l_attributes + 1):
                irrep = Irrep(l, 1) if name == "magnetic_moments" else Irrep.natural(l)
                y = size**l * harmonics(v, config.l_attributes)[Irrep.natural(l)]
                out[irrep] = out[irrep] + y if irrep in out else y
        out[SCALAR] = torch.ones(1, dtype=torch.float64)
        return out

    def embedded(self, frame, i, attribute):
        x = {SCALAR: torch.tensor([[float(frame.numbers[i] == z) for z in ELEMENTS]], dtype=torch.float64)}
        for name in self.config.inputs:
            v = torch.from_numpy(frame.vectors[name][i])[:, None] / SCALES[name]
            irrep = Irrep.parse("1e" if name == "magnetic_moments" else "1o")
            length = (v.square().sum(0, keepdim=True) + 1e-8).sqrt()
            x[SCALAR] = torch.cat([x[SCALAR], length], dim=-1)
            x[irrep] = torch.cat([x[irrep], v], dim=-1) if irrep in x else v
        if self.config.embedding_layers == 2:
            return self.perceptron("embedding", x, attribute, self.hidden)
        return self.linear("embedding", x, attribute, self.hidden)

    def normalised(self, name, h):
        out = [{} for _ in h]
        for c in self.hidden:
            x = torch.stack([atom[c] for atom in h])
            x = x - x.mean(0) if c.l == 0 else x
            x = x / (x.square().mean((0, 1)) + 1e-5).sqrt() * self.weights[f"{name}.weights.{c}"]
            x = x + self.weights[f"{name}.bias"] if c == SCALAR else x
            for i, row in enumerate(x):
                out[i][c] = row
        return out


def harmonics(vector, l_max):
    return {Irrep.natural(l): harmonic(vector, l) for l in range(l_max + 1)}


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "frame"),
    [*((name, molecule(ELEMENTS, 4)) for name in VARIANTS), ("default", crystal(ELEMENTS, (2, 1, 1)))],
    ids=[*VARIANTS, "crystal"],
)
def test_the_equations(name, frame):
    model = built(**VARIANTS[name])
    found, expected = model(batch_of([frame], ELEMENTS, CUTOFF)), Loops(model)(frame)
    for irrep in model.irreps.labels:
        rows = torch.stack([atom[irrep] for atom in expected])
        torch.testing.assert_close(found[irrep], rows, rtol=1e-11, atol=1e-11)
        assert rows.abs().max() > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("name", list(VARIANTS))
def test_both_bases_give_the_same_numbers(name):
    spherical = built(**VARIANTS[name])
    cartesian = built(**VARIANTS[name], basis="cartesian")
    cartesian.load_state_dict(spherical.state_dict())
    for frame in (molecule(ELEMENTS), crystal(ELEMENTS)):
        batch = batch_of([frame], ELEMENTS, CUTOFF)
        found = in_spherical(cartesian(batch), cartesian.basis)
        for block, expected in zip(found.blocks, spherical(batch).blocks, strict=True):
            torch.testing.assert_close(block, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


QM9 = {"channels": 128, "num_layers": 7, "cutoff": 2.0, **PUBLISHED}


@pytest.mark.parametrize(
    ("l_features", "l_attributes", "channels", "expected"),
    [(2, 3, 36, 1_033_525), (1, 2, 58, 998_761), (1, 1, 64, 1_039_233), (0, 0, 128, 744_833)],
)
def test_parameters_of_the_published_models_of_qm9(l_features, l_attributes, channels, expected):
    """Five elements, energy alone; channels balanced to the weights of 128 scalars."""
    values = {"name": "segnn", **QM9, "l_features": l_features, "l_attributes": l_attributes}
    five = Statistics(elements=(1, 6, 7, 8, 9), mean_neighbors=2.0, reference_energies=(0.0,) * 5)
    model = Potential(parse(PotentialConfig, {"model": values}, "test"), five)
    assert model.model.layers[0].message.channels == channels
    assert sum(p.numel() for p in model.parameters()) == expected
