"""Covariant inputs of the atoms: velocities, applied forces and magnetic moments of a structure."""

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase import units as ase_units

from equipot.batch import ATOMIC_VECTORS, AXIAL

Vectors = Mapping[str, np.ndarray]  # name -> [atoms, 3], in the units of `equipot.batch`


def vectors_of(atoms: Atoms) -> dict[str, np.ndarray]:
    """Arrays with the names of the inputs; velocities are those of the momenta, where there are any.

    ASE moves the momenta, and would leave an array `velocities` of a file as it was.
    """
    found = {name: atoms.arrays[name] for name in ATOMIC_VECTORS if name in atoms.arrays}
    if atoms.has("momenta"):
        found["velocities"] = atoms.get_velocities() * ase_units.fs
    return {n: np.array(v, dtype=np.float64) for n, v in found.items() if v.shape == (len(atoms), 3)}


def rotated(vectors: Vectors, matrix: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs of the structure r → R r; axial ones keep their sign under inversion."""
    sign = np.sign(np.linalg.det(matrix))
    return {name: v @ matrix.T * (sign if name in AXIAL else 1.0) for name, v in vectors.items()}


def root_mean_squares(structures: Sequence[Vectors]) -> dict[str, float]:
    """Root mean square length of every input that all structures carry; inputs that vanish are left out."""
    common = [name for name in ATOMIC_VECTORS if all(name in vectors for vectors in structures)]
    squares = {n: np.concatenate([np.square(v[n]).sum(1) for v in structures]).mean() for n in common}
    return {name: float(np.sqrt(mean)) for name, mean in squares.items() if mean > 0}
