"""Polynomials of features: what they say, their derivatives, and the programs that compute them."""

import copy
import logging
from math import prod

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from equipot.kernels import Polynomial, Slot, Tape, compiles, evaluate, expressions
from equipot.kernels.cpu import polynomial as cpu
from equipot.kernels.polynomial import interpret
from equipot.nn.contraction import SymmetricContraction
from equipot.nn.iterated import IteratedProduct
from equipot.nn.matrices import damped, damped_product, with_square
from equipot.nn.pair_product import PairProduct, PathSum
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irrep, Irreps
from kernels.test_cpu import has_compiler

pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.skipif(not has_compiler(), reason="no C++ compiler: the reference computes everything"),
]
ROWS = torch.tensor([0, 3, 3, 4, 6])  # four groups, one of them empty
NATURAL = [Irrep.natural(l) for l in range(3)]


def everything() -> Polynomial:
    """Every operation and kind: out_0 = (a_0 b_0 + 2 a_1 w, 1/(1 + a_0²), 0, √(1 + a_0²), a_1 σ(a_1)) by row,
    out_1 = Σ a_1 b_1 by group, out_2 = Σ a_0² for all."""
    tape = Tape()
    a, b, w = ([tape.input(slot, k) for k in range(n)] for slot, n in enumerate((2, 2, 1)))
    square = tape.product(a[0], a[0])
    first = (
        tape.sum([(1.0, tape.product(a[0], b[0])), (2.0, tape.product(a[1], w[0]))]),
        tape.inverse(tape.sum([(1.0, square)], constant=1.0)),
        None,
        tape.root(tape.sum([(1.0, square)], constant=1.0)),
        tape.silu(a[1]),
    )
    second, third = (tape.product(a[1], b[1]),), (square,)
    slots = (Slot(2), Slot(2, "group"), Slot(1, "shared"))
    outputs = (Slot(5), Slot(1, "group"), Slot(1, "shared"))
    return Polynomial(tape, slots, outputs, (first, second, third))


def inputs(polynomial: Polynomial, channels: int) -> list[torch.Tensor]:
    torch.manual_seed(channels)
    rows = {"row": 6, "group": 4, "shared": 1}
    return [
        torch.randn(rows[slot.kind], slot.components, channels).requires_grad_(True)
        for slot in polynomial.inputs
    ]


def test_it_says_what_it_computes():
    polynomial = everything()
    a, b, w = inputs(polynomial, 2)
    group = torch.tensor([0, 0, 0, 2, 3, 3])
    first, second, third = interpret(polynomial, (a, b, w), ROWS)
    torch.testing.assert_close(first[:, 0], a[:, 0] * b[group, 0] + 2 * a[:, 1] * w[:, 0])
    torch.testing.assert_close(first[:, 1], 1 / (1 + a[:, 0] ** 2))
    assert (first[:, 2] == 0).all()
    torch.testing.assert_close(first[:, 3], torch.sqrt(1 + a[:, 0] ** 2))
    torch.testing.assert_close(first[:, 4], torch.nn.functional.silu(a[:, 1]))
    torch.testing.assert_close(second[:, 0], torch.zeros(4, 2).index_add(0, group, a[:, 1] * b[group, 1]))
    torch.testing.assert_close(third[0, 0], (a[:, 0] ** 2).sum(0))


@pytest.mark.parametrize("channels", [1, 8, 19])
@pytest.mark.parametrize("threads", [1, 2])
def test_programs_equal_the_definition(channels, threads, monkeypatch):
    """Less than a vector of channels, exactly one, and two with a rest."""
    monkeypatch.setattr(cpu, "SERIAL_NUMBERS", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    polynomial = everything()
    given = inputs(polynomial, channels)
    results = []
    for operation in (
        lambda *t: evaluate(polynomial, *t, row_pointer=ROWS),
        lambda *t: interpret(polynomial, t, ROWS),
    ):
        out = operation(*given)
        weights = [torch.cos(torch.arange(float(prod(t.shape)))).reshape(t.shape) for t in out]
        first = torch.autograd.grad(out, given, weights, create_graph=True)
        second = torch.autograd.grad([t.square().sum() for t in first], given)
        results.append((*out, *first, *second))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("precision", "largest"), [(torch.float32, 1e-6), (torch.float64, 1e-15)])
