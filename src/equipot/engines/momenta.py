"""Momenta of independent copies: drawn from the Maxwell-Boltzmann distribution, and freed of rigid motion.

Arrays are [replicas, atoms, 3]; masses belong to one copy. Momenta in the units of ASE, amu Å / (Å √(amu/eV)).
"""

import numpy as np
from ase import Atoms
from jaxtyping import Float

from equipot import units
from equipot.engines.settings import Phase

_LINEAR = 1e-6  # of the largest moment of inertia: below, an axis has no rotation about it


def maxwell_boltzmann(
    masses: Float[np.ndarray, " atoms"], temperature: float, replicas: int, rng: np.random.Generator
) -> Float[np.ndarray, "replicas atoms 3"]:
    """Each component normal with variance m kT."""
    width = np.sqrt(masses * units.kB * temperature)[:, None]
    return rng.standard_normal((replicas, len(masses), 3)) * width


def without_rigid_motion(
    momenta: Float[np.ndarray, "replicas atoms 3"],
    positions: Float[np.ndarray, "replicas atoms 3"],
    masses: Float[np.ndarray, " atoms"],
    rotation: bool,
) -> Float[np.ndarray, "replicas atoms 3"]:
    """Momenta whose sum, and with `rotation` whose angular momentum about the center of mass, is zero in every copy.

    What remains is not rescaled: the internal motions keep the energy that they have.
    """
    m = masses[:, None]
    momenta = momenta - m * momenta.sum(1, keepdims=True) / masses.sum()
    if not rotation:
        return momenta
    r = _centered(positions, masses)
    angular = np.cross(r, momenta).sum(1)
    inverse = np.linalg.pinv(_inertia(r, masses), rcond=_LINEAR, hermitian=True)
    velocity = np.einsum("rab,rb->ra", inverse, angular)
    return momenta - m * np.cross(velocity[:, None], r)


def internal_degrees_of_freedom(
    positions: Float[np.ndarray, "atoms 3"], masses: Float[np.ndarray, " atoms"], rotation: bool
) -> int:
    """3N − 3, and less the 3 rotations of a molecule (2 of a linear one, 0 of an atom)."""
    free = 3 * len(masses) - 3
    if not rotation or free == 0:
        return free
    moments = np.linalg.eigvalsh(_inertia(_centered(positions[None], masses), masses)[0])
    return free - int((moments > _LINEAR * moments[-1]).sum())


def degrees_of_freedom(phase: Phase, atoms: Atoms, size: int) -> int:
    """Those of one replica, the first `size` atoms, that carry kinetic energy in a phase; at least one.

    Langevin dynamics excites all 3N; anything else leaves the rigid motions, once taken out, at rest.
    """
    if phase.thermostat == "langevin":
        return 3 * size
    masses, rotation = atoms.get_masses()[:size], not atoms.pbc.any()
    return max(internal_degrees_of_freedom(atoms.positions[:size], masses, rotation), 1)


def kinetic_energies(
    momenta: Float[np.ndarray, "replicas atoms 3"], masses: Float[np.ndarray, " atoms"]
) -> Float[np.ndarray, " replicas"]:
    """Σ p²/2m of every copy, eV."""
    return 0.5 * np.einsum("rax,rax,a->r", momenta, momenta, 1 / masses)


def _centered(positions: np.ndarray, masses: np.ndarray) -> np.ndarray:
    center = np.einsum("rax,a->rx", positions, masses) / masses.sum()
    return positions - center[:, None]


def _inertia(r: np.ndarray, masses: np.ndarray) -> np.ndarray:
    squares = np.einsum("rax,rax,a->r", r, r, masses)
    return squares[:, None, None] * np.eye(3) - np.einsum("rax,ray,a->rxy", r, r, masses)
