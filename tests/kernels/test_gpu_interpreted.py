"""Triton kernels in Triton's interpreter against the reference: values and derivatives, and the proof before use.

The interpreter is chosen when Triton is imported, so these need a process of their own; `test_gpu` starts it:

    TRITON_INTERPRET=1 python -m pytest tests/kernels/test_gpu_interpreted.py
"""

import logging

import pytest
import torch

from equipot.kernels import (
    EdgeProduct,
    Path,
    Polynomial,
    Slot,
    Tape,
    chooser,
    edge_product,
    evaluate,
    evaluation,
)  # fmt: skip
from equipot.kernels.agreement import TOLERANCE as ALLOWED
from equipot.kernels.agreement import largest_difference
from equipot.kernels.edge_polynomial import edge_polynomial
from equipot.kernels.gpu import build, generate, program
from equipot.kernels.gpu.edge import triton_edge_product, triton_tabulated_product
from equipot.kernels.polynomial import interpret
from equipot.kernels.reference import reference_edge_product
from equipot.tensor.irreps import Irrep
from equipot.testing import molecule, one_atom
from kernels.test_cpu import DENSITY, arguments, of_a_table, on_both_back_ends, tabulated, third_derivatives
from kernels.test_edge import PAINN, chain, everything, graph
from kernels.test_polynomial import ROWS, inputs
from kernels.test_polynomial import everything as rational

TOLERANCE = 1e-13  # relative, in double precision; the interpreter adds up in the order of the reference
pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.skipif(not build.installed(), reason="Triton is not installed"),
    pytest.mark.skipif(not build.interpreted(), reason="started by test_gpu with TRITON_INTERPRET=1"),
]
HIGH = EdgeProduct(
    (Irrep(3, -1), Irrep(1, -1)), (Irrep(3, -1), Irrep(0, 1)), (Irrep(2, 1), Irrep(1, -1)),
    (Path(0, 0, 0), Path(1, 1, 1, scale=0.3)),
)  # fmt: skip


def crowd():
    """Rows longer than a tile of edges, of different lengths, between atoms without neighbors."""
    pairs = [(i, j) for i in range(1, 8) for j in range(1, 8) if 0 < abs(i - j) < 6]
    return graph(pairs, num_atoms=10)


def error(spec, channels, batch, features=True):
    return chooser.disagreement(spec, *arguments(spec, batch, channels, features), batch)


@pytest.mark.parametrize("channels", [1, 70])
def test_values_and_two_derivatives(channels):
    """Less than a tile of channels, and two with a rest; rows of more edges than one tile."""
    assert error(PAINN, channels, crowd()) < TOLERANCE


@pytest.mark.parametrize("basis", ["spherical", "cartesian-published"])
def test_all_couplings_of_both_parities(basis):
    assert error(everything(basis, l_max=1), 16, chain()) < TOLERANCE


def test_all_couplings_to_degree_two():
    assert error(everything("cartesian", l_max=2), 3, chain()) < TOLERANCE


@pytest.mark.parametrize("basis", ["spherical", "cartesian"])
def test_degree_three(basis):
    spec = EdgeProduct(HIGH.inputs, HIGH.edge, HIGH.outputs, HIGH.paths, basis)
    assert error(spec, 5, chain()) < TOLERANCE


@pytest.mark.parametrize("features", [True, False])
def test_a_density_of_ones(features):
    assert error(DENSITY, 16, chain(), features) < TOLERANCE


def test_scalar_harmonics_alone():
    spec = EdgeProduct((Irrep(0, 1),), (Irrep(0, 1),), (Irrep(0, 1),), (Path(0, 0, 0),))
    assert error(spec, 16, chain()) < TOLERANCE


def test_sums_that_do_not_fit_one_kernel(monkeypatch):
    monkeypatch.setattr(generate, "MAX_SUMS", 3)
    program.program.cache_clear()
    assert error(PAINN, 16, chain()) < TOLERANCE
    assert len(program.program(edge_polynomial(PAINN, True), torch.float64)) == 2
    program.program.cache_clear()


