"""MACE against its equations, written down edge by edge and path by path; its sizes, and what its options promise."""

import math

import numpy as np
import pytest
import torch

from equipot import testing
from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.models.mace import MACE, MACEConfig
from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics
from equipot.tensor.features import in_spherical
from equipot.tensor.irreps import SCALAR, VECTOR, Irrep
from equipot.testing import crystal, molecule, one_atom
from models.edges import coupling, edges, harmonic
from nn.products import explicit_contraction

ELEMENTS, CUTOFF, NEIGHBORS, K = (1, 6, 8), 3.0, 2.5, 2
STATISTICS = Statistics(elements=ELEMENTS, mean_neighbors=NEIGHBORS, reference_energies=(-1.0, -2.0, -3.0))
TINY = {"channels": K, "l_max": 2, "num_radial": 4, "radial_hidden": (5, 6), "cutoff": CUTOFF}
TINY |= {"readout_hidden": 3}
FRAMES = {"molecule": molecule(ELEMENTS), "crystal": crystal(ELEMENTS)}
# Two orders of the same sums: 1e-16 times a few hundred terms of two layers.
TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}


def build(outputs=(SCALAR, VECTOR), **options):
    torch.manual_seed(1)
    return MACE(MACEConfig(**{**TINY, **options}), STATISTICS, outputs).double()


def normalized_silu(x):
    """SiLU over the root of its mean square, by quadrature."""
    z, w = np.polynomial.hermite_e.hermegauss(200)
    mean = (w * (z / (1 + np.exp(-z))) ** 2).sum() / w.sum()
    return x / (1 + torch.exp(-x)) / math.sqrt(mean)


def basis_functions(r):
    """b(r) u(r), u_5."""
    n, x = torch.arange(1, 5, dtype=torch.float64), r / CUTOFF
    u = 1 - 21 * x**5 + 35 * x**6 - 15 * x**7
    return math.sqrt(2 / CUTOFF) * torch.sin(n * torch.pi * x) / r * u


def network(weights, name, x):
    """Three weights over √fan-in, SiLU between them."""
    for step in (0, 2, 4):
        w = weights[f"{name}.{step}.weight"]
        x = x @ w / math.sqrt(len(w))
        x = normalized_silu(x) if step < 4 else x
    return x


def label(l):
    return f"{l}{'eo'[l % 2]}"


def mace(weights, frame, hidden, crowded=False, isolated=False, l_max=2, order=3):
    """[{l: h_l of each atom, [atoms, 2l+1, K]}] of every layer; `hidden` the degrees after each layer."""

    def mixed(layer, x, l):
        w = weights[f"{layer}.weights.{label(l)}"]
        return x @ w / math.sqrt(len(w))

    def by_element(layer, x, l):
        w = weights[f"{layer}.self_connection.weights.{label(l)}"] / math.sqrt(K * 3)
        return torch.stack([x[i] @ w[z] for i, z in enumerate(species)])

    species = torch.tensor([ELEMENTS.index(z) for z in frame.numbers])
    num_atoms, pairs = len(species), list(edges(frame, CUTOFF))
    h = {0: mixed("embedding", torch.eye(3, dtype=torch.float64)[species][:, None], 0)}
    found = []
    for t, outputs in enumerate(hidden):
        layer = f"layers.{t}"
        paths = [
            (l1, l2, l3)
            for l3 in range(l_max + 1)
            for l1 in h
            for l2 in range(l_max + 1)
            if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0
        ]
        x = {l: mixed(f"{layer}.interaction.before", h[l], l) for l in h}
        sums = {p: torch.zeros(num_atoms, 2 * p[2] + 1, K, dtype=torch.float64) for p in paths}
        crowd = torch.ones(num_atoms, dtype=torch.float64)
        for i, j, vector in pairs:
            b = basis_functions(vector.norm())
            radial = network(weights, f"{layer}.interaction.radial", b).reshape(len(paths), K)
            for (l1, l2, l3), w in zip(paths, radial, strict=True):
                y = harmonic(vector, l2)
                sums[l1, l2, l3][i] += w * torch.einsum("kab,ac,b->kc", coupling(l1, l2, l3), x[l1][j], y)
            if crowded:
                w = weights[f"{layer}.interaction.crowding.weight"][:, 0]
                crowd[i] += torch.tanh((b @ w / math.sqrt(4)) ** 2)
        number = crowd[:, None, None] if crowded else NEIGHBORS
        a = {}
        for l in range(l_max + 1):
            m = torch.cat([sums[p] for p in paths if p[2] == l], dim=-1) / number
            a[l] = mixed(f"{layer}.interaction.after", m, l)
        exact = isolated and t == 0
        if exact:
            a = {l: by_element(layer, a[l], l) for l in a}
        packed, new = torch.cat(list(a.values()), dim=1), {}
        for l in outputs:
            w = weights[f"{layer}.product.weights.{label(l)}.weight"][species]
            m = explicit_contraction(packed, w, l_max, order, Irrep.natural(l))
            new[l] = mixed(f"{layer}.after", m, l)
            if l in h and not exact:
                new[l] = new[l] + by_element(layer, h[l], l)
        h = new
        found.append(h)
    return found


