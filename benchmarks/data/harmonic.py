"""Harmonic frequencies, infrared and Raman intensities of a molecule, by DFT.

    H~ = M^-1/2 H M^-1/2, translations and rotations projected out      nu = sqrt(eigenvalue)
    mu'_p = Σ_ib ∂mu/∂r_ib e_ib,p / sqrt(m_i)                           alpha'_p likewise
    IR     974.880112 |mu'|²  km/mol, mu in e·Å                         Raman  45 a'² + 7 γ'²  Å⁴/amu
    rho    3 γ'² / (45 a'² + 4 γ'²), polarized laser

E. B. Wilson, J. C. Decius, P. C. Cross, Molecular Vibrations (1955); D. A. Long, The Raman Effect (2002).
The Hessian is the central difference of the forces, which are exact derivatives of the energy on its
integration grid; the dipole and polarizability derivatives come from the same displaced geometries.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from dft import HARTREE, Labels, forces, ground_state

WAVENUMBER = 521.470898  # cm⁻¹ of an eigenvalue 1 eV/Å²/amu
INFRARED = 974.880112  # km/mol of |mu'|² = 1 e²/amu
RIGID = 1e-6  # singular values below this part of the largest belong to no rigid motion


@dataclass(frozen=True)
class Derivatives:
    """At a minimum, with respect to the Cartesian coordinates in the order of the atoms."""

    hessian: np.ndarray  # [3 atoms, 3 atoms], eV/Å²
    dipole: np.ndarray  # [3 atoms, 3], e
    polarizability: np.ndarray  # [3 atoms, 3, 3], Å²
    asymmetry: float  # of the Hessian before it was symmetrized, as a part of its largest entry


@dataclass(frozen=True)
class Modes:
    frequencies: np.ndarray  # [modes], cm⁻¹, imaginary ones negative
    infrared: np.ndarray  # [modes], km/mol
    raman: np.ndarray  # [modes], Å⁴/amu
    depolarization: np.ndarray  # [modes]
    rigid: np.ndarray  # [6], cm⁻¹: translations and rotations before they are projected out


class KohnSham(Calculator):
    """Energy and forces for a relaxation; each step starts from the density of the one before.

    The integration grid does not turn with the molecule: its energy changes by 0.1 meV on rotation. The
    forces that would turn it are left out, otherwise the relaxation follows them for hundreds of steps.
    """

    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        state = ground_state(self.atoms, getattr(self, "density", None))
        self.density = state.make_rdm1()
        internal = without_rigid_motion(self.atoms.positions, forces(state))
        self.results = {"energy": state.e_tot * HARTREE, "forces": internal}


def without_rigid_motion(positions: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The part of one vector per atom that neither moves nor turns the whole."""
    rigid = rigid_motions(positions, np.ones(len(positions)))
    return vectors - (rigid @ (rigid.T @ vectors.ravel())).reshape(vectors.shape)


def stiffened(positions: np.ndarray, hessian: np.ndarray, stiffness: float = 70.0) -> np.ndarray:
    """The Hessian with a stiffness (eV/Å²) along rigid motions, which have none of their own."""
    rigid = rigid_motions(positions, np.ones(len(positions)))
    projector = np.eye(len(rigid)) - rigid @ rigid.T
    return projector @ hessian @ projector + stiffness * rigid @ rigid.T


def displaced(atoms: Atoms, step: float) -> list[Atoms]:
    """Every coordinate moved by +step and by -step, Å, in this order; nothing is centred."""
    geometries = []
    for coordinate in range(3 * len(atoms)):
        for sign in (1, -1):
            copy = Atoms(atoms.numbers, atoms.positions, info={"config_type": "displaced"})
            copy.positions.reshape(-1)[coordinate] += sign * step
            geometries.append(copy)
    return geometries


def derivatives(points: list[Labels], step: float) -> Derivatives:
    """Central differences over `displaced` geometries; the Hessian is symmetrized."""
    plus, minus = points[0::2], points[1::2]
    pairs = list(zip(plus, minus, strict=True))
    hessian = -np.stack([(p.forces - m.forces).ravel() for p, m in pairs]) / (2 * step)
    asymmetry = np.abs(hessian - hessian.T).max() / np.abs(hessian).max()
    if asymmetry > 1e-3:
        raise RuntimeError(f"the Hessian is asymmetric by {asymmetry:.1e} of its largest entry")
    return Derivatives(
        hessian=(hessian + hessian.T) / 2,
        dipole=np.stack([p.dipole - m.dipole for p, m in pairs]) / (2 * step),
        polarizability=np.stack([p.polarizability - m.polarizability for p, m in pairs]) / (2 * step),
        asymmetry=asymmetry,
    )


def rigid_motions(positions: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Orthonormal mass-weighted translations and rotations, [3 atoms, 6], or 5 for a linear molecule."""
    centred = positions - masses @ positions / masses.sum()
    weight = np.sqrt(masses)[:, None]
    columns = [
        (weight * motion).ravel()
        for axis in np.eye(3)
        for motion in (np.broadcast_to(axis, centred.shape), np.cross(axis, centred))
    ]
    basis, size, _ = np.linalg.svd(np.stack(columns, axis=1), full_matrices=False)
    return basis[:, size > RIGID * size[0]]


def wavenumbers(eigenvalues: np.ndarray) -> np.ndarray:
    return WAVENUMBER * np.sign(eigenvalues) * np.sqrt(np.abs(eigenvalues))


def normal_modes(atoms: Atoms, at: Derivatives) -> Modes:
    masses = atoms.get_masses()
    weight = np.repeat(masses, 3) ** -0.5
    weighted = at.hessian * np.outer(weight, weight)
    rigid = rigid_motions(atoms.positions, masses)
    projector = np.eye(len(weight)) - rigid @ rigid.T
    values, vectors = np.linalg.eigh(projector @ weighted @ projector)
    inner = np.sort(np.argsort(np.linalg.norm(rigid.T @ vectors, axis=0))[: len(weight) - rigid.shape[1]])
    motion = vectors[:, inner] * weight[:, None]
    dipole = np.einsum("ca,cp->pa", at.dipole, motion)
    raman, depolarization = placzek(np.einsum("cab,cp->pab", at.polarizability, motion))
    return Modes(
        frequencies=wavenumbers(values[inner]),
        infrared=INFRARED * (dipole**2).sum(axis=1),
        raman=raman,
        depolarization=depolarization,
        rigid=wavenumbers(np.linalg.eigvalsh(rigid.T @ weighted @ rigid)),
    )


def placzek(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Raman activities (Å⁴/amu) and depolarization ratios of polarizability derivatives [modes, 3, 3]."""
    mean = np.trace(alpha, axis1=1, axis2=2) / 3
    traceless = alpha - mean[:, None, None] * np.eye(3)
    anisotropy = 1.5 * (traceless**2).sum(axis=(1, 2))
    activity = 45 * mean**2 + 7 * anisotropy
    return activity, 3 * anisotropy / (45 * mean**2 + 4 * anisotropy)