def test_logistic_function_has_every_digit(precision, largest):
    """Relative to itself, down to what the precision holds; nothing overflows, and NaN stays."""
    tape = Tape()
    polynomial = Polynomial(tape, (Slot(1),), (Slot(1),), ((tape.logistic(tape.input(0, 0)),),))
    x = torch.linspace(-86, 86, 4096).to(precision).reshape(-1, 1, 16)
    (found,), expected = evaluate(polynomial, x), torch.sigmoid(x.double())
    assert float(((found - expected) / expected).abs().max()) < largest
    beyond = torch.tensor([-1e4, 1e4, torch.inf, -torch.inf, torch.nan]).to(precision).repeat(16)
    (found,) = evaluate(polynomial, beyond.reshape(5, 1, 16))
    torch.testing.assert_close(found.flatten(), torch.sigmoid(beyond), equal_nan=True)


@pytest.mark.slow
def test_derivatives_of_every_order_are_exact():
    polynomial = everything()
    given = inputs(polynomial, 1)

    def function(*tensors):
        return evaluate(polynomial, *tensors, row_pointer=ROWS)

    assert gradcheck(function, given)
    assert gradgradcheck(function, given)


def test_strides_and_second_derivatives():
    """Parts of packed features are not contiguous, and gradients of gradients have to reach them."""
    polynomial = everything()
    given = inputs(polynomial, 8)
    results = []
    for operation in (
        lambda *t: evaluate(polynomial, *t, row_pointer=ROWS),
        lambda *t: interpret(polynomial, t, ROWS),
    ):
        turned = [t.transpose(1, 2).contiguous().transpose(1, 2) for t in given]
        assert not turned[0].is_contiguous()
        out = operation(*turned)
        weights = [
            torch.cos(torch.arange(float(prod(t.shape)))).reshape(t.shape).mT.contiguous().mT for t in out
        ]
        first = torch.autograd.grad(out, given, weights, create_graph=True)
        results.append(torch.autograd.grad([(t.mT.square() * 1.5).sum() for t in first], given))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_refusals():
    polynomial = everything()
    a, b, w = (t.detach() for t in inputs(polynomial, 8))
    for wrong in ((a, b[:2], w), (a[:, :1], b, w), (a, b, w.float()), (a, b, w[..., :4])):
        with pytest.raises(ValueError, match="expected"):
            evaluate(polynomial, *wrong, row_pointer=ROWS)
    with pytest.raises(ValueError, match="row_pointer"):
        evaluate(polynomial, a, b, w)
    with pytest.raises(ValueError, match="up to 6"):
        evaluate(polynomial, a, b, w, row_pointer=torch.tensor([0, 3, 3, 4, 7]))


def test_only_what_is_wanted_is_computed():
    polynomial = everything()
    a, b, w = inputs(polynomial, 8)
    out = evaluate(polynomial, a, b.detach(), w.detach(), row_pointer=ROWS)
    (found,) = torch.autograd.grad(out[1].sum(), [a])
    torch.testing.assert_close(found[:, 1], b[torch.tensor([0, 0, 0, 2, 3, 3]), 1])
    derivative = polynomial.derivative((True, False, False), (False, True, False))
    assert [slot.kind for slot in derivative.inputs] == ["row", "group", "shared", "group"]
    assert derivative.expressions == ((None, derivative.expressions[0][1]),)
    assert copy.deepcopy(polynomial) is polynomial


def test_a_wrong_program_is_refused(monkeypatch, caplog):
    polynomial = everything()
    monkeypatch.setattr(expressions, "_text", lambda language, what, *a: _wrong(language, what, *a))
    given = inputs(polynomial, 8)
    with caplog.at_level(logging.WARNING):
        found = evaluate(polynomial, *given, row_pointer=ROWS)
    assert "refused" in caplog.text
    for one, other in zip(found, interpret(polynomial, given, ROWS), strict=True):
        torch.testing.assert_close(one, other)


