"""Products of a feature with itself: which there are, and how many can be independent.

A feature A holds one irrep of natural parity for every l = 0 … l_max. A product path couples copies of it from the
left, ((A_l1 ⊗ A_l2)_L2 ⊗ A_l3)_L3 …
"""

from functools import cache
from typing import Literal

import numpy as np

from equipot.tensor.irreps import Irrep, products

PathSet = Literal["ordered", "full", "sym"]
ProductPath = tuple[tuple[int, Irrep], ...]  # degree of every factor, and what it makes with those before it


@cache
def product_paths(l_max: int, order: int, out: Irrep, kind: PathSet = "ordered") -> tuple[ProductPath, ...]:
    """All paths of an order into an irrep.

    `ordered`: every sequence of degrees and intermediates, as in MACE. `full`: even l1 + l2 − l3 alone, and no
    intermediate beyond l_max, as in ICTP; `sym`: of these with l1 ≥ l2 in the first product.
    """
    paths: list[ProductPath] = [((l, Irrep.natural(l)),) for l in range(l_max + 1)]
    for left in range(order - 1, 0, -1):  # factors still to come, this one included
        farthest = out.l + (left - 1) * l_max
        highest = farthest if kind == "ordered" or left == 1 else min(farthest, l_max)
        paths = [
            (*path, (l, c))
            for path in paths
            for l in range(l_max + 1)
            for c in products(path[-1][1], Irrep.natural(l))
            if c.l <= highest
            and (kind == "ordered" or c == Irrep.natural(c.l))
            and not (kind == "sym" and len(path) == 1 and l > path[0][0])
        ]
    return tuple(path for path in paths if path[-1][1] == out)


@cache
def num_independent(l_max: int, order: int, out: Irrep) -> int:
    """Dimension of the equivariant polynomials of A: ∫ χ_out χ_{Symⁿ A} over O(3).

    The integrand is a trigonometric polynomial of the angle, which the mean over enough angles integrates exactly.
    """
    num = 2 * ((order + 1) * l_max + out.l + 2)
    angle = 2 * np.pi * (np.arange(num) + 0.5) / num

    def character(l: int, angles: np.ndarray) -> np.ndarray:
        return sum(np.cos(m * angles) for m in range(-l, l + 1))  # type: ignore[return-value]

    total = 0.0
    for inversion in (1, -1):
        powers = [
            sum(inversion ** (l * j) * character(l, j * angle) for l in range(l_max + 1))
            for j in range(1, order + 1)
        ]
        symmetric: list[np.ndarray] = [
            np.ones_like(angle)
        ]  # Newton's identities: characters of Sym⁰, Sym¹, …
        for n in range(1, order + 1):
            symmetric.append(np.sum([powers[j - 1] * symmetric[n - j] for j in range(1, n + 1)], axis=0) / n)
        sign = out.parity if inversion < 0 else 1
        measure = (1 - np.cos(angle)) / num
        total += sign * float(np.sum(measure * symmetric[order] * character(out.l, angle))) / 2
    return round(total)
