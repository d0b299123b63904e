"""Allegro against its equations, its published sizes, its strict locality and the energies of its pairs."""

import math

import numpy as np
import pytest
import torch
from ase import Atoms

from equipot import testing
from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.models import AllegroConfig, build_model
from equipot.models.allegro import tensor_irreps
from equipot.potential import Potential, PotentialConfig, pair_energies
from equipot.statistics import Statistics
from equipot.tensor.features import in_spherical
from equipot.tensor.irreps import SCALAR, Irrep, Irreps
from equipot.testing import as_frame, chain, crystal, molecule, one_atom, random_potential

ELEMENTS, CUTOFF, NEIGHBORS = (1, 6, 8), 3.0, 4.0
STATISTICS = Statistics(elements=ELEMENTS, mean_neighbors=NEIGHBORS, reference_energies=(0.0,) * 3)
TINY = {"channels": 3, "l_max": 1, "num_radial": 5, "cutoff": CUTOFF, "two_body": (4, 6), "latent": (5, 6)}
Z = np.linspace(
    -12, 12, 4801
)  # mean square of SiLU of a normal variable; the trapezoids are exact to round-off
SILU = np.trapezoid((Z / (1 + np.exp(-Z))) ** 2 * np.exp(-Z * Z / 2) / np.sqrt(2 * np.pi), Z) ** -0.5
OUTPUTS = tuple(map(Irrep.parse, ("0e", "1o", "1e", "0o")))
FORMS = {
    "published": {"form": "published"},
    "natural parity": {"form": "published", "parity": False},
    "trainable": {
        "form": "published",
        "trainable_radial": True,
        "trainable_update": True,
        "species_shifts": True,
    },
    "spline": {"form": "published", "radial": "spline"},
    "current": {"form": "current"},
    "current, spline": {"form": "current", "radial": "spline"},
}


# --- the equations, pair by pair, with vectors instead of irreps (l ≤ 1) ---------------------------------------------


def pairs(frame):
    """(i, j, r_ij) by trying all images, without a neighbor search."""
    images = range(-3, 4) if frame.pbc.any() else range(1)
    for i in range(frame.num_atoms):
        for j in range(frame.num_atoms):
            for n in ((a, b, c) for a in images for b in images for c in images):
                vector = frame.positions[j] + np.array(n) @ frame.cell - frame.positions[i]
                if 1e-9 < np.linalg.norm(vector) < CUTOFF:
                    yield i, j, torch.from_numpy(vector)


def envelope(r):
    x = r / CUTOFF
    return 1 - 28 * x**6 + 48 * x**7 - 21 * x**8


def bessel(r, num_radial):
    n = torch.arange(1, num_radial + 1, dtype=torch.float64)
    return math.sqrt(2 / CUTOFF) * torch.sin(n * math.pi * r / CUTOFF) / r


def silu(x):
    return SILU * x / (1 + torch.exp(-x))


def linear(w, x):
    return x @ w / math.sqrt(len(w))


def network(weights, name, x):
    """Linear layers name.0, name.2, … with activations between them."""
    count = sum(key.startswith(f"{name}.") for key in weights)
    for n in range(count):
        x = linear(weights[f"{name}.{2 * n}.weight"], x if n == 0 else silu(x))
    return x


def two_bodies(weights, config, zi, zj, r):
    """Scalars of a pair alone."""
    one_hot, cut = torch.eye(3, dtype=torch.float64), envelope(r)
    radial = bessel(r, config.num_radial) * cut
    if config.form == "published":
        first = silu(linear(weights["embedding.weight"], torch.cat([one_hot[zi], one_hot[zj], radial])))
        return cut * network(weights, "two_body", first)
    species = torch.cat([weights["embedding.center"][zi], weights["embedding.neighbor"][zj]])
    return network(weights, "two_body", species * linear(weights["embedding.weight"], radial))


# V is a dictionary of lists [[…]]: scalars and pseudoscalars [channels], vectors and axial vectors [3, channels]
SCALARS, NATURAL = ("0e", "0o"), ("0e", "1o")
PARITY_OF_PRODUCT = {True: "e", False: "o"}


