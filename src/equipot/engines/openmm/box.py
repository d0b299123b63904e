"""The periodic box of OpenMM: lower triangular and reduced, so a cell is turned into it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_MARGIN = 1e-13  # relative: round-off in a hexagonal cell, b_x = a_x/2, must not fail the check of OpenMM


@dataclass(frozen=True)
class Box:
    """A lattice as OpenMM takes it, and the rotation to it.

    OpenMM wants a = (x, 0, 0), b = (x, y, 0), c = (x, y, z) with positive diagonal and |b_x|, |c_x| ≤ a_x/2,
    |c_y| ≤ b_y/2 (its user guide, "Periodic Boundary Conditions"). Any cell spans such a lattice after a rotation.
    """

    vectors: Float[np.ndarray, "3 3"]  # rows, Å
    rotation: Float[np.ndarray, "3 3"]  # r in the frame of OpenMM = r @ rotation

    @classmethod
    def of(cls, cell: Float[np.ndarray, "3 3"]) -> "Box":
        """Of three independent cell vectors; those of a left-handed cell are turned around, the lattice stays."""
        cell = cell * np.sign(np.linalg.det(cell))
        q, r = np.linalg.qr(cell.T)  # cell = rᵀ qᵀ
        signs = np.sign(np.diag(r))
        a, b, c = (r * signs[:, None]).T
        c = c - b * np.round(c[1] / b[1])
        c = c - a * np.round(c[0] / a[0])
        b = b - a * np.round(b[0] / a[0])
        half = (0.5 - _MARGIN) * np.array([[0, 0, 0], [a[0], 0, 0], [a[0], b[1], 0]])
        vectors = np.array([a, b, c])
        return cls(np.where(half > 0, np.clip(vectors, -half, half), vectors), q * signs)