OPTIONS = {
    "published": {},
    "density": {"neighbor_norm": "density"},
    "isolated": {"exact_isolated_limit": True},
    "tensors": {"evaluation": "tensors"},
    "degree two, three layers": {"l_hidden": 2, "num_layers": 3, "correlation": 2},
}


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "system"), [*((name, "molecule") for name in OPTIONS), ("published", "crystal")]
)
def test_equations(name, system):
    options, frame = OPTIONS[name], FRAMES[system]
    model = build(**options)
    crowded, isolated = "neighbor_norm" in options, "exact_isolated_limit" in options
    hidden = [range(options.get("l_hidden", 1) + 1)] * (options.get("num_layers", 2) - 1) + [(0, 1)]
    order = options.get("correlation", 3)
    expected = mace(dict(model.named_parameters()), frame, hidden, crowded, isolated, order=order)
    found = model(batch_of([frame], ELEMENTS, CUTOFF))
    assert found.irreps == model.irreps
    for l in hidden[0]:
        layers = torch.cat([h[l] for h in expected if l in h], dim=-1)
        torch.testing.assert_close(found[Irrep.natural(l)], layers, **TOLERANCE)
        assert layers.abs().max() > 0.01


@torch.no_grad()
def test_energy_is_the_share_of_every_layer():
    """w · s¹ + MLP(s²)."""
    model = build()
    readout = model.energy_readout().double()
    features = model(batch_of([FRAMES["molecule"]], ELEMENTS, CUTOFF))
    weights = dict(readout.named_parameters())
    first, last = features.scalars.split(K, dim=-1)
    hidden = normalized_silu(last @ weights["last.0.weight"] / math.sqrt(K))
    expected = first @ weights["linear.0.weight"] / math.sqrt(K) + hidden @ weights[
        "last.2.weight"
    ] / math.sqrt(3)
    torch.testing.assert_close(readout(features), expected[:, 0], **TOLERANCE)


def parameters(elements, **model):
    statistics = STATISTICS.model_copy(
        update={"elements": elements, "reference_energies": (0.0,) * len(elements)}
    )
    built = Potential(parse(PotentialConfig, {"model": model}, "test"), statistics)
    return sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize(
    ("elements", "l_hidden", "expected"),
    [
        ((1, 6, 8), 2, 2_803_984),  # acetylacetone, as published
        ((1, 6, 7, 8), 0, 1_521_936),  # 3BPA
        ((1, 6, 7, 8), 1, 2_203_920),
        ((1, 6, 7, 8), 2, 2_983_184),
    ],
)
def test_parameters_of_the_published_settings(elements, l_hidden, expected):
    assert parameters(elements, name="mace", channels=256, l_hidden=l_hidden) == expected