def product(a, x, b, y):
    """All that a ⊗ b contains, normalised like √(2l+1) w3j."""
    even = PARITY_OF_PRODUCT[a[1] == b[1]]
    if a[0] == "0":
        return {b[0] + even: x * y}
    if b[0] == "0":
        return {"1" + even: x * y}
    dot = (x * y).sum(0) / math.sqrt(3)
    return {"0" + even: dot, "1" + even: torch.linalg.cross(x, y, dim=0) / math.sqrt(2)}


def allegro(weights, config, frame, kept):
    """Features of the atoms; `kept[t]`: the irreps of V after t layers."""
    published, channels = config.form == "published", config.channels
    edges = list(pairs(frame))
    species = [ELEMENTS.index(z) for z in frame.numbers]
    x = [two_bodies(weights, config, species[i], species[j], v.norm()) for i, j, v in edges]
    y = [{"0e": torch.ones(1), "1o": math.sqrt(3) * (v / v.norm())[:, None]} for _, _, v in edges]

    def weighted(p, w):
        a, b = linear(w, x[p]).split(channels)
        return {"0e": a * y[p]["0e"], "1o": a.new_ones(1) * b * y[p]["1o"]}

    v = [weighted(p, weights["weights.weight"]) for p in range(len(edges))]
    for t in range(config.num_layers):
        layer = {
            k.removeprefix(f"layers.{t}."): w for k, w in weights.items() if k.startswith(f"layers.{t}.")
        }
        density = [{"0e": 0, "1o": 0} for _ in frame.numbers]
        for p, (i, _, _) in enumerate(edges):
            for irrep, value in weighted(p, layer["weights.weight"]).items():
                density[i][irrep] = density[i][irrep] + value / math.sqrt(NEIGHBORS)
        new_x, new_v = [], []
        for p, (i, _, vector) in enumerate(edges):
            paths = {irrep: [] for irrep in kept[t + 1]}
            for a in v[p]:
                for b in NATURAL:
                    for c, value in product(a, v[p][a], b, density[i][b]).items():
                        if c in paths:
                            paths[c].append(value)
            if published:
                mixed = {
                    c: linear(layer[f"mix.weights.{c}"], torch.cat(values, -1))
                    for c, values in paths.items()
                    if f"mix.weights.{c}" in layer
                }
                new = network(layer, "latent", torch.cat([x[p], *paths["0e"]]))
                gamma = 0.5
                new_x.append((x[p] + gamma * envelope(vector.norm()) * new) / math.sqrt(1 + gamma**2))
            else:
                mixed = {
                    c: sum(w * z for w, z in zip(layer[f"mix.weights.{c}"], values, strict=True))
                    / math.sqrt(len(values))
                    for c, values in paths.items()
                }
                new_x.append(torch.cat([x[p], network(layer, "latent", torch.cat([x[p], mixed["0e"]]))]))
            new_v.append(mixed)
        x, v = new_x, new_v
    outputs = [{} for _ in frame.numbers]
    for p, (i, _, _) in enumerate(edges):
        for irrep, value in {**v[p], "0e": x[p]}.items():
            per_neighbor = 1 / math.sqrt(NEIGHBORS if published else 2 * NEIGHBORS)
            outputs[i][irrep] = outputs[i].get(irrep, 0) + per_neighbor * value
    return outputs


