"""Irreducible Cartesian tensors by their published formulas, slow and explicit: the definition under test."""

import itertools
import math

import numpy as np

EPSILON = np.zeros((3, 3, 3))
EPSILON[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = 1
EPSILON[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = -1


def double_factorial(n: int) -> int:
    return 1 if n <= 0 else n * double_factorial(n - 2)


def random_orthogonal(rng: np.random.Generator, det: int) -> np.ndarray:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * det * np.sign(np.linalg.det(q))


def rotate(t: np.ndarray, r: np.ndarray) -> np.ndarray:
    for axis in range(t.ndim):
        t = np.moveaxis(np.tensordot(r, t, axes=(1, axis)), 0, axis)
    return t


def symmetrize(t: np.ndarray) -> np.ndarray:
    if t.ndim < 2:
        return t
    orders = list(itertools.permutations(range(t.ndim)))
    return sum(np.transpose(t, p) for p in orders) / len(orders)


def outer(*factors: np.ndarray) -> np.ndarray:
    out = np.array(1.0)
    for factor in factors:
        out = np.multiply.outer(out, factor)
    return out


def traces(t: np.ndarray) -> float:
    pairs = itertools.combinations(range(t.ndim), 2)
    return max((np.abs(np.trace(t, axis1=a, axis2=b)).max() for a, b in pairs), default=0.0)


def unit_tensor(r: np.ndarray, l: int) -> np.ndarray:
    """T_l = C_l Σ_m (−1)^m (2l−2m−1)!!/(2l−1)!! {r̂^(l−2m) ⊗ 1^m}."""
    out = np.zeros((3,) * l)
    for m in range(l // 2 + 1):
        distinct = math.factorial(l) / (math.factorial(l - 2 * m) * math.factorial(m) * 2**m)
        factor = (-1) ** m * double_factorial(2 * l - 2 * m - 1) / double_factorial(2 * l - 1)
        out = out + factor * distinct * symmetrize(outer(*[r] * (l - 2 * m), *[np.eye(3)] * m))
    return double_factorial(2 * l - 1) / math.factorial(l) * out


def product(x: np.ndarray, y: np.ndarray, l3: int) -> np.ndarray:
    """The sum over m of (−2)^m (2l3−2m−1)!!/(2l3−1)!! {x ·_{k+m} y ⊗ 1^m}, ε : in front when odd."""
    l1, l2 = x.ndim, y.ndim
    odd = (l1 + l2 - l3) % 2
    k = (l1 + l2 - l3 - odd) // 2
    out = np.zeros((3,) * l3)
    for m in range(min(l1, l2) - k - odd + 1):
        n, a, b = k + m, l1 - k - m - odd, l2 - k - m - odd
        if odd:  # ε_abc x_b.. y_c.., axes a, x.., c
            left = np.moveaxis(np.tensordot(EPSILON, x, axes=(1, 0)), 1, -1)
            core = np.tensordot(
                left, y, axes=([left.ndim - 1, *range(left.ndim - 1 - n, left.ndim - 1)], range(n + 1))
            )
        else:
            core = np.tensordot(x, y, axes=(range(l1 - n, l1), range(n)))
        f = math.factorial
        distinct = f(l3) / (f(a) * f(b) * f(m) * 2**m)
        factor = (-2) ** m * double_factorial(2 * l3 - 2 * m - 1) / double_factorial(2 * l3 - 1)
        out = out + factor * distinct * symmetrize(outer(core, *[np.eye(3)] * m))
    return out
