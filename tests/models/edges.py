"""Neighbors and harmonics without the package, for models written down edge by edge."""

from math import factorial, prod, sqrt

import numpy as np
import torch

from equipot.tensor import tables


def edges(frame, cutoff):
    """(i, j, r_ij) by trying all images, without a neighbour search."""
    images = range(-3, 4) if frame.pbc.any() else range(1)
    for i in range(frame.num_atoms):
        for j in range(frame.num_atoms):
            for n in ((a, b, c) for a in images for b in images for c in images):
                vector = frame.positions[j] + np.array(n) @ frame.cell - frame.positions[i]
                if 1e-9 < np.linalg.norm(vector) < cutoff:
                    yield i, j, torch.from_numpy(vector)


def harmonic(vector, l):
    """Y_lm = √((2l+1)(2l−1)!!/l!) B_lm : r̂ ⊗ … ⊗ r̂."""
    power = unit = vector / vector.norm()
    if l == 0:
        return torch.ones(1, dtype=vector.dtype)
    for _ in range(l - 1):
        power = torch.outer(power, unit).flatten()
    double_factorial = prod(range(2 * l - 1, 0, -2))
    isometry = torch.from_numpy(tables.isometry(l).copy())
    return sqrt((2 * l + 1) * double_factorial / factorial(l)) * isometry.T @ power


def coupling(l1, l2, l3):
    """√(2l3+1) times the 3j symbol, [2l3+1, 2l1+1, 2l2+1]."""
    return torch.from_numpy(tables.coupling(l1, l2, l3).copy())
