"""The polynomials that products of a feature with itself are.

A path ((A_l1 ⊗ A_l2)_L2 ⊗ A_l3)_L3 … is an equivariant polynomial of A. Since all factors are the same A, many paths
give the same polynomial, or none: what counts are the coefficients of the monomials A_m1 A_m2 …, m1 ≤ m2 ≤ …, which are
the generalised Clebsch-Gordan coefficients of MACE (Batatia et al., NeurIPS 2022, arXiv:2206.07697, Eq. 10) after
symmetrisation. Spherical components of all degrees stand behind one another, m = 0 … (l_max+1)² − 1.
"""

from functools import cache
from itertools import combinations_with_replacement
from math import comb, factorial

import numpy as np

from equipot.tensor import tables
from equipot.tensor.irreps import Irrep
from equipot.tensor.paths import ProductPath, num_independent, product_paths

MAX_TABLE_BYTES = 1_000_000_000
_VANISHING = 1e-9  # squared norm of a polynomial beside those of its kind, which are of order one


@cache
def _monomials(dim: int, degree: int) -> np.ndarray:
    """Sorted index tuples, [monomials, degree]."""
    return np.array(list(combinations_with_replacement(range(dim), degree)), dtype=np.int64)


@cache
def _ranks(dim: int, degree: int) -> np.ndarray:
    """Number of the monomial of an index tuple in any order, [dim, …, dim]."""
    axes = np.sort(np.indices((dim,) * degree).reshape(degree, -1), axis=0)
    powers = dim ** np.arange(degree - 1, -1, -1)
    rank = np.full(dim**degree, -1)
    rank[_monomials(dim, degree) @ powers] = np.arange(comb(dim + degree - 1, degree))
    return rank[powers @ axes].reshape((dim,) * degree)


@cache
def _raised(dim: int, degree: int) -> np.ndarray:
    """Number of the monomial that x_m times a monomial of this degree is, [monomials, dim]."""
    ranks = _ranks(dim, degree + 1)
    return ranks[tuple(_monomials(dim, degree).T)]


@cache
def _repetitions(dim: int, degree: int) -> np.ndarray:
    """∏ (multiplicity of every index)!, by monomial: the squared Fischer norm of a monomial."""
    return np.array(
        [np.prod([factorial(n) for n in np.bincount(row)]) for row in _monomials(dim, degree)],
        dtype=np.float64,
    )


def polynomials(l_max: int, paths: tuple[ProductPath, ...]) -> np.ndarray:
    """Coefficients of paths of one order into one irrep, [paths, 2l+1, monomials]."""
    dim = (l_max + 1) ** 2
    order, out = len(paths[0]), paths[0][-1][1]
    size = len(paths) * out.dim * comb(dim + order - 1, order) * 8
    if size > MAX_TABLE_BYTES:
        raise ValueError(
            f"products of order {order} with l_max={l_max} into {out}: {len(paths)} paths need a table of "
            f"{size / 1e9:.1f} GB. Lower the order or l_max, or take the iterated product, which needs no table."
        )
    known: dict[ProductPath, np.ndarray] = {}
    for l in range(l_max + 1):
        known[((l, Irrep.natural(l)),)] = np.eye(dim)[l**2 : (l + 1) ** 2]

    def evaluate(path: ProductPath) -> np.ndarray:
        if path not in known:
            known[path] = _multiply(evaluate(path[:-1]), path, dim)
        return known[path]

    return np.stack([evaluate(path) for path in paths])


def _multiply(left: np.ndarray, path: ProductPath, dim: int) -> np.ndarray:
    """Coefficients of the last product of a path, [2l3+1, monomials], from those of all before it."""
    degree, (l2, out) = len(path) - 1, path[-1]
    result = np.zeros((out.dim, comb(dim + degree, degree + 1)))
    raised = _raised(dim, degree)
    table = tables.coupling(path[-2][1].l, l2, out.l)
    for m in range(2 * l2 + 1):  # one monomial times x_m is another: no two of them coincide
        result[:, raised[:, l2**2 + m]] += table[:, :, m] @ left
    return result


