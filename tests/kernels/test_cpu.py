"""Compiled edge operations: equal to the reference to third derivatives, chosen with proof, refused without."""

import logging

import pytest
import torch

from equipot.config import parse
from equipot.kernels import EdgeProduct, PairWeights, Path, Table, TabulatedWeights, chooser, places, proof
from equipot.kernels.cpu import build
from equipot.kernels.cpu import edge as cpu
from equipot.kernels.cpu.edge import compiled_edge_product, compiled_tabulated_product
from equipot.kernels.cpu.edge_pairs import compiled_pair_product
from equipot.kernels.edge import edge_product
from equipot.kernels.reference import reference_edge_product
from equipot.potential import PotentialConfig
from equipot.tensor.basis import get_basis
from equipot.testing import crystal, force_loss_gradients, molecule, one_atom, predict, random_potential
from kernels.test_edge import BASES, PAINN, SCALAR, VECTOR, chain, everything, graph

TOLERANCE = 1e-11  # relative, in double precision: the same sums in another order


def has_compiler() -> bool:
    try:
        build.compiler()
    except build.NoCompiler:
        return False
    return True


pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.skipif(not has_compiler(), reason="no C++ compiler: the reference computes everything"),
]
DENSITY = EdgeProduct((SCALAR,), (SCALAR, VECTOR), (SCALAR, VECTOR), (Path(0, 0, 0), Path(0, 1, 1)))


def arguments(spec, batch, channels, features=True):
    torch.manual_seed(channels)
    basis, edges = get_basis(spec.basis), len(batch.senders)
    x = [basis.to_spherical(i.l) @ torch.randn(batch.num_atoms, i.dim, channels) for i in spec.inputs]
    y = basis.packed_harmonics(torch.randn(edges, 3), [i.l for i in spec.edge])
    return torch.cat(x, dim=1) if features else None, y, torch.randn(edges, len(spec.paths), channels)


@pytest.mark.parametrize("channels", [1, 8, 19])
@pytest.mark.parametrize("basis", BASES)
def test_values_and_two_derivatives(basis, channels):
    """Less than a vector of channels, exactly one, and two with a rest."""
    spec = everything(basis, l_max=1)
    assert chooser.disagreement(spec, *arguments(spec, chain(), channels), chain()) < TOLERANCE


def test_high_degrees():
    spec = everything(l_max=2)
    assert chooser.disagreement(spec, *arguments(spec, chain(), 8), chain()) < TOLERANCE


def test_scalar_harmonics_alone():
    """SchNet's operation and TensorNet's, where the number one has no gradient: the check itself failed on them."""
    for irreps in ((SCALAR,), (SCALAR, VECTOR)):
        paths = tuple(Path(n, 0, n) for n in range(len(irreps)))
        spec = EdgeProduct(inputs=irreps, edge=(SCALAR,), outputs=irreps, paths=paths)
        assert chooser.disagreement(spec, *arguments(spec, chain(), 16), chain()) < TOLERANCE


@pytest.mark.parametrize("features", [True, False])
def test_a_density_of_ones(features):
    assert chooser.disagreement(DENSITY, *arguments(DENSITY, chain(), 3, features), chain()) < TOLERANCE


def test_more_neighbors_than_are_held_at_once():
    """Coefficients are kept for 32 edges."""
    pairs = [(i, j) for i in range(70) for j in range(70) if i != j]
    batch = graph(pairs, num_atoms=70)
    assert chooser.disagreement(PAINN, *arguments(PAINN, batch, 2), batch) < TOLERANCE


def test_two_threads_give_the_same_bits():
    pairs = [(i, j) for i in range(30) for j in range(30) if i != j]
    batch, before = graph(pairs, num_atoms=30), torch.get_num_threads()
    given = arguments(PAINN, batch, 5)
    try:
        torch.set_num_threads(1)
        one = compiled_edge_product(PAINN, *given, batch)
        torch.set_num_threads(2)
        assert torch.equal(one, compiled_edge_product(PAINN, *given, batch))
    finally:
        torch.set_num_threads(before)


def third_derivatives(operation):
    x, y, w = (t.detach().requires_grad_(True) for t in arguments(PAINN, chain(), 4))
    value = operation(PAINN, x, y, w, chain()).sin().sum()
    for _ in range(3):
        gradients = torch.autograd.grad(value, (x, y, w), create_graph=True)
        value = sum(((n + 1.3) * g.sin()).sum() for n, g in enumerate(gradients))
    return [g.detach() for g in gradients]