def test_third_derivatives():
    operations = (triton_edge_product, reference_edge_product)
    assert largest_difference(*(third_derivatives(f) for f in operations)) < TOLERANCE


@pytest.mark.parametrize("wanted", [(False, True, True), (False, False, True), (True, False, False)])
def test_some_gradients_only(wanted):
    """As in a first layer, whose features do not move."""
    results = []
    for operation in (triton_edge_product, reference_edge_product):
        given = [t.requires_grad_(w) for t, w in zip(arguments(PAINN, chain(), 5), wanted, strict=True)]
        asked = [t for t in given if t.requires_grad]
        out = operation(PAINN, *given, chain()).sin().sum()
        first = torch.autograd.grad(out, asked, create_graph=True)
        second = torch.autograd.grad(sum(f.cos().sum() for f in first), asked)
        results.append([t.detach() for t in (*first, *second)])
    assert largest_difference(*results) < TOLERANCE


def test_no_edges_and_strides():
    x, y, w = arguments(PAINN, chain(), 6)
    turned = x.transpose(1, 2).contiguous().transpose(1, 2)
    expected = reference_edge_product(PAINN, x, y, w, chain())
    torch.testing.assert_close(triton_edge_product(PAINN, turned, y, w, chain()), expected)
    empty = graph([], num_atoms=3)
    assert torch.equal(triton_edge_product(PAINN, x[:3], y[:0], w[:0], empty), torch.zeros(3, 4, 6))


def test_strides_of_cotangents():
    """A copy made inside a derivative would lose the next one."""
    results = []
    for operation in (triton_edge_product, reference_edge_product):
        given = [t.requires_grad_(True) for t in arguments(PAINN, chain(), 4)]
        out = operation(PAINN, *given, chain())
        value = (out.transpose(1, 2).flatten(1) ** 2).sum() + out.expand(2, *out.shape).sin().sum()
        first = torch.autograd.grad(value, given, create_graph=True)
        turned = sum((f.transpose(0, 1).reshape(-1).cos()).sum() for f in first)
        results.append([t.detach() for t in torch.autograd.grad(turned, given)])
    assert largest_difference(*results) < TOLERANCE


def test_single_precision():
    given = [t.float() for t in arguments(PAINN, crowd(), 33)]
    assert chooser.disagreement(PAINN, *given, crowd()) < ALLOWED[torch.float32]


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("ones", [False, True])
def test_weights_from_a_table(second, ones):
    """Below the first knot, and above the last."""
    spec, batch = (DENSITY, chain()) if ones else (everything("cartesian", l_max=1), crowd())
    x, *rest = tabulated(spec, batch, 5)
    given = (None if ones else x, *rest)
    operations = (triton_tabulated_product, chooser._values_first)
    assert largest_difference(*(of_a_table(f, spec, given, batch, second) for f in operations)) < TOLERANCE


@pytest.fixture
def undecided(monkeypatch):
    monkeypatch.setattr(chooser, "decisions", {})
    monkeypatch.setattr(chooser, "tabulated_decisions", {})


def test_it_is_chosen_with_proof(undecided):
    given = arguments(PAINN, chain(), 16)
    found = edge_product(PAINN, *given, chain())
    torch.testing.assert_close(found, reference_edge_product(PAINN, *given, chain()))
    assert chooser.decisions == {(PAINN, 16, torch.float64, "Triton"): None}


def test_a_table_is_read_by_the_program_that_runs(undecided):
    """Of any number of channels: nothing is padded."""
    x, y, weights = tabulated(PAINN, chain(), 17)
    found = edge_product(PAINN, x, y, weights, chain())
    torch.testing.assert_close(found, reference_edge_product(PAINN, x, y, weights.values(), chain()))
    assert list(chooser.tabulated_decisions.values()) == [None]


def test_a_wrong_kernel_is_refused(undecided, monkeypatch, caplog):
    """One sum with another sign: the result is still right, and the user is told."""
    wrong = lambda text: build.module(text.replace("s0_0 += ", "s0_0 -= "))  # noqa: E731
    monkeypatch.setattr(program, "module", wrong)
    program.program.cache_clear()
    given = arguments(PAINN, chain(), 16)
    with caplog.at_level(logging.WARNING, "equipot"):
        found = edge_product(PAINN, *given, chain())
    program.program.cache_clear()
    assert torch.equal(found, reference_edge_product(PAINN, *given, chain()))
    assert "was refused" in caplog.text


