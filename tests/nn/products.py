"""Products of a feature with itself, with every tensor written down."""

import math

import numpy as np
import torch

from equipot.tensor.irreps import Irrep, products
from equipot.tensor.tables import wigner_3j


def generalized_coupling(l_max, order, out):
    """U of all ordered paths, [paths, 2l+1, d, …, d], by the recursion of MACE."""
    dim = (l_max + 1) ** 2
    selector = {l: np.eye(dim)[l**2 : (l + 1) ** 2] for l in range(l_max + 1)}
    stack = [(Irrep.natural(l), selector[l]) for l in range(l_max + 1)]
    for _ in range(order - 1):
        stack = [
            (c, math.sqrt(c.dim) * np.einsum("abM,a...,bm->M...m", wigner_3j(a.l, l, c.l), u, selector[l]))
            for a, u in stack
            for l in range(l_max + 1)
            for c in products(a, Irrep.natural(l))
        ]
    return np.stack([u for c, u in stack if c == out])


def explicit_contraction(a, weights, l_max, order, out):
    """Σ_ν Σ_η w U A ⋯ A with every factor in sight; a is [atoms, components, channels], weights of each atom."""
    result, first = 0.0, 0
    for n in range(1, order + 1):
        u = torch.from_numpy(generalized_coupling(l_max, n, out))
        w = weights[:, first : first + len(u)]
        first += len(u)
        letters = "uvx"[:n]
        factors = ",".join(f"a{x}k" for x in letters)
        result = result + torch.einsum(f"pM{letters},apk,{factors}->aMk", u, w, *[a] * n)
    assert first == weights.shape[1]
    return result