@pytest.mark.parametrize("form", ["published", "current"])
@pytest.mark.parametrize("num_layers", [1, 3])
@torch.no_grad()
def test_the_equations(form, num_layers):
    """Two orders of the same sums: 1e-16 times a few thousand terms."""
    config = AllegroConfig(**TINY, form=form, num_layers=num_layers)
    built = build_model(config, STATISTICS, OUTPUTS).double()
    kept = [[str(irrep) for irrep in irreps] for irreps in tensor_irreps(config, OUTPUTS)]
    assert kept[-1] == (["0e", "0o", "1o", "1e"] if num_layers == 3 else ["0e", "1o", "1e"])
    for frame in (molecule(ELEMENTS), crystal(ELEMENTS)):
        expected = allegro(dict(built.named_parameters()), config, frame, kept)
        found = built(batch_of([frame], ELEMENTS, CUTOFF))
        for irrep in kept[-1]:
            reference = torch.stack([atom[irrep] for atom in expected])
            reference = reference[:, None] if irrep[0] == "0" else reference
            size = float(
                reference.abs().max()
            )  # u(r) enters with every layer, so that tensors of the last are small
            assert size > 1e-6
            torch.testing.assert_close(found[irrep], reference, rtol=0, atol=1e-11 * size)


# --- sizes -----------------------------------------------------------------------------------------------------------

LARGE = {
    "channels": 256, "two_body": (128, 256, 512, 1024), "latent": (1024,) * 3, "readout_hidden": (128,),
    "mix_last": True, "species_shifts": True,
}  # fmt: skip
SMALL = {
    "channels": 1, "l_max": 1, "num_layers": 1, "two_body": (32, 64), "latent": (64,), "readout_hidden": (32,),
    "mix_last": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "elements", "expected"),
    [
        pytest.param(SMALL, (3, 8, 15), 9_058, id="Li3PO4"),
        pytest.param({**LARGE, "num_layers": 1, "l_max": 3}, (1, 6, 7, 8, 9), 7_375_237, id="QM9, one layer"),
        pytest.param(
            {**LARGE, "num_layers": 3, "l_max": 2}, (1, 6, 7, 8, 9), 17_926_533, id="QM9, three layers"
        ),
    ],
)
def test_parameters_of_the_published_settings(values, elements, expected):
    """Among them the path weights that nothing reads, and for QM9 the trained shifts of five elements."""
    config = parse(PotentialConfig, {"model": {"name": "allegro", **values}}, "test")
    statistics = Statistics(elements=elements, mean_neighbors=1.0, reference_energies=(0.0,) * len(elements))
    with torch.device("meta"):
        built = Potential(config, statistics)
    assert sum(p.numel() for p in built.parameters()) == expected


def test_irreps_that_lead_nowhere_are_not_computed():
    def labels(num_layers, outputs=(SCALAR,), **values):
        config = AllegroConfig(num_layers=num_layers, **{"l_max": 2, **values})
        return [" ".join(map(str, irreps)) for irreps in tensor_irreps(config, outputs)]

    assert labels(1) == ["0e 1o 2e", "0e"]
    assert labels(2) == ["0e 1o 2e", "0e 1o 2e", "0e"]  # of 1e and 2o no product with a harmonic is a scalar
    assert labels(3) == ["0e 1o 2e", "0e 1o 1e 2e 2o", "0e 1o 2e", "0e"]
    assert [row.split() for row in labels(5)[2:4]] == [
        ["0e", "0o", "1o", "1e", "2e", "2o"],
        ["0e", "1o", "1e", "2e", "2o"],
    ]
    assert labels(3, parity=False) == ["0e 1o 2e"] * 3 + ["0e"]
    axial = tuple(map(Irrep.parse, ("0e", "1e", "3o")))
    assert labels(1, axial) == ["0e 1o 2e", "0e 1e"]  # 3o: beyond l_max
    assert labels(2, axial) == ["0e 1o 2e", "0e 1o 1e 2e 2o", "0e 1e"]
    assert labels(1, axial, parity=False) == ["0e 1o 2e", "0e"]


@pytest.mark.parametrize("form", list(FORMS))
def test_every_weight_matters_to_the_energy(form):
    """What pruning left is read: no gradient vanishes."""
    torch.manual_seed(1)
    built = build_model(
        AllegroConfig(**TINY | {"l_max": 2}, num_layers=3, **FORMS[form]), STATISTICS
    ).double()
    readout = built.energy_readout().double()
    batch = batch_of([molecule(ELEMENTS), crystal(ELEMENTS)], ELEMENTS, CUTOFF)
    parameters = {**dict(built.named_parameters()), **dict(readout.named_parameters())}
    gradients = torch.autograd.grad(readout(built(batch)).square().sum(), list(parameters.values()))
    assert [n for n, g in zip(parameters, gradients, strict=True) if float(g.abs().max()) < 1e-12] == []