right = expressions._text


def _wrong(language, what, *arguments):
    return right(language, what, *arguments) + (" * T(1.001)" if what == "product" else "")


def spherical(irreps: Irreps, rows: int) -> list[torch.Tensor]:
    return [torch.randn(rows, irrep.dim, n) for n, irrep in irreps]


def stored(irreps: Irreps, blocks, basis: str) -> Features:
    """As a basis stores them; derivatives are taken along what there is, not along components that never occur."""
    to_spherical = get_basis(basis).to_spherical
    pairs = zip(irreps.labels, blocks, strict=True)
    return Features(irreps, tuple(to_spherical(i.l) @ b for i, b in pairs))


def compared(monkeypatch, operation, *tensors):
    """Values and two derivatives of an operation with compiled programs, and without."""
    results = []
    for choice in ("auto", "reference"):
        monkeypatch.setenv("EQUIPOT_KERNELS", choice)
        given = [t.detach().clone().requires_grad_(True) for t in tensors]
        assert compiles(given[0]) == (choice == "auto")
        out = operation(*given)
        weights = [torch.cos(torch.arange(float(t.numel()))).reshape(t.shape) for t in out]
        first = torch.autograd.grad(out, given, weights, create_graph=True, materialize_grads=True)
        bent = torch.stack([(t * t.detach().sin()).sum() for t in first]).sum()
        second = torch.autograd.grad(bent, given, allow_unused=True, materialize_grads=True)
        results.append((*out, *first, *second))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("elements", [3, None])
@pytest.mark.parametrize("basis", ["spherical", "cartesian"])
def test_many_body_products(basis, elements, monkeypatch):
    irreps = Irreps.uniform(16, NATURAL)
    species, a = torch.tensor([0, 2, 1, 1]), spherical(irreps, 4)
    for block in (SymmetricContraction, IteratedProduct):
        product = block(irreps, NATURAL[:2], 3, elements, basis)

        def operation(*blocks, product=product):
            return product(stored(irreps, blocks, basis), species).blocks

        compared(monkeypatch, operation, *a)


@pytest.mark.parametrize("summed", [True, False])
@pytest.mark.parametrize("basis", ["spherical", "cartesian"])
def test_products_of_pairs(basis, summed, monkeypatch):
    irreps_x, irreps_y = Irreps.uniform(16, [*NATURAL, Irrep(1, 1)]), Irreps.uniform(16, NATURAL)
    product = PairProduct(irreps_x, irreps_y, [Irrep.parse(i) for i in ("0e", "1o", "1e", "2e")], basis)
    sums = PathSum(product.irreps_out, 16) if summed else None
    x, y = spherical(irreps_x, 6), spherical(irreps_y, 4)

    def operation(*blocks):
        factors = stored(irreps_x, blocks[: len(x)], basis), stored(irreps_y, blocks[len(x) :], basis)
        return product(*factors, ROWS, sums).blocks

    compared(monkeypatch, operation, *x, *y)


@pytest.mark.parametrize("name", ["spherical", "cartesian"])
def test_matrices(name, monkeypatch):
    basis, irreps = get_basis(name), Irreps.uniform(16, NATURAL)
    x, y = spherical(irreps, 3), spherical(irreps, 3)

    def packed(blocks):
        return torch.cat(stored(irreps, blocks, name).blocks, dim=1)

    compared(monkeypatch, lambda *a: (damped(packed(a)),), *x)
    compared(monkeypatch, lambda *a: (with_square(packed(a[:3]), packed(a[3:]), basis),), *x, *y)
    for symmetrized in (True, False):

        def operation(*a, symmetrized=symmetrized):
            return (damped_product(packed(a[:3]), packed(a[3:]), basis, symmetrized),)

        compared(monkeypatch, operation, *x, *y)
