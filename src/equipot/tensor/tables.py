"""Constant tables of the tensor algebra, computed once in float64 with numpy.

Everything follows from irreducible Cartesian tensors: the isometry Q between the symmetric
traceless 3^l tensors and the 2l+1 real harmonics, and the Cartesian products, which fix the
couplings including their sign.

Components (the only choice in the package, shared with e3nn): real harmonics with polar axis y
and without the Condon-Shortley phase, m = −l ... l, so that degree 1 is (x, y, z) and degree 2 is
(xz, xy, y² − (x²+z²)/2, yz, (z²−x²)/2) times (√15, √15, √5, √15, √15).
"""

from collections import defaultdict
from collections.abc import Callable
from functools import cache
from itertools import product as words
from math import comb, factorial, sqrt

import numpy as np
import torch
from torch import Tensor

MAX_DEGREE = 8  # memory: the isometry has 3^l rows

_Polynomial = dict[tuple[int, int, int], float]  # exponents of (x, y, z) -> coefficient


def double_factorial(n: int) -> int:
    """The product n (n−2) (n−4) ..., one for n ≤ 0."""
    return 1 if n <= 0 else n * double_factorial(n - 2)


def unit_tensor_factor(l: int) -> float:
    """C_l = (2l−1)!!/l!, the squared norm of T_l, whose l-fold contraction with r̂ is one."""
    return double_factorial(2 * l - 1) / factorial(l)


def _times(p: _Polynomial, q: _Polynomial) -> _Polynomial:
    out: _Polynomial = defaultdict(float)
    for (i, a), (j, b) in words(p.items(), q.items()):
        out[i[0] + j[0], i[1] + j[1], i[2] + j[2]] += a * b
    return out


def _power(p: _Polynomial, n: int) -> _Polynomial:
    out: _Polynomial = {(0, 0, 0): 1.0}
    for _ in range(n):
        out = _times(out, p)
    return out