def test_the_last_mix_changes_nothing():
    """The published models carry it; with the other weights equal, so are the features."""
    values = TINY | {"num_layers": 2}
    with_it = build_model(AllegroConfig(**values, mix_last=True), STATISTICS)
    without = build_model(AllegroConfig(**values), STATISTICS)
    found = without.load_state_dict(with_it.state_dict(), strict=False)
    assert not found.missing_keys and found.unexpected_keys == ["layers.1.mix.weights.0e"]
    batch = batch_of([molecule(ELEMENTS)], ELEMENTS, CUTOFF)
    assert torch.equal(with_it(batch).scalars, without(batch).scalars)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"two_body": (64, 32)}, "two_body ends with 32 and latent with 64"),
        ({"latent": ()}, "at least one width"),
        ({"radial": "spline", "num_radial": 3}, "at least four"),
        ({"form": "current", "mix_last": True}, "belong to form=published"),
    ],
)
def test_settings_without_meaning_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        parse(PotentialConfig, {"model": {"name": "allegro", "latent": (64,), **values}}, "test")


def test_the_current_form_takes_any_widths():
    config = AllegroConfig(form="current", num_layers=2, two_body=(8, 6), latent=(7,))
    assert build_model(config, STATISTICS).irreps.channels("0e") == 6 + 2 * 7


# --- physics ---------------------------------------------------------------------------------------------------------


def small(form, **values):
    config = {"name": "allegro", **TINY, "l_max": 2, "num_layers": 2, **FORMS[form], **values}
    return random_potential(parse(PotentialConfig, {"model": config}, "test"), ELEMENTS)


@pytest.mark.parametrize("form", list(FORMS))
@torch.no_grad()
def test_both_bases_agree(form):
    outputs = [Irrep(l, p) for l in range(3) for p in (1, -1)]
    config = AllegroConfig(**TINY | {"l_max": 2}, num_layers=2, **FORMS[form])
    spherical = build_model(config, STATISTICS, outputs).double()
    cartesian = build_model(config.model_copy(update={"basis": "cartesian"}), STATISTICS, outputs).double()
    cartesian.load_state_dict(spherical.state_dict())
    for frame in (molecule(ELEMENTS), crystal(ELEMENTS)):
        batch = batch_of([frame], ELEMENTS, CUTOFF)
        expected, found = spherical(batch), in_spherical(cartesian(batch), cartesian.basis)
        assert found.irreps == expected.irreps
        assert ("2o" in found.irreps) == config.parity
        for a, b in zip(found.blocks, expected.blocks, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10 * float(b.abs().max()))


@pytest.mark.parametrize("form", list(FORMS)[1:])
def test_the_contract_of_every_form(form):
    """The contract runs over the default; here its properties in short, of the options."""
    potential = small(form)
    frame = crystal(ELEMENTS)
    assert testing.worst(testing.rotation(potential, frame)) < 1e-10
    assert testing.worst(testing.reflection(potential, frame)) < 1e-10
    assert testing.forces_by_differences(potential, molecule(ELEMENTS)) < 1e-7
    assert testing.worst(testing.cutoff_jump(potential)) < 1e-7
    assert testing.worst(testing.isolated_atoms(potential)) == 0.0
    residuals = testing.second_derivatives(potential, chain(6))
    assert residuals["asymmetry"] < 1e-10 and residuals["differences"] < 1e-7