@cache
def independent_paths(l_max: int, order: int, out: Irrep) -> tuple[ProductPath, ...]:
    """The first paths in order of which none is a combination of those before it; they span all polynomials.

    Paths with low intermediates come first and nearly always suffice. The order is fixed and the decision far from
    round-off, so that weights mean the same everywhere.
    """
    chosen: list[ProductPath] = []
    basis = np.zeros((0, comb((l_max + 1) ** 2 + order - 1, order)))
    wanted = num_independent(l_max, order, out)
    for kind in ("sym", "ordered"):
        if len(chosen) == wanted:
            break
        paths = tuple(p for p in product_paths(l_max, order, out, kind) if p not in chosen)
        for path, vector in zip(paths, _vectors(l_max, paths), strict=True):
            rest = vector - (vector @ basis.T) @ basis
            rest -= (rest @ basis.T) @ basis
            if rest @ rest > _VANISHING:
                chosen.append(path)
                basis = np.vstack([basis, rest / np.sqrt(rest @ rest)])
    assert len(chosen) == wanted, (l_max, order, out, len(chosen), wanted)
    return tuple(chosen)


def _vectors(l_max: int, paths: tuple[ProductPath, ...]) -> np.ndarray:
    """One component of every polynomial, orthonormal coordinates of the Fischer product, [paths, monomials].

    The components of an irrep have the same inner products (Schur), so one says all. The Fischer product of two
    homogeneous polynomials is that of their highest derivatives: the leading part of E[p q] over normal variables.
    """
    if not paths:
        return np.zeros((0, 1))
    dim, order = (l_max + 1) ** 2, len(paths[0])
    return polynomials(l_max, paths)[:, 0] * np.sqrt(_repetitions(dim, order))


def _each_order(
    l_max: int, order: int, l: int
) -> list[tuple[tuple[ProductPath, ...], tuple[ProductPath, ...]]]:
    """Ordered and independent paths of the orders 1 … `order` into l, orders without any left out."""
    out = Irrep.natural(l)
    pairs = [(product_paths(l_max, n, out), independent_paths(l_max, n, out)) for n in range(1, order + 1)]
    return [pair for pair in pairs if pair[0]]


def _block_diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    out = np.zeros((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)))
    row = column = 0
    for block in blocks:
        out[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return out


@cache
def ordered_mixing(l_max: int, order: int, l: int) -> np.ndarray:
    """Every ordered path as a combination of independent ones, all orders, [ordered, independent].

    Exact once all factors are the same: Σ_η w_η P_η = Σ_p (Σ_η w_η R_ηp) P_p.
    """
    blocks = []
    for ordered, independent in _each_order(l_max, order, l):
        if not independent:
            blocks.append(np.zeros((len(ordered), 0)))
            continue
        basis = _vectors(l_max, independent)
        blocks.append(np.linalg.solve(basis @ basis.T, basis @ _vectors(l_max, ordered).T).T)
    return _block_diagonal(blocks)


@cache
def orthonormal_mixing(l_max: int, order: int, l: int) -> np.ndarray:
    """An orthonormal basis as combinations of the independent paths, all orders, [independent, independent].

    Gram and Schmidt in the order of the paths, on the Fischer product: the polynomials of one order have, but for
    traces, unit variance over normal variables and no correlation.
    """
    blocks = []
    for _, independent in _each_order(l_max, order, l):
        if not independent:
            continue
        basis = _vectors(l_max, independent)
        blocks.append(np.linalg.inv(np.linalg.cholesky(basis @ basis.T)))
    return _block_diagonal(blocks)


@cache
def symmetric_tensors(l_max: int, order: int, l: int) -> np.ndarray:
    """The independent polynomials of one order as symmetric tensors U, [independent, 2l+1, dim, …, dim]."""
    num_paths, dim = num_independent(l_max, order, Irrep.natural(l)), (l_max + 1) ** 2
    size = num_paths * (2 * l + 1) * dim**order * 8
    if size > MAX_TABLE_BYTES:
        raise ValueError(
            f"U tensor of order {order} with l_max={l_max} into l={l}: {num_paths} symmetric tensors with "
            f"{dim}^{order} components each need {size / 1e9:.1f} GB. Evaluate by couplings, which need no tensor, "
            "or lower the order or l_max."
        )
    shares = _repetitions(dim, order) / factorial(
        order
    )  # of a monomial's coefficient, for one order of its indices
    paths = independent_paths(l_max, order, Irrep.natural(l))
    return (polynomials(l_max, paths) * shares)[..., _ranks(dim, order)]


for _table in (ordered_mixing, orthonormal_mixing, symmetric_tensors):
    tables.add(_table.__name__, _table)