def _harmonic_polynomial(l: int, m: int) -> _Polynomial:
    """Component-normalised real harmonic as a homogeneous polynomial of degree l.

    √((2l+1)(2 − δ_m0)(l−|m|)!/(l+|m|)!) · d^|m|P_l(y)/dy^|m| · (Re or Im)(z + ix)^|m|, made homogeneous with
    powers of x²+y²+z²; Im for m < 0.
    """
    n = abs(m)
    squared_radius: _Polynomial = {(2, 0, 0): 1.0, (0, 2, 0): 1.0, (0, 0, 2): 1.0}
    polar: _Polynomial = defaultdict(float)
    for k in range((l - n) // 2 + 1):
        c = (-1) ** k * comb(l, k) * comb(2 * l - 2 * k, l) / 2**l
        c *= factorial(l - 2 * k) / factorial(l - 2 * k - n)
        term = _times(_power(squared_radius, k), {(0, l - 2 * k - n, 0): c})
        for exponents, value in term.items():
            polar[exponents] += value
    azimuth: _Polynomial = {}
    for k in range(n + 1):  # (z + ix)^n = Σ binom(n, k) i^k x^k z^(n−k)
        if k % 2 == (m < 0):
            azimuth[(k, 0, n - k)] = comb(n, k) * (-1.0) ** (k // 2)
    norm = sqrt((2 * l + 1) * (2 if m else 1) * factorial(l - n) / factorial(l + n))
    return {i: norm * v for i, v in _times(polar, azimuth).items()}


@cache
def isometry(l: int) -> np.ndarray:
    """Q [3^l, 2l+1], QᵀQ = 1: column m holds the symmetric traceless tensor B^l_m, axes flattened.

    Y_lm(r̂) = √((2l+1) C_l) B^l_m : r̂⊗...⊗r̂.
    """
    if not 0 <= l <= MAX_DEGREE:
        raise ValueError(f"degree of a tensor: found l={l}; expected 0 <= l <= {MAX_DEGREE}")
    rows = [(w.count(0), w.count(1), w.count(2)) for w in words(range(3), repeat=l)]
    columns = []
    for m in range(-l, l + 1):
        polynomial = _harmonic_polynomial(l, m)
        columns.append(
            [polynomial.get(n, 0.0) * np.prod([factorial(i) for i in n]) / factorial(l) for n in rows]
        )
    return np.array(columns, dtype=np.float64).T / sqrt((2 * l + 1) * unit_tensor_factor(l))


def arrangements(l1: int, l2: int, l3: int) -> float:
    """Distinct placements of the free axes in the leading term of the product (x ⊗ y)_l3."""
    odd = (l1 + l2 - l3) % 2
    k = (l1 + l2 - l3 - odd) // 2
    return factorial(l3) / (factorial(l1 - k - odd) * factorial(l2 - k - odd))


def gain(l1: int, l2: int, l3: int) -> float:
    """g0: the un-normalised Cartesian product is g0 · √(2l3+1) · w3j in orthonormal components."""
    f, total, odd = factorial, l1 + l2 + l3, (l1 + l2 - l3) % 2
    k = (l1 + l2 - l3 - odd) // 2
    a, b = l1 - k - odd, l2 - k - odd
    numerator = 2**odd * f(2 * a + odd) * f(2 * b + odd) * f(2 * k + odd) * f(total + 1)
    return f(l3) / (f(a) * f(b)) * sqrt(numerator / (f(2 * l1) * f(2 * l2) * f(2 * l3 + 1)))


def published_factor(l1: int, l2: int, l3: int) -> float:
    """C_{l1 l2 l3} of the irreducible Cartesian product: (T_l1(r̂) ⊗ T_l2(r̂))_l3 = T_l3(r̂).

    Defined for even l1 + l2 − l3. The odd product of equal directions vanishes, so its factor is free:
    1/g0, which makes it isometric.
    """
    if (l1 + l2 - l3) % 2:
        return 1 / gain(l1, l2, l3)
    f, half = factorial, (l1 + l2 + l3) // 2
    a, b, k = half - l2, half - l1, half - l3
    numerator = f(l1) * f(l2) * double_factorial(2 * l3 - 1) * f(a) * f(b)
    denominators = double_factorial(2 * a - 1) * double_factorial(2 * b - 1) * double_factorial(2 * k - 1)
    return numerator / (f(l3) * denominators * f(half))


def permutation_symbol() -> np.ndarray:
    """ε_abc, right-handed."""
    a, b, c = np.indices((3, 3, 3))
    return (a - b) * (b - c) * (c - a) / 2.0


def check_triangle(l1: int, l2: int, l3: int) -> None:
    """Refuse a coupling that does not exist."""
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(f"coupling: l={l1} times l={l2} contains no l={l3}")


@cache
def coupling(l1: int, l2: int, l3: int) -> np.ndarray:
    """√(2l3+1) · w3j as [2l3+1, 2l1+1, 2l2+1], its sign that of the Cartesian product.

    The rank-l3 product of two tensors is, before normalisation, `arrangements` times the symmetric traceless
    part of x ·_k y (k pairs contracted; for odd l1 + l2 − l3 of ε : x ·_k y, one free axis of each joined by
    the permutation symbol). The sums over traces in the published formulas are that projection, here Qᵀ.
    """
    check_triangle(l1, l2, l3)
    odd = (l1 + l2 - l3) % 2
    k = (l1 + l2 - l3 - odd) // 2
    free, bound, joined = 3 ** (l1 - k - odd), 3**k, 3**odd
    x = isometry(l1).reshape(joined, free, bound, -1)
    y = isometry(l2).reshape(joined, bound, -1, 2 * l2 + 1)
    symbol = permutation_symbol() if odd else np.ones((1, 1, 1))
    core = np.einsum("pqr,qaim,ribn->pabmn", symbol, x, y, optimize=True)
    core = core.reshape(3**l3, 2 * l1 + 1, 2 * l2 + 1)
    table = np.einsum("tk,tmn->kmn", isometry(l3), core) * arrangements(l1, l2, l3) / gain(l1, l2, l3)
    return np.where(np.abs(table) < 1e-14, 0.0, table)


def couplings(l1: int, l2: int, *degrees: int) -> np.ndarray:
    """The couplings to several degrees, one below the other, as a matrix on the outer products of components."""
    return np.concatenate([coupling(l1, l2, l3).reshape(2 * l3 + 1, -1) for l3 in degrees])


def wigner_3j(l1: int, l2: int, l3: int) -> np.ndarray:
    """Real 3j tensor [2l1+1, 2l2+1, 2l3+1], the invariant of unit norm with the sign of `coupling`."""
    return np.moveaxis(coupling(l1, l2, l3), 0, -1) / sqrt(2 * l3 + 1)


@cache
def harmonic_recursion(l: int) -> np.ndarray:
    """R [(2l−1)·3, 2l+1] with Y_l = (Y_{l−1} ⊗ r̂) R, for component-normalised harmonics."""
    up = isometry(l).reshape(3 ** (l - 1), 3, 2 * l + 1)
    ratio = (2 * l + 1) * unit_tensor_factor(l) / ((2 * l - 1) * unit_tensor_factor(l - 1))
    table = sqrt(ratio) * np.einsum("tm,tin->min", isometry(l - 1), up).reshape(-1, 2 * l + 1)
    return np.where(np.abs(table) < 1e-14, 0.0, table)


_TABLES: dict[str, Callable[..., np.ndarray]] = {
    "isometry": isometry,
    "coupling": coupling,
    "couplings": couplings,
    "harmonic_recursion": harmonic_recursion,
    "permutation_symbol": permutation_symbol,
}


def add(name: str, table: Callable[..., np.ndarray]) -> None:
    """Let `constant` find a table that another module computes from integers."""
    _TABLES[name] = table


_constants: dict[tuple, Tensor] = {}


def constant(name: str, *degrees: int, like: Tensor) -> Tensor:
    """A table as a tensor of the dtype and on the device of `like`, made once."""
    if torch.compiler.is_dynamo_compiling():  # numbers, which the compiler bakes into its program
        shape, values = _numbers(name, degrees)
        return torch.tensor(values, dtype=like.dtype, device=like.device).reshape(shape)
    key = (name, degrees, like.dtype, like.device)
    if key not in _constants:
        with torch.inference_mode(False):  # else training could not use what inference made
            made = torch.tensor(_TABLES[name](*degrees), dtype=like.dtype, device=like.device)
        if type(made) is not Tensor:  # a stand-in without numbers, while a program is exported
            return made
        _constants[key] = made
    return _constants[key]


@torch.compiler.assume_constant_result
def _numbers(name: str, degrees: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    table = _TABLES[name](*degrees)
    return table.shape, tuple(table.reshape(-1).tolist())
