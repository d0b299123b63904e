"""NequIP against its equations, written down edge by edge and path by path; its size, and what its options promise."""

import math

import numpy as np
import pytest
import torch

from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.models import build_model
from equipot.models.nequip import NequIPConfig
from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics
from equipot.tensor.features import Features, in_spherical
from equipot.tensor.irreps import SCALAR, Irrep
from equipot.testing import crystal, molecule, one_atom
from models.edges import coupling, edges, harmonic

ELEMENTS, CUTOFF, NEIGHBORS = (1, 6, 8), 3.0, 0.4
STATISTICS = Statistics(elements=ELEMENTS, mean_neighbors=NEIGHBORS, reference_energies=(-1.0, -2.0, -3.0))
TINY = {"channels": 3, "num_layers": 3, "num_radial": 4, "radial_hidden": (5, 6), "cutoff": CUTOFF}
FRAMES = {"molecule": molecule(ELEMENTS), "crystal": crystal(ELEMENTS)}
EVERYTHING = [Irrep(l, p) for l in range(4) for p in (1, -1)]


def build(outputs=EVERYTHING, **options):
    torch.manual_seed(1)
    return build_model(NequIPConfig(**{**TINY, **options}), STATISTICS, outputs).double()


def normalized(function):
    """The function times E[f(z)²]^(−1/2) over a normal z."""
    z, w = np.polynomial.hermite_e.hermegauss(200)
    mean = (w * function(torch.from_numpy(z)).numpy() ** 2).sum() / w.sum()
    return lambda x: function(x) / math.sqrt(mean)


SILU, TANH = normalized(lambda x: x / (1 + torch.exp(-x))), normalized(torch.tanh)


def envelope(x, p=6):
    """u_p(x) of Gasteiger et al., 2020."""
    return 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)


def radial_network(weights, name, r):
    """MLP(b(r) u(r)) with weights over √fan-in and normalized SiLU between the layers."""
    n = weights["radial.index"]
    x = math.sqrt(2 / CUTOFF) * torch.sin(n * torch.pi * r / CUTOFF) / r * envelope(r / CUTOFF)
    for step in (0, 2, 4):
        w = weights[f"{name}.{step}.weight"]
        x = x @ w / math.sqrt(len(w))
        x = SILU(x) if step < 4 else x
    return x


def nequip(weights, frame, l_max, parities, channels=3, num_layers=3):
    """Features {(l, p): [atoms, 2l+1, channels]}; every irrep in the order 0e, 0o, 1o, 1e, 2e, …"""

    def order(irrep):
        return irrep[0], irrep[1] != (-1) ** irrep[0]

    def name(irrep):
        return f"{irrep[0]}{'e' if irrep[1] == 1 else 'o'}"

    def mixed(layer, x, irrep):
        w = weights[f"{layer}.weights.{name(irrep)}"]
        return x @ w / math.sqrt(len(w))

    hidden = sorted(((l, p * (-1) ** l) for l in range(l_max + 1) for p in parities), key=order)
    species = torch.tensor([ELEMENTS.index(z) for z in frame.numbers])
    h = {(0, 1): mixed("embedding", torch.eye(3, dtype=torch.float64)[species][:, None], (0, 1))}
    pairs = list(edges(frame, CUTOFF))
    for t in range(num_layers):
        layer = f"layers.{t}"
        paths = [
            (a, l, c)
            for c in hidden
            for a in sorted(h, key=order)
            for l in range(l_max + 1)
            if abs(a[0] - l) <= c[0] <= a[0] + l and a[1] * (-1) ** l == c[1]
        ]
        outputs = [c for c in hidden if any(c == path[2] for path in paths)]
        x = {a: mixed(f"{layer}.before", h[a], a) for a in h}
        messages = {
            path: torch.zeros(len(species), 2 * path[2][0] + 1, channels, dtype=torch.float64)
            for path in paths
        }
        for i, j, vector in pairs:
            radial = radial_network(weights, f"{layer}.radial", vector.norm()).reshape(len(paths), channels)
            for (a, l, c), w in zip(paths, radial, strict=True):
                table = coupling(a[0], l, c[0])
                messages[a, l, c][i] += w * torch.einsum("kab,ac,b->kc", table, x[a][j], harmonic(vector, l))
        y = {}
        for c in outputs:
            m = torch.cat([messages[path] for path in paths if path[2] == c], dim=-1) / math.sqrt(NEIGHBORS)
            y[c] = mixed(f"{layer}.after", m, c)
            if c in h and f"{layer}.self_connection.weights.{name(c)}" in weights:
                w = weights[f"{layer}.self_connection.weights.{name(c)}"]
                own = torch.stack([h[c][i] @ w[z] for i, z in enumerate(species)])
                y[c] = y[c] + own / math.sqrt(channels * 3)
        scalars, *gates = y[0, 1].split(channels, dim=-1)
        h = {(0, 1): SILU(scalars)}
        for c in outputs[1:]:
            h[c] = TANH(y[c]) if c[0] == 0 else SILU(gates.pop(0)) * y[c]
        assert not gates
    return h


