"""Product paths: how many there are, how many differ, and what they span."""

from itertools import pairwise

import numpy as np
import pytest

from equipot.tensor import symmetric
from equipot.tensor.irreps import Irrep, products
from equipot.tensor.paths import num_independent, product_paths
from equipot.tensor.symmetric import (
    independent_paths,
    orthonormal_mixing,
    polynomials,
    symmetric_tensors,
)

# paths into L = 0, 1, 2: ordered (MACE), full and sym (ICTP), and how many of any of them are independent
COUNTS = {
    (2, 3): {"ordered": (11, 21, 23), "full": (11, 15, 15), "sym": (8, 10, 11), "independent": (5, 5, 6)},
    (3, 2): {"ordered": (4, 6, 7), "full": (4, 6, 7), "sym": (4, 3, 5), "independent": (4, 3, 5)},
    (3, 3): {"ordered": (23, 51, 65), "full": (23, 36, 42), "sym": (15, 23, 26), "independent": (8, 12, 14)},
}


@pytest.mark.parametrize(("l_max", "order"), list(COUNTS))
def test_numbers_of_paths(l_max, order):
    outputs = [Irrep.natural(l) for l in range(3)]
    for kind in ("ordered", "full", "sym"):
        assert tuple(len(product_paths(l_max, order, i, kind)) for i in outputs) == COUNTS[l_max, order][kind]
    found = tuple(len(independent_paths(l_max, order, i)) for i in outputs)
    assert (
        found
        == tuple(num_independent(l_max, order, i) for i in outputs)
        == COUNTS[l_max, order]["independent"]
    )


@pytest.mark.parametrize("kind", ["ordered", "full", "sym"])
@pytest.mark.parametrize("l", [0, 1, 2, 3])
def test_all_sets_of_paths_span_the_same_polynomials(kind, l):
    """At order three: rank of each set, and of each together with the independent one."""
    chosen = polynomials(3, independent_paths(3, 3, Irrep.natural(l))).reshape(-1, (2 * l + 1) * 816)
    every = polynomials(3, product_paths(3, 3, Irrep.natural(l), kind)).reshape(-1, (2 * l + 1) * 816)
    ranks = [np.linalg.matrix_rank(m, tol=1e-8) for m in (chosen, every, np.vstack([chosen, every]))]
    assert ranks == [len(chosen)] * 3


@pytest.mark.parametrize(("l_max", "order", "l"), [(1, 2, 0), (1, 4, 1), (2, 4, 2), (3, 4, 0), (4, 3, 1)])
def test_paths_of_any_order_reach_the_number_of_characters(l_max, order, l):
    assert len(independent_paths(l_max, order, Irrep.natural(l))) == num_independent(
        l_max, order, Irrep.natural(l)
    )


def test_paths_are_couplings():
    """Every step a triangle, every intermediate of the parity of its factors."""
    for path in product_paths(2, 4, Irrep.natural(1)):
        assert path[0][1] == Irrep.natural(path[0][0])
        for (_, before), (l, after) in pairwise(path):
            assert after in products(before, Irrep.natural(l))


def test_tensors_are_symmetric_and_give_the_polynomials(rng):
    a = rng.normal(size=9)
    for l in range(3):
        u = symmetric_tensors(2, 3, l)
        for axes in ((0, 1, 3, 2, 4), (0, 1, 4, 3, 2)):
            assert np.abs(u - u.transpose(axes)).max() < 1e-15
        powers = [a[i] * a[j] * a[k] for i in range(9) for j in range(i, 9) for k in range(j, 9)]
        expected = polynomials(2, independent_paths(2, 3, Irrep.natural(l))) @ np.array(powers)
        assert np.abs(np.einsum("pmijk,i,j,k->pm", u, a, a, a) - expected).max() < 1e-12


def test_the_orthonormal_basis_is_one_over_normal_variables(rng):
    """Scalars of order two are linear in A_0² and the |A_l|²: their covariance, traces removed, is known.

    E[p q] − (traces) is the Fischer product; for A_l·A_l/√(2l+1) it is 2, for A_0 A_0 too: four numbers √½.
    """
    mixing = orthonormal_mixing(3, 2, 0)
    assert np.allclose(mixing, np.diag([1.0] + [np.sqrt(0.5)] * 4), atol=1e-14)


def test_the_orthonormal_basis_has_unit_derivatives():
    """The Fischer product of symmetric tensors of order ν is ν! times their inner product, for every component."""
    for l in range(3):
        u = symmetric_tensors(2, 3, l)
        mixing = orthonormal_mixing(2, 3, l)[-len(u) :, -len(u) :]
        basis = np.einsum("bp,pm...->bm...", mixing, u).reshape(len(u), 2 * l + 1, -1)
        gram = 6 * np.einsum("amx,bnx->manb", basis, basis)
        expected = np.einsum("mn,ab->manb", np.eye(2 * l + 1), np.eye(len(u)))
        assert np.abs(gram - expected).max() < 1e-13


def test_what_does_not_fit_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"U tensor of order 5 with l_max=3 into l=2: .* GB.*by couplings"):
        symmetric_tensors(3, 5, 2)
    monkeypatch.setattr(symmetric, "MAX_TABLE_BYTES", 1000)
    with pytest.raises(ValueError, match=r"order 3 with l_max=2 into 0e: 11 paths .* iterated product"):
        polynomials(2, product_paths(2, 3, Irrep.natural(0)))
