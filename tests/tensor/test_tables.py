"""The tables against the published Cartesian formulas."""

import math

import numpy as np
import pytest

from equipot.tensor import tables
from tensor.cartesian import (
    double_factorial,
    product,
    random_orthogonal,
    rotate,
    symmetrize,
    traces,
    unit_tensor,
)

TRIPLES = [(a, b, c) for a in range(4) for b in range(4) for c in range(abs(a - b), a + b + 1)]
# path, C, g0 of the un-normalized product (the table of the design, from the papers' formulas)
GAINS = [
    ((1, 1, 0), 1, 1.7321),
    ((1, 1, 2), 3 / 4, 2),
    ((2, 1, 1), 1, 1.2910),
    ((2, 1, 3), 5 / 9, 3),
    ((2, 2, 0), 2 / 3, 2.2361),
    ((2, 2, 2), 1, 1.5275),
    ((3, 1, 2), 1, 1.1832),
    ((3, 2, 1), 2 / 3, 1.5275),
    ((3, 2, 3), 5 / 6, 1.8974),
    ((3, 3, 0), 2 / 5, 2.6458),
    ((3, 3, 2), 3 / 4, 1.4967),
    ((1, 1, 1), None, 1.4142),
    ((2, 1, 2), None, 2.4495),
    ((2, 2, 1), None, 1.5811),
    ((2, 2, 3), None, 6),
    ((3, 1, 3), None, 3.4641),
    ((3, 2, 2), None, 2.3664),
    ((3, 3, 1), None, 1.7638),
    ((3, 3, 3), None, 4.6476),
]


def random_tensor(rng, l):
    return (tables.isometry(l) @ rng.normal(size=2 * l + 1)).reshape((3,) * l)


@pytest.mark.parametrize("l", range(6))
def test_unit_tensor_identities(rng, l):
    r, s = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
    t, c = unit_tensor(r, l), double_factorial(2 * l - 1) / math.factorial(l)
    assert tables.unit_tensor_factor(l) == pytest.approx(c, rel=1e-15)
    assert traces(t) < 1e-13
    full = t
    for _ in range(l):
        full = full @ s
    assert full == pytest.approx(np.polynomial.legendre.Legendre.basis(l)(r @ s), abs=1e-13)
    if l:
        np.testing.assert_allclose(t @ r, unit_tensor(r, l - 1), atol=1e-13)
    assert np.sum(t * t) == pytest.approx(c, rel=1e-12)
    q = random_orthogonal(rng, -1)
    np.testing.assert_allclose(unit_tensor(q @ r, l), rotate(t, q), atol=1e-13)


def test_unit_tensor_constants():
    expected = [1, 1, 3 / 2, 5 / 2, 35 / 8, 63 / 8]
    assert [tables.unit_tensor_factor(l) for l in range(6)] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("l", range(7))
def test_isometry_spans_symmetric_traceless_tensors(l):
    q = tables.isometry(l)
    np.testing.assert_allclose(q.T @ q, np.eye(2 * l + 1), atol=1e-13)
    for column in q.T:
        t = column.reshape((3,) * l)
        assert traces(t) < 1e-13
        if 2 <= l <= 5:
            np.testing.assert_allclose(symmetrize(t), t, atol=1e-14)


def test_component_order_of_degree_two_and_three(rng):
    x, y, z = r = rng.normal(size=3)
    two = math.sqrt(15) * np.array(
        [x * z, x * y, (y * y - (x * x + z * z) / 2) / math.sqrt(3), y * z, (z * z - x * x) / 2]
    )
    np.testing.assert_allclose(_harmonic(r, 2), two, rtol=1e-12)
    three = [
        3 * x * z * z - x**3,
        x * y * z,
        x * (4 * y * y - x * x - z * z),
        y * (2 * y * y - 3 * x * x - 3 * z * z),
        z * (4 * y * y - x * x - z * z),
        y * (z * z - x * x),
        z**3 - 3 * x * x * z,
    ]
    ratio = _harmonic(r, 3) / np.array(three)
    assert (ratio > 0).all()


