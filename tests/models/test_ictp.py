"""ICTP against its equations with tensors of 3^l components; its twin in the spherical basis; its sizes."""

import math
from itertools import product as combinations

import numpy as np
import pytest
import torch

from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.models.ictp import ICTP, ICTPConfig
from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics
from equipot.tensor import tables
from equipot.tensor.features import in_spherical
from equipot.tensor.irreps import SCALAR, VECTOR, Irrep
from equipot.tensor.paths import product_paths
from equipot.testing import crystal, molecule
from models.edges import edges
from models.test_mace import TOLERANCE, basis_functions, network
from tensor.cartesian import product, unit_tensor

ELEMENTS, CUTOFF, NEIGHBORS, K = (1, 6, 8), 3.0, 2.5, 2
STATISTICS = Statistics(elements=ELEMENTS, mean_neighbors=NEIGHBORS, reference_energies=(-1.0, -2.0, -3.0))
TINY = {"channels": K, "l_max": 2, "num_radial": 4, "radial_hidden": (5, 6), "cutoff": CUTOFF}
FRAMES = {"molecule": molecule(ELEMENTS), "crystal": crystal(ELEMENTS)}


def build(**options):
    torch.manual_seed(1)
    return ICTP(ICTPConfig(**{**TINY, **options}), STATISTICS, (SCALAR, VECTOR)).double()


def label(l):
    return f"{l}{'eo'[l % 2]}"


def coupled(x, y, l):
    """(x ⊗ y)_l as published, channel by channel; x and y are [3, …, 3, channels]."""
    columns = zip(np.moveaxis(x, -1, 0), np.moveaxis(y, -1, 0), strict=True)
    out = [tables.published_factor(x.ndim - 1, y.ndim - 1, l) * product(a, b, l) for a, b in columns]
    return np.stack(out, axis=-1)


def power(a, path):
    """((A ⊗ A) ⊗ A) along a path."""
    out = a[path[0][0]]
    for l, irrep in path[1:]:
        out = coupled(out, a[l], irrep.l)
    return out


def ictp(weights, frame, paths, l_max=2, l_hidden=1, order=2):
    """[{l: h_l, one [3, …, 3, K] per atom}] of both layers, in the published normalisation."""

    def weight(name, l):
        w = weights[f"{name}.weights.{label(l)}"].numpy()
        return w / math.sqrt(len(w))

    species = [ELEMENTS.index(z) for z in frame.numbers]
    atoms, pairs = range(len(species)), list(edges(frame, CUTOFF))
    h: dict[int, list[np.ndarray]] = {0: [weight("embedding", 0)[z] for z in species]}
    found = []
    for layer in ("layers.0", "layers.1"):
        triples = [
            (l1, l2, l3)
            for l3, l1, l2 in combinations(range(l_max + 1), h, range(l_max + 1))
            if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0
        ]
        number = {l: sum(t[2] == l for t in triples) for l in range(l_max + 1)}
        sums = {t: [np.zeros((*(3,) * t[2], K)) for _ in atoms] for t in triples}
        for i, j, vector in pairs:
            b = basis_functions(vector.norm())
            radial = network(weights, f"{layer}.interaction.radial", b).reshape(len(triples), K).numpy()
            unit = (vector / vector.norm()).numpy()
            for (l1, l2, l3), w in zip(triples, radial, strict=True):
                x = h[l1][j] @ weight(f"{layer}.interaction.before", l1)
                edge = np.repeat(unit_tensor(unit, l2)[..., None], K, axis=-1)
                sums[l1, l2, l3][i] += w * coupled(x, edge, l3) / math.sqrt(number[l3]) / NEIGHBORS
        new = {}
        for l in range(l_hidden + 1):
            new[l] = []
            for i, z in enumerate(species):
                a = {}
                for l3 in range(l_max + 1):
                    side_by_side = np.concatenate([sums[t][i] for t in triples if t[2] == l3], axis=-1)
                    a[l3] = side_by_side @ weight(f"{layer}.interaction.after", l3)
                every = [
                    p for n in range(1, order + 1) for p in product_paths(l_max, n, Irrep.natural(l), paths)
                ]
                by_path = weights[f"{layer}.product.weights.{label(l)}.weight"][z].numpy()
                assert len(every) == len(by_path)
                m = sum(w * power(a, path) for w, path in zip(by_path, every, strict=True))
                out = m @ weight(f"{layer}.after", l)
                if l in h:
                    own = weights[f"{layer}.self_connection.weights.{label(l)}"][z].numpy()
                    out = out + h[l][i] @ own / math.sqrt(K * 3)
                new[l].append(out)
        h = new
        found.append(h)
    return found