def test_a_kernel_that_does_not_run_is_refused(undecided, monkeypatch, caplog):
    monkeypatch.setattr(program, "module", lambda text: build.module(text.replace("tl.sum(", "tl.no_such(")))
    program.program.cache_clear()
    given = arguments(PAINN, chain(), 16)
    with caplog.at_level(logging.WARNING, "equipot"):
        found = edge_product(PAINN, *given, chain())
    program.program.cache_clear()
    assert torch.equal(found, reference_edge_product(PAINN, *given, chain()))
    assert "no_such" in caplog.text


def test_kernels_can_be_switched_off(undecided, monkeypatch):
    monkeypatch.setenv("EQUIPOT_KERNELS", "reference")
    assert chooser.compiled(PAINN, *arguments(PAINN, chain(), 16), chain()) is None


def test_polynomials_of_rows_groups_and_all():
    """Every operation and kind, to second derivatives; constants beyond the end of a row count for nothing."""
    results = []
    for operation in (evaluate, by_definition):
        given = [t.detach().requires_grad_(True) for t in inputs(rational(), 40)]
        out = operation(rational(), *given, row_pointer=ROWS)
        first = torch.autograd.grad(sum(o.sin().sum() for o in out), given, create_graph=True)
        second = torch.autograd.grad(sum(f.cos().sum() for f in first), given)
        results.append([t.detach() for t in (*out, *first, *second)])
    assert largest_difference(*results) < TOLERANCE
    assert set(evaluation.decisions.values()) == {None}


def by_definition(polynomial, *given, row_pointer):
    return interpret(polynomial, given, row_pointer)


def test_constants_beyond_the_end_of_a_row():
    """Sums of 1 + a over groups and over all, where a tile is longer than either."""
    tape = Tape()
    one = tape.sum([(1.0, tape.input(0, 0))], constant=1.0)
    sums = (Slot(1, "group"), Slot(1, "shared"))
    polynomial = Polynomial(tape, (Slot(1),), sums, ((one,), (tape.inverse(tape.input(0, 0)),)))
    given = torch.rand(6, 1, 16) + 0.5
    found = evaluate(polynomial, given, row_pointer=ROWS)
    assert largest_difference(found, interpret(polynomial, [given], ROWS)) < TOLERANCE


def test_more_rows_than_one_program_sums(monkeypatch):
    monkeypatch.setattr(program, "SUMMED_ROWS", 4)
    given = [t.detach() for t in inputs(rational(), 5)]
    found = evaluate(rational(), *given, row_pointer=ROWS)
    assert largest_difference(found, interpret(rational(), given, ROWS)) < TOLERANCE


def test_a_wrong_polynomial_is_refused(monkeypatch, caplog):
    monkeypatch.setattr(evaluation, "decisions", {})
    monkeypatch.setattr(program, "module", lambda text: build.module(text.replace(" / ", " * 1.001 / ")))
    program.program.cache_clear()
    given, polynomial = [t.detach() for t in inputs(rational(), 16)], rational()
    with caplog.at_level(logging.WARNING, "equipot"):
        found = evaluate(polynomial, *given, row_pointer=ROWS)
    program.program.cache_clear()
    assert "refused" in caplog.text
    assert largest_difference(found, interpret(polynomial, given, ROWS)) == 0


MODELS = (
    {"name": "allegro", "l_max": 1, "num_layers": 1, "two_body": (16,), "latent": (16,)},
    {"name": "nequip", "l_max": 1, "basis": "cartesian", "num_layers": 1},
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model["name"])
def test_a_model_on_triton_is_the_same_model(model, undecided, monkeypatch):
    frames = [molecule((1, 6, 8), num_atoms=4), one_atom(6)]
    for a, b in on_both_back_ends(model, frames, monkeypatch):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    assert {key[-1] for key in chooser.decisions} == {"Triton"}
    assert set(chooser.decisions.values()) == {None}