@pytest.mark.parametrize("form", ["published", "current"])
def test_strictly_local(form):
    """A line of atoms, each one in range of the next alone: E_i hears of the next, never of what that hears of."""
    potential = small(form, num_layers=3)
    positions = np.array([[0.0, 0.1, 0.2], [2.0, 0.0, 0.0], [4.0, -0.3, 0.1], [6.0, 0.2, 0.0]])
    frames = [as_frame(Atoms("COHC", p)) for p in (positions, positions + np.eye(4)[:, 3:] * [0.3, 0.4, 0.2])]
    before, after = (testing.predict(potential, frame).atomic_energies for frame in frames)
    assert torch.equal(before[:2], after[:2])
    assert (before[2:] - after[2:]).abs().min() > 1e-4 * potential.statistics.energy_scale


@pytest.mark.parametrize("form", list(FORMS))
@torch.no_grad()
def test_energies_of_pairs_sum_to_those_of_atoms(form):
    potential = small(form)
    if potential.model.shifts is not None:
        torch.nn.init.normal_(potential.model.shifts)
    frames = [molecule(ELEMENTS), crystal(ELEMENTS), one_atom(8)]
    for frame in frames:
        batch = batch_of([frame], ELEMENTS, CUTOFF)
        found = pair_energies(potential, batch)
        assert found.dtype == torch.float64 and found.shape == batch.senders.shape
        own = potential.constant_energies(batch.species)
        if potential.model.shifts is not None:
            own = own + potential.statistics.energy_scale * potential.model.shifts[batch.species]
        expected = potential(batch).atomic_energies - own
        sums = torch.zeros(frame.num_atoms, dtype=torch.float64).index_add(0, batch.receivers, found)
        torch.testing.assert_close(sums, expected, rtol=0, atol=1e-11 * float(expected.abs().max() + 1))
        assert frame.num_atoms == 1 or expected.abs().max() > 0.1


def test_energies_of_pairs_have_the_forces_as_derivative():
    potential = small("published")
    batch = batch_of([crystal(ELEMENTS)], ELEMENTS, CUTOFF)
    positions = batch.positions.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(
        pair_energies(potential, batch.with_positions(positions)).sum(), positions
    )
    expected = potential(batch, forces=True).forces
    torch.testing.assert_close(-gradient, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))


def test_energies_of_pairs_need_pairs():
    batch = batch_of([molecule(ELEMENTS)], ELEMENTS, CUTOFF)
    painn = parse(PotentialConfig, {"model": {"name": "painn", "channels": 4, "cutoff": CUTOFF}}, "test")
    with pytest.raises(ValueError, match="'painn' is no sum over pairs"):
        pair_energies(Potential(painn, STATISTICS), batch)
    silent = {"model": {"name": "allegro", **TINY}, "targets": {"energy": None, "dipole": {}}}
    with pytest.raises(ValueError, match="predicts dipole, and no energy"):
        pair_energies(Potential(parse(PotentialConfig, silent, "test"), STATISTICS), batch)
    with pytest.raises(ValueError, match="depends on charge of the whole system"):
        pair_energies(small("published", conditions=["charge"]), batch)


@pytest.mark.parametrize("number", ELEMENTS)
def test_an_isolated_atom_has_its_reference_energy(number):
    """Exactly: no pair, no energy."""
    potential = small("published")
    found = potential(batch_of([one_atom(number)], ELEMENTS, CUTOFF)).energy.detach()
    assert float(found) == potential.statistics.reference_energies[ELEMENTS.index(number)]


def test_shifts_are_energies_of_elements():
    potential = small("trainable")
    torch.nn.init.constant_(potential.model.shifts, 0.25)
    found = potential(batch_of([one_atom(6)], ELEMENTS, CUTOFF)).energy.detach()
    expected = potential.statistics.reference_energies[1] + 0.25 * potential.statistics.energy_scale
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_the_tensors_of_the_last_layer_feed_the_heads():
    """A dipole is made of 1o; with energies alone nothing but scalars leaves the model."""
    config = AllegroConfig(**TINY, num_layers=2)
    assert build_model(config, STATISTICS).irreps == Irreps.parse("6x0e")
    assert build_model(config, STATISTICS, [Irrep.parse("1o")]).irreps == Irreps.parse("6x0e + 3x1o")