@torch.no_grad()
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("l_max", [0, 1, 2])
@pytest.mark.parametrize("parity", [True, False], ids=["both parities", "natural parity"])
def test_the_equations(frame, l_max, parity):
    """To 1e-10 of the largest component: two orders of the same sums, 1e-16 times a few hundred terms."""
    model = build(l_max=l_max, parity=parity)
    torch.nn.init.normal_(model.radial.index, mean=2.0)  # frequencies that no longer are whole numbers
    expected = nequip(model.state_dict(), frame, l_max, (1, -1) if parity else (1,))
    found = model(batch_of([frame], ELEMENTS, CUTOFF))
    assert {(i.l, i.parity) for i in found.irreps.labels} == set(expected)
    for irrep, block in zip(found.irreps.labels, found.blocks, strict=True):
        size = float(block.abs().max())
        torch.testing.assert_close(block, expected[irrep.l, irrep.parity], rtol=0, atol=1e-10 * size)
        assert size > 1e-6  # pseudoscalars are born small


@torch.no_grad()
def test_the_residual_adds_what_came_in():
    """Where irreps agree, which with l ≤ 1 is from the fourth layer on: scalars, vectors, axial ones, pseudoscalars."""
    model = build(l_max=1, num_layers=4, residual=True)
    layers = model.layers
    assert [layer.residual for layer in layers] == [False, False, False, True]
    batch = batch_of([FRAMES["molecule"]], ELEMENTS, CUTOFF)
    h = Features(
        layers[3].before.irreps_in,
        tuple(torch.randn(6, i.dim, 3).double() for _, i in layers[3].before.irreps_in),
    )
    distances = model.distances(batch.vectors().norm(dim=-1))
    harmonics = torch.randn(len(batch.senders), 4).double()
    arguments = (h, batch.species, distances, harmonics, batch)
    found = layers[3](*arguments)
    layers[3].residual = False
    for total, own, change in zip(found.blocks, h.blocks, layers[3](*arguments).blocks, strict=True):
        torch.testing.assert_close(total, own + change)


def test_the_published_number_of_parameters():
    """The acetylacetone model: 5 layers, 64 features, l ≤ 3, both parities, radial network 8-64-64-64."""
    values = {"channels": 64, "l_max": 3, "num_layers": 5, "radial_hidden": (64, 64, 64), "prune": False}
    config = parse(PotentialConfig, {"model": {"name": "nequip", **values}}, "test")
    assert sum(p.numel() for p in Potential(config, STATISTICS).parameters()) == 3_190_488


@torch.no_grad()
@pytest.mark.parametrize("parity", [True, False], ids=["both parities", "natural parity"])
@pytest.mark.parametrize("l_max", [1, 3])
def test_both_bases_are_the_same_function(parity, l_max):
    spherical, cartesian = (
        build(parity=parity, l_max=l_max, basis=name) for name in ("spherical", "cartesian")
    )
    cartesian.load_state_dict(spherical.state_dict())
    batch = batch_of(list(FRAMES.values()), ELEMENTS, CUTOFF)
    expected, found = spherical(batch), in_spherical(cartesian(batch), cartesian.basis)
    assert found.irreps == expected.irreps
    for a, b in zip(found.blocks, expected.blocks, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10 * float(b.abs().max()))


def without_tensors(weights, last, channels):
    """The weights of a last layer for scalars alone, cut out of those for all irreps: scalars come first."""
    kept = {name: w for name, w in weights.items() if not name.startswith(f"{last}.")}
    for name, w in weights.items():
        if name.startswith(f"{last}.before"):
            kept[name] = w
        elif name in (f"{last}.after.weights.0e", f"{last}.self_connection.weights.0e"):
            kept[name] = w[..., :channels]  # without the gates
        elif name.startswith(f"{last}.radial"):
            kept[name] = w
    paths_to_scalars = len(kept[f"{last}.after.weights.0e"])
    kept[f"{last}.radial.4.weight"] = kept[f"{last}.radial.4.weight"][:, :paths_to_scalars]
    return kept


@torch.no_grad()
def test_pruning_leaves_the_energy_alone():
    whole, pruned = build(prune=False), build([SCALAR], prune=True)
    assert pruned.irreps.labels == (SCALAR,) and len(whole.irreps) == 6
    pruned.load_state_dict(without_tensors(whole.state_dict(), "layers.2", 3))
    batch = batch_of(list(FRAMES.values()), ELEMENTS, CUTOFF)
    torch.testing.assert_close(pruned(batch).scalars, whole(batch).scalars, rtol=1e-13, atol=1e-13)
    assert sum(p.numel() for p in pruned.parameters()) < sum(p.numel() for p in whole.parameters())


def test_pruning_keeps_what_heads_read():
    outputs = [SCALAR, Irrep.parse("1o"), Irrep.parse("2e")]
    assert build(outputs).irreps.labels == tuple(outputs)
    assert build(outputs, l_max=1).irreps.labels == tuple(outputs[:2])


@pytest.mark.parametrize(("self_connection", "vanishes"), [("not first", True), ("all", False)])
def test_an_atom_alone_without_a_first_self_connection_has_its_reference_energy(self_connection, vanishes):
    """No bias, and no way around the neighbors: exactly zero, not only small."""
    config = PotentialConfig(model=NequIPConfig(**TINY, self_connection=self_connection))
    torch.manual_seed(0)
    potential = Potential(config, STATISTICS).double()
    for z, reference in zip(ELEMENTS, STATISTICS.reference_energies, strict=True):
        energy = potential(batch_of([one_atom(z)], ELEMENTS, CUTOFF)).energy.item()
        assert (energy == reference) == vanishes
    assert potential(batch_of([FRAMES["molecule"]], ELEMENTS, CUTOFF)).energy.item() != -12.0