def test_third_derivatives():
    both = (third_derivatives(f) for f in (compiled_edge_product, reference_edge_product))
    for found, expected in zip(*both, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_no_edges_and_strides():
    x, y, w = arguments(PAINN, chain(), 6)
    turned = x.transpose(1, 2).contiguous().transpose(1, 2)
    expected = reference_edge_product(PAINN, x, y, w, chain())
    torch.testing.assert_close(compiled_edge_product(PAINN, turned, y, w, chain()), expected)
    empty = graph([], num_atoms=3)
    assert torch.equal(compiled_edge_product(PAINN, x[:3], y[:0], w[:0], empty), torch.zeros(3, 4, 6))


@pytest.fixture
def undecided(monkeypatch):
    monkeypatch.setattr(chooser, "decisions", {})


def test_few_channels_stay_with_the_reference(undecided):
    assert not chooser.compiled(PAINN, *arguments(PAINN, chain(), chooser.MIN_CHANNELS - 1), chain())
    assert chooser.compiled(PAINN, *arguments(PAINN, chain(), chooser.MIN_CHANNELS), chain())


def test_programs_can_be_switched_off(undecided, monkeypatch):
    monkeypatch.setenv("EQUIPOT_KERNELS", "reference")
    assert not chooser.compiled(PAINN, *arguments(PAINN, chain(), 16), chain())


def test_a_wrong_program_is_refused(undecided, monkeypatch, caplog):
    """One coefficient of a kernel changed: the result is still right, and the user is told."""
    monkeypatch.setattr(
        cpu,
        "source",
        lambda *given: original(*given).replace("o0 += ", "o0 -= ", 1),
    )
    cpu.program.cache_clear()
    given = arguments(PAINN, chain(), 16)
    with caplog.at_level(logging.WARNING, "equipot"):
        found = edge_product(PAINN, *given, chain())
    cpu.program.cache_clear()
    assert torch.equal(found, reference_edge_product(PAINN, *given, chain()))
    assert "was refused" in caplog.text
    assert "differs from it by" in caplog.text


original = cpu.source


def test_without_a_compiler_the_reference_computes(undecided, monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("EQUIPOT_CACHE", str(tmp_path))
    build.compiler.cache_clear()
    cpu.program.cache_clear()
    given = arguments(PAINN, chain(), 16)
    with caplog.at_level(logging.WARNING, "equipot"):
        found = edge_product(PAINN, *given, chain())
    build.compiler.cache_clear()
    cpu.program.cache_clear()
    assert torch.equal(found, reference_edge_product(PAINN, *given, chain()))
    assert "no C++ compiler: none of no-such-compiler" in caplog.text


def test_only_an_excerpt_of_a_large_structure_is_checked():
    pairs = [(i, j) for i in range(70) for j in range(70) if 0 < abs(i - j) < 4]
    batch = graph(pairs, num_atoms=71)
    x, _, w, part = proof.excerpt(*arguments(PAINN, batch, 2), batch)
    assert part.num_atoms == proof.CHECKED_ATOMS // 2 == len(x)
    assert torch.equal(part.receivers[part.reverse], part.senders)
    assert len(w) == len(part.senders) == sum(i < 16 and j < 16 for i, j in pairs)


def test_an_excerpt_has_edges_where_the_first_atoms_have_none_among_them():
    """A crystal of two species, one after the other, with a short cutoff."""
    pairs = [(i, j) for i in range(80) for j in range(80) if abs(i - j) == 40]
    batch = graph(pairs, num_atoms=80)
    _, _, w, part = proof.excerpt(*arguments(PAINN, batch, 2), batch)
    assert part.num_atoms == 2 * len(w) // 2 == proof.CHECKED_ATOMS
    assert torch.equal(part.receivers[part.reverse], part.senders)


MODELS = (
    {"name": "painn"},
    {"name": "nequip", "l_max": 1, "basis": "cartesian"},
    {"name": "mace", "l_max": 2},
    {"name": "ictp", "l_max": 2, "basis": "cartesian"},
    {"name": "allegro", "l_max": 2, "two_body": (16,), "latent": (16,)},
    {"name": "allegro", "l_max": 1, "form": "current", "basis": "cartesian"},
    {"name": "tensornet"},
    {"name": "tensornet", "basis": "cartesian", "group": "SO(3)"},
)


def on_both_back_ends(model, frames, monkeypatch):
    """Energies, forces and what training on forces needs, chosen freely and by the reference."""
    values = {"model": {"channels": 16, "num_layers": 2, "cutoff": 3.0, **model}}
    potential = random_potential(parse(PotentialConfig, values, "test"), (1, 6, 8))
    found = {}
    for back_end in ("auto", "reference"):
        monkeypatch.setenv("EQUIPOT_KERNELS", back_end)
        values = [predict(potential, frame) for frame in frames]
        found[back_end] = [v.energy for v in values] + [v.forces for v in values]
        found[back_end] += force_loss_gradients(potential, frames[:2])
    return zip(found["auto"], found["reference"], strict=True)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=lambda model: "-".join(map(str, model.values())))
def test_models_on_compiled_operations_are_the_same_models(model, monkeypatch):
    """On a molecule, a crystal and an atom without neighbors."""
    frames = [molecule((1, 6, 8)), crystal((1, 6, 8)), one_atom(6)]
    for a, b in on_both_back_ends(model, frames, monkeypatch):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def tabulated(spec, batch, channels, spacing=0.25):
    """Weights of a table; distances of the edges that have nothing to do with the directions."""
    torch.manual_seed(channels)
    x, y, _ = arguments(spec, batch, channels)
    rows = torch.randn(9, 2, len(spec.paths) * channels)
    r = (torch.rand(len(batch.senders)) * 2.2 - 0.05).requires_grad_(
        True
    )  # below the first knot, above the last
    return x, y, TabulatedWeights(Table(rows, spacing, len(spec.paths)), r)


def of_a_table(operation, spec, given, batch, second):
    """Values, gradients of x, where there is one, of Y and r, and gradients of these."""
    x, y, weights = given
    inputs = [t.requires_grad_(True) for t in (x, y, weights.r) if t is not None]
    out = operation(spec, x, y, weights, batch)
    first = torch.autograd.grad(out, inputs, proof.direction(out), create_graph=second)
    if not second:
        return [out.detach(), *first]
    along = sum((f * proof.direction(f)).sum() for f in first)
    return [t.detach() for t in (out, *first, *torch.autograd.grad(along, inputs))]


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("second", [False, True])
def test_weights_from_a_table_are_those_of_its_values(basis, second):
    spec, batch = everything(basis, l_max=1), chain()
    given = tabulated(spec, batch, 16)
    operations = (compiled_tabulated_product, chooser._values_first)
    for a, b in zip(*(of_a_table(f, spec, given, batch, second) for f in operations), strict=True):
        torch.testing.assert_close(a, b, atol=TOLERANCE * float(b.abs().max()), rtol=0)


def test_a_table_is_read_by_the_program_that_runs(monkeypatch):
    spec, batch = everything(l_max=1), chain()
    x, y, weights = tabulated(spec, batch, 16)
    monkeypatch.setattr(chooser, "tabulated_decisions", {})
    found = edge_product(spec, x, y, weights, batch)
    assert list(chooser.tabulated_decisions.values()) == [None]
    torch.testing.assert_close(found, reference_edge_product(spec, x, y, weights.values(), batch))


def test_a_wrong_program_for_tables_is_refused(monkeypatch, caplog):
    spec, batch = everything(l_max=1), chain()
    x, y, weights = tabulated(spec, batch, 16)
    monkeypatch.setattr(chooser, "tabulated_decisions", {})
    wrong = lambda *args: 1.001 * compiled_tabulated_product(*args)  # noqa: E731
    monkeypatch.setattr(chooser, "compiled_tabulated_product", wrong)
    found = edge_product(spec, x, y, weights, batch)
    torch.testing.assert_close(found, reference_edge_product(spec, x, y, weights.values(), batch))
    assert "differs from the reference" in caplog.text


def test_a_table_for_other_paths_is_refused():
    spec, batch = everything(l_max=1), chain()
    x, y, weights = tabulated(spec, batch, 16)
    other = TabulatedWeights(Table(weights.table.rows, 0.25, 1), weights.r)
    with pytest.raises(ValueError, match=r"weights for 1 paths; expected"):
        edge_product(spec, x, y, other, batch)


def test_places_of_edges_in_their_pairs():
    batch = graph([(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)], num_atoms=3)
    place, first = places(batch.reverse)
    assert sorted(place.tolist()) == list(range(6))
    assert torch.equal(place >> 1, (place >> 1)[batch.reverse])
    assert torch.equal(place[first] % 2, torch.zeros(3, dtype=torch.long))
    none, kept = places(batch.reverse[:0])
    assert len(none) == len(kept) == 0


def of_pairs(spec, batch, channels, features=True):
    """Weights of pairs, and factors as a cutoff function has them: some are zero."""
    x, y, _ = arguments(spec, batch, channels, features)
    place, first = places(batch.reverse)
    factor = torch.rand(int(first.sum()))
    factor[::3] = 0.0
    return x, y, PairWeights(torch.randn(len(factor), len(spec.paths), channels), factor, place)


def derivatives_by_pairs(operation, spec, given, batch, order, wants_x=True):
    """The value and its gradients to some order by everything that it is linear in."""
    x, y, weights = given
    inputs = [argument(t) for t in (x, y, weights.rows, weights.factor) if t is not None]
    *first, w, f = inputs
    features = first[0] if len(first) == 2 else None
    if features is not None and not wants_x:
        features = features.detach()
        inputs = inputs[1:]
    out = operation(spec, features, first[-1], PairWeights(w, f, weights.place), batch)
    found, value = [out], (out.sin() * proof.direction(out)).sum()
    for n in range(order):
        further = n + 1 < order
        gradients = torch.autograd.grad(value, inputs, create_graph=further, allow_unused=True)
        gradients = [
            g if g is not None else torch.zeros_like(t) for g, t in zip(gradients, inputs, strict=True)
        ]
        found += gradients
        value = sum((g.sin() * proof.direction(g)).sum() for g in gradients)
    return [t.detach() for t in found]


def argument(t):
    return t.detach().clone().requires_grad_(True)


def same_by_pairs(spec, given, batch, order, wants_x=True):
    operations = (compiled_pair_product, chooser._copied_first)
    both = (derivatives_by_pairs(f, spec, given, batch, order, wants_x) for f in operations)
    for a, b in zip(*both, strict=True):
        torch.testing.assert_close(a, b, atol=TOLERANCE * float(b.abs().max()), rtol=0)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_weights_of_pairs_are_those_of_their_edges(basis, order):
    spec, batch = everything(basis, l_max=1), chain()
    same_by_pairs(spec, of_pairs(spec, batch, 16), batch, order)


@pytest.mark.parametrize("features", [True, False])
def test_weights_of_pairs_where_features_have_no_gradient(features):
    same_by_pairs(DENSITY, of_pairs(DENSITY, chain(), 8, features), chain(), 2, wants_x=False)


def test_weights_of_pairs_of_more_neighbors_than_are_held_at_once():
    pairs = [(i, j) for i in range(70) for j in range(70) if i != j]
    batch = graph(pairs, num_atoms=70)
    same_by_pairs(PAINN, of_pairs(PAINN, batch, 8), batch, 2)


def test_weights_of_pairs_are_read_by_the_program_that_runs(monkeypatch):
    monkeypatch.setattr(chooser, "pair_decisions", {})
    x, y, weights = of_pairs(PAINN, chain(), 16)
    for _ in range(2):
        found = edge_product(PAINN, x, y, weights, chain())
    assert list(chooser.pair_decisions.values()) == [None]
    torch.testing.assert_close(found, reference_edge_product(PAINN, x, y, weights.values(), chain()))


def test_weights_of_pairs_are_copied_where_channels_are_no_whole_vectors(monkeypatch):
    monkeypatch.setattr(chooser, "pair_decisions", {})
    x, y, weights = of_pairs(PAINN, chain(), 13)
    found = edge_product(PAINN, x, y, weights, chain())
    assert chooser.pair_decisions == {}
    torch.testing.assert_close(found, reference_edge_product(PAINN, x, y, weights.values(), chain()))


def test_a_wrong_program_for_pairs_is_refused(monkeypatch, caplog):
    """What the second edge gives to its pair is lost: values are right, and gradients are not."""
    monkeypatch.setattr(chooser, "pair_decisions", {})
    wrong = lambda *given: original(*given).replace("gf[pair[e0 + n]]", "gf[pair[e0 + n] & ~1]")  # noqa: E731
    monkeypatch.setattr(cpu, "source", wrong)
    cpu.program.cache_clear()
    x, y, weights = of_pairs(PAINN, chain(), 16)
    with caplog.at_level(logging.WARNING, "equipot"):
        found = edge_product(PAINN, x, y, weights, chain())
    cpu.program.cache_clear()
    torch.testing.assert_close(found, reference_edge_product(PAINN, x, y, weights.values(), chain()))
    assert "Weights of pairs are copied" in caplog.text
    assert "differs from the reference" in caplog.text