def test_parameters_of_the_options():
    """Ordered paths into 0e + 1o: 28 + 58, once more 28; independent ones 13 + 16, and 13. No elements: a third."""
    full = parameters((1, 6, 8), name="mace", channels=8)
    independent = parameters((1, 6, 8), name="mace", channels=8, contraction="independent")
    shared = parameters((1, 6, 8), name="mace", channels=8, element_weights=False)
    assert full - independent == 3 * 8 * (28 + 58 + 28 - 13 - 16 - 13)
    assert full - shared == 2 * 8 * (28 + 58 + 28)


def test_a_size_stands_for_hyper_parameters():
    small, medium, large = (MACEConfig(size=size) for size in ("small", "medium", "large"))
    assert (small.l_hidden, medium.l_hidden, large.l_hidden) == (0, 1, 2)
    assert MACEConfig() == medium == MACEConfig.model_validate(medium.model_dump())


@torch.no_grad()
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("options", [{"l_max": 3, "l_hidden": 2}, {"contraction": "independent"}])
def test_both_bases_agree(frame, options):
    batch = batch_of([frame], ELEMENTS, CUTOFF)
    spherical, cartesian = (build(basis=basis, **options) for basis in ("spherical", "cartesian"))
    expected, found = spherical(batch), in_spherical(cartesian(batch), cartesian.basis)
    assert found.irreps == expected.irreps
    for one, other in zip(found.blocks, expected.blocks, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize("neighbor_norm", ["mean", "density"])
def test_an_isolated_atom_has_its_reference_energy_exactly(neighbor_norm):
    """In both precisions; without the option its energy is that of the self-connections."""
    for dtype in (torch.float64, torch.float32):
        for exact in (True, False):
            model = {"name": "mace", **TINY, "exact_isolated_limit": exact, "neighbor_norm": neighbor_norm}
            torch.manual_seed(3)
            potential = Potential(parse(PotentialConfig, {"model": model}, "test"), STATISTICS).to(dtype)
            energies = [float(potential(batch_of([one_atom(z)], ELEMENTS, CUTOFF)).energy) for z in ELEMENTS]
            assert (energies == list(STATISTICS.reference_energies)) is exact


def test_a_density_of_neighbors_is_smooth_and_adds():
    values = {"model": {"name": "mace", **TINY, "channels": 4, "neighbor_norm": "density"}}
    potential = testing.random_potential(parse(PotentialConfig, values, "test"), ELEMENTS)
    assert testing.worst(testing.cutoff_jump(potential)) < 1e-7
    other = molecule(ELEMENTS, num_atoms=4, seed=5)
    assert testing.worst(testing.fragments_add(potential, FRAMES["molecule"], other)) < 1e-10


def test_the_last_layer_makes_what_is_read():
    assert str(build(outputs=(SCALAR,), l_hidden=2).irreps) == f"{2 * K}x0e + {K}x1o + {K}x2e"
    assert str(build(outputs=[Irrep(l, p) for l in range(4) for p in (1, -1)], l_hidden=2).irreps) == (
        f"{2 * K}x0e + {2 * K}x1o + {2 * K}x2e"
    )


@torch.no_grad()
@pytest.mark.parametrize("correlation", [1, 2, 4])
def test_any_correlation(correlation):
    """A layer of one product and order ν is a polynomial of degree ν of the density, and no lower."""
    model = build(correlation=correlation, num_layers=1)
    batch = batch_of([FRAMES["molecule"]], ELEMENTS, CUTOFF)
    values = []
    last = model.layers[0].interaction.radial[-1]
    once = last.factor
    for factor in range(correlation + 2):
        last.factor = factor * once
        values.append(model(batch).scalars)
    differences = before = torch.stack(values)
    for _ in range(correlation + 1):
        differences, before = differences.diff(dim=0), differences
    assert differences.abs().max() < 1e-10 * values[-1].abs().max()
    assert before.abs().max() > 1e-6 * values[-1].abs().max()


def test_features_beyond_the_density_are_refused():
    with pytest.raises(ValueError, match="l_hidden=3 exceeds l_max=2"):
        MACEConfig(l_max=2, l_hidden=3)