@torch.no_grad()
@pytest.mark.parametrize("paths", ["full", "sym"])
def test_equations_in_the_published_normalisation(paths):
    model = build(basis="cartesian-published", product=paths, correlation=2)
    weights = dict(model.named_parameters())
    frame = molecule(ELEMENTS, num_atoms=4)
    layers = ictp({n: w.detach() for n, w in weights.items()}, frame, paths)
    found = model(batch_of([frame], ELEMENTS, CUTOFF))
    for l in range(2):
        each = [np.stack(h[l]).reshape(4, 3**l, K) for h in layers]
        torch.testing.assert_close(
            found[Irrep.natural(l)], torch.from_numpy(np.concatenate(each, -1)), **TOLERANCE
        )
        assert found[Irrep.natural(l)].abs().max() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize(
    "options",
    [
        {"l_max": 3, "l_hidden": 2, "product": "full"},
        {"product": "sym", "neighbor_norm": "density", "exact_isolated_limit": True},
        {"coupled": True, "channels": 4, "latent_channels": 2},
        {"correlation": 4, "element_weights": False},
    ],
    ids=["full", "sym", "latent", "order four"],
)
def test_the_spherical_twin_has_the_same_weights_and_the_same_numbers(frame, options):
    batch = batch_of([frame], ELEMENTS, CUTOFF)
    cartesian, spherical = build(**options), build(basis="spherical", **options)
    assert cartesian.basis.name == "cartesian"
    assert {n: p.shape for n, p in cartesian.named_parameters()} == {
        n: p.shape for n, p in spherical.named_parameters()
    }
    expected, found = spherical(batch), in_spherical(cartesian(batch), cartesian.basis)
    assert found.irreps == expected.irreps
    for one, other in zip(found.blocks, expected.blocks, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)


@torch.no_grad()
def test_the_published_normalisation_is_another_function():
    batch = batch_of([FRAMES["molecule"]], ELEMENTS, CUTOFF)
    one, other = build()(batch).scalars, build(basis="cartesian-published")(batch).scalars
    assert (one - other).abs().max() > 1e-3


def parameters(**model):
    statistics = Statistics(elements=(1, 6, 7, 8), mean_neighbors=1.0, reference_energies=(0.0,) * 4)
    built = Potential(parse(PotentialConfig, {"model": {"name": "ictp", **model}}, "test"), statistics)
    return sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize(("product", "expected"), [("full", 2_944_272), ("sym", 2_893_072)])
def test_parameters_of_the_published_settings(product, expected):
    """3BPA, four elements."""
    assert parameters(channels=256, l_hidden=2, product=product) == expected


def test_parameters_of_coupled_and_latent_channels():
    """A weight of a path becomes a matrix of the latent channels; W' and W'' lead there and back."""
    layer_paths = (1 + 4 + 15 + 1 + 3 + 23, 1 + 4 + 15)
    apart = parameters(channels=8, product="sym")
    mixed = parameters(channels=8, product="sym", coupled=True)
    assert mixed - apart == 4 * (8 * 8 - 8) * sum(layer_paths)
    latent = parameters(channels=8, product="sym", coupled=True, latent_channels=4)
    into = (4, 4 + 6)  # paths of densities from 0e, and from 0e + 1o
    out = (2, 1)
    assert mixed - latent == sum(
        n * 8 * 4 + 4 * p * (64 - 16) + k * 8 * 4 for n, p, k in zip(into, layer_paths, out, strict=True)
    )