def _harmonic(r, l):
    power = np.array(1.0)
    for _ in range(l):
        power = np.multiply.outer(power, r)
    return math.sqrt((2 * l + 1) * tables.unit_tensor_factor(l)) * tables.isometry(l).T @ power.reshape(-1)


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_coupling_is_the_published_product(rng, triple):
    l1, l2, l3 = triple
    x, y = random_tensor(rng, l1), random_tensor(rng, l2)
    z = product(x, y, l3)
    scale = 1 + np.abs(z).max()
    assert traces(z) < 1e-12 * scale
    np.testing.assert_allclose(symmetrize(z), z, atol=1e-12 * scale)
    a, b, c = (tables.isometry(l).T @ t.reshape(-1) for l, t in zip(triple, (x, y, z), strict=True))
    coupled = tables.gain(*triple) * np.einsum("kab,a,b->k", tables.coupling(*triple), a, b)
    np.testing.assert_allclose(coupled, c, atol=1e-12 * scale)


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_products_under_rotation_and_reflection(rng, triple):
    l1, l2, l3 = triple
    odd = (l1 + l2 - l3) % 2
    x, y = random_tensor(rng, l1), random_tensor(rng, l2)
    z = product(x, y, l3)
    for det in (1, -1):
        q = random_orthogonal(rng, det)
        turned = product(rotate(x, q), rotate(y, q), l3)
        expected = (det if odd else 1) * rotate(z, q)
        np.testing.assert_allclose(turned, expected, atol=1e-12 * (1 + np.abs(z).max()))


@pytest.mark.parametrize("triple", [t for t in TRIPLES if sum(t) % 2 == 0], ids=str)
def test_published_products_of_one_direction_are_its_unit_tensors(rng, triple):
    l1, l2, l3 = triple
    r = rng.normal(size=3)
    r /= np.linalg.norm(r)
    z = tables.published_factor(*triple) * product(unit_tensor(r, l1), unit_tensor(r, l2), l3)
    np.testing.assert_allclose(z, unit_tensor(r, l3), atol=1e-12)


@pytest.mark.parametrize(("path", "c", "g0"), GAINS, ids=str)
def test_gains_of_the_table(path, c, g0):
    assert tables.gain(*path) == pytest.approx(g0, abs=5e-5)
    if c is not None:
        assert tables.published_factor(*path) == pytest.approx(c, rel=1e-14)
    else:
        assert tables.published_factor(*path) * tables.gain(*path) == pytest.approx(1, rel=1e-14)


def test_even_gain_from_the_3j_symbol_of_three_poles():
    for l1, l2, l3 in [t for t in TRIPLES if sum(t) % 2 == 0]:
        c1, c2, c3 = (tables.unit_tensor_factor(l) for l in (l1, l2, l3))
        expected = math.sqrt(c3 / (c1 * c2) / (2 * l3 + 1)) / _three_j_000(l1, l2, l3)
        found = tables.published_factor(l1, l2, l3) * tables.gain(l1, l2, l3)
        assert found == pytest.approx(expected, rel=1e-12)


def _three_j_000(l1, l2, l3):
    f, total = math.factorial, l1 + l2 + l3
    half = total // 2
    root = f(total - 2 * l1) * f(total - 2 * l2) * f(total - 2 * l3) / f(total + 1)
    return math.sqrt(root) * f(half) / (f(half - l1) * f(half - l2) * f(half - l3))


def test_3j_has_unit_norm_and_simple_special_cases():
    for triple in TRIPLES:
        assert np.linalg.norm(tables.wigner_3j(*triple)) == pytest.approx(1, rel=1e-12)
    for l in range(5):
        one = np.eye(2 * l + 1)
        np.testing.assert_allclose(tables.coupling(l, 0, l)[:, :, 0], one, atol=1e-13)
        np.testing.assert_allclose(tables.coupling(0, l, l)[:, 0, :], one, atol=1e-13)
        np.testing.assert_allclose(tables.coupling(l, l, 0)[0], one / math.sqrt(2 * l + 1), atol=1e-13)


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="contains no l=3"):
        tables.coupling(1, 1, 3)
    with pytest.raises(ValueError, match="found l=9"):
        tables.isometry(9)
