"""Harmonic frequencies with infrared and Raman intensities: the sticks under a spectrum from dynamics.

H̃ = M^(−1/2) H M^(−1/2),    ν = √λ / 2πc,    X′_p = Σ_ib ∂X/∂r_ib e_ib,p /√m_i
infrared 974.88 |μ′|² km/mol,    Raman activity 45 a′² + 7 γ′² Å⁴/amu
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int

from equipot import units
from equipot.spectra.derivatives import Derivatives, ase_response, central_differences
from equipot.spectra.infrared import KM_MOL
from equipot.spectra.raman import anisotropic, isotropic

#: cm⁻¹ of √(1 eV/Å²/amu)
WAVENUMBER = np.sqrt(units.acceleration) / (2 * pi * units.light)
_INDEPENDENT = 1e-6  # singular values of the rigid motions, relative to the largest
_DEGENERATE = 0.5  # cm⁻¹; modes closer than this are one stick


@dataclass(frozen=True, kw_only=True)
class Sticks:
    """Harmonic lines of one kind; modes of equal frequency are one."""

    wavenumber: Float[np.ndarray, " lines"]  # cm⁻¹
    value: Float[np.ndarray, " lines"]  # km/mol, Å⁴/amu, or modes
    depolarization: Float[np.ndarray, " lines"] | None = None  # Raman only, polarized laser
    source: str = ""  # which model or method


@dataclass(frozen=True, kw_only=True)
class Harmonic:
    """Normal modes of a minimum. Wavenumbers in cm⁻¹, ascending; an imaginary one is stored negative."""

    numbers: Int[np.ndarray, " atoms"]
    positions: Float[np.ndarray, "atoms 3"]  # Å
    masses: Float[np.ndarray, " atoms"]  # amu
    wavenumbers: Float[np.ndarray, " modes"]
    modes: Float[np.ndarray, "modes atoms 3"]  # unit norm in mass-weighted coordinates
    residual: Float[np.ndarray, " rigid"]  # cm⁻¹ of the rigid motions before projection: zero, were all exact
    infrared: Float[np.ndarray, " modes"] | None = None  # km/mol
    isotropic: Float[np.ndarray, " modes"] | None = None  # a′², Å⁴/amu
    anisotropic: Float[np.ndarray, " modes"] | None = None  # γ′², Å⁴/amu
    source: str = ""  # which model or method
    share: Float[np.ndarray, " modes"] | None = (
        None  # of the conformer that a mode belongs to; None: one conformer
    )
    cell: Float[np.ndarray, "3 3"] | None = None  # Å, vectors as rows, of a crystal
    charges: Float[np.ndarray, "modes 3"] | None = None  # dM/dQ, e/√amu
    raman_tensors: Float[np.ndarray, "modes 3 3"] | None = None  # dα/dQ, Å²/√amu
    permittivity: Float[np.ndarray, "3 3"] | None = None  # ε∞ of a crystal, 1 + 4πα/V
    hessian_violation: float | None = None  # largest |Σ_j Φ_ij| before it was enforced, eV/Å²
    charge_violation: float | None = None  # largest |Σ_i Z*_i − Q 1| before it was enforced, e

    def activity(self) -> Float[np.ndarray, " modes"] | None:
        """Raman activity 45 a′² + 7 γ′², Å⁴/amu."""
        if self.isotropic is None or self.anisotropic is None:
            return None
        return 45 * self.isotropic + 7 * self.anisotropic

    def depolarization(self) -> Float[np.ndarray, " modes"] | None:
        """ρ = 3γ′²/(45a′² + 4γ′²) of each mode; NaN for one that does not scatter."""
        if self.isotropic is None or self.anisotropic is None:
            return None
        return _ratio(self.isotropic, self.anisotropic)

    def imaginary(self) -> Float[np.ndarray, " imaginary"]:
        """Wavenumbers of the imaginary modes: none at a minimum."""
        return self.wavenumbers[self.wavenumbers < 0]

    def scaled(self, factor: float) -> "Harmonic":
        """With a scaling factor on the frequencies (never used on spectra from dynamics)."""
        return replace(self, wavenumbers=factor * self.wavenumbers)

    def sticks(self, kind: str) -> Sticks | None:
        """Lines of the "ir", "raman" or "power" spectrum; None where the derivatives are not known.

        Imaginary modes are left out.
        """
        values = {"ir": self.infrared, "raman": self.activity(), "power": np.ones(len(self.wavenumbers))}[
            kind
        ]
        if values is None:
            return None
        if self.share is not None:
            values = values * self.share
        groups = self._groups()
        sums = np.array([values[g].sum() for g in groups])
        centers = np.array([self.wavenumbers[g].mean() for g in groups])
        ratio = None
        if kind == "raman" and self.isotropic is not None and self.anisotropic is not None:
            ratio = _ratio(
                np.array([self.isotropic[g].sum() for g in groups]),
                np.array([self.anisotropic[g].sum() for g in groups]),
            )
        return Sticks(wavenumber=centers, value=sums, depolarization=ratio, source=self.source)

    def _groups(self) -> list[np.ndarray]:
        real = np.flatnonzero(self.wavenumbers >= 0)
        if len(real) == 0:
            return []
        cuts = np.flatnonzero(np.diff(self.wavenumbers[real]) > _DEGENERATE) + 1
        return np.split(real, cuts)


def mixture(conformers: Sequence[Harmonic], shares: Sequence[float]) -> Harmonic:
    """The lines of several conformers together, each by its share of the molecules; the geometry is the first one's.

    The shares have to add up to one.
    """
    if abs(sum(shares) - 1) > 1e-6 or len(shares) != len(conformers):
        raise ValueError(
            f"{len(conformers)} conformers with shares {list(shares)}: expected one each, adding up to 1."
        )
    order = np.argsort(np.concatenate([c.wavenumbers for c in conformers]))

    def joined(name: str) -> np.ndarray | None:
        parts = [getattr(c, name) for c in conformers]
        return None if any(p is None for p in parts) else np.concatenate(parts)[order]

    names = ("wavenumbers", "modes", "infrared", "isotropic", "anisotropic", "charges", "raman_tensors")
    values = {n: joined(n) for n in names}
    share = np.concatenate([np.full(len(c.wavenumbers), s) for c, s in zip(conformers, shares, strict=True)])
    return replace(conformers[0], **values, share=share[order])


def harmonic(
    derivatives: Derivatives,
    numbers: Int[np.ndarray, " atoms"],
    positions: Float[np.ndarray, "atoms 3"],
    masses: Float[np.ndarray, " atoms"],
    rotations: bool = True,
    source: str = "",
    cell: Float[np.ndarray, "3 3"] | None = None,
) -> Harmonic:
    """Normal modes orthogonal to the rigid motions, and their intensities.

    The rigid motions √m_i e_k and √m_i e_k × (r_i − r_com) are made orthonormal by a singular value
    decomposition; their rank (6; 5 for a linear molecule, 3 for an atom) is the number of modes
    left out, and the Hessian is diagonalized in what remains.

    Args:
        derivatives: at a minimum of the energy.
        numbers: atomic numbers.
        positions: Å.
        masses: amu; isotopes are set here.
        rotations: False for a periodic cell, which has no free rotation.
        source: kept with the result.
        cell: of a crystal, Å; the polarizability is then that of the cell, and gives ε∞.
    """
    size = 3 * len(masses)
    root = np.repeat(np.sqrt(masses), 3)
    weighted = derivatives.hessian.reshape(size, size) / np.outer(root, root)
    vectors, singular, _ = np.linalg.svd(rigid_motions(positions, masses, rotations))
    rank = int(np.sum(singular > _INDEPENDENT * singular[0]))
    internal = vectors[:, rank:]
    eigenvalues, coefficients = np.linalg.eigh(internal.T @ weighted @ internal)
    modes = (internal @ coefficients).T
    unprojected = np.linalg.eigvalsh(weighted)
    displacements = (modes / root).reshape(len(modes), len(masses), 3)
    charges, tensors = _mode_derivatives(derivatives, displacements)
    return Harmonic(
        numbers=numbers,
        positions=positions,
        masses=masses,
        wavenumbers=_signed_wavenumber(eigenvalues),
        modes=modes.reshape(len(modes), len(masses), 3),
        residual=_signed_wavenumber(unprojected[np.argsort(np.abs(unprojected))[:rank]]),
        infrared=None if charges is None else KM_MOL * np.sum(charges**2, axis=1),
        isotropic=None if tensors is None else isotropic(tensors) ** 2,
        anisotropic=None if tensors is None else 1.5 * np.sum(anisotropic(tensors) ** 2, axis=(1, 2)),
        source=source,
        cell=cell,
        charges=charges,
        raman_tensors=tensors,
        permittivity=_permittivity(derivatives, cell),
    )


def harmonic_of(
    atoms: Atoms,
    masses: Float[np.ndarray, " atoms"] | None = None,
    step: float = 0.005,
    largest_force: float = 1e-4,
    source: str = "",
) -> Harmonic:
    """Normal modes of relaxed ASE atoms by differences of their calculator (float64 wanted).

    Refuses a geometry with a force above `largest_force` eV/Å: that is no minimum.
    """
    response = ase_response(atoms)
    found = np.abs(response(atoms.positions).forces).max()
    if found > largest_force:
        raise ValueError(
            f"harmonic analysis of {atoms.get_chemical_formula()}: the largest force is {found:.1e} eV/Å, "
            f"expected below {largest_force:.0e}. Relax the geometry first, in float64."
        )
    return harmonic(
        central_differences(atoms.positions, response, step),
        atoms.numbers.astype(np.int64),
        atoms.positions.copy(),
        atoms.get_masses() if masses is None else masses,
        rotations=not atoms.pbc.any(),
        source=source,
    )


def rigid_motions(
    positions: Float[np.ndarray, "atoms 3"], masses: Float[np.ndarray, " atoms"], rotations: bool = True
) -> Float[np.ndarray, "coordinates motions"]:
    """Mass-weighted translations and rotations as columns, neither normalized nor independent."""
    root = np.sqrt(masses)[:, None]
    relative = positions - masses @ positions / masses.sum()
    columns = [(root * axis).ravel() for axis in np.eye(3)]
    if rotations:
        columns += [(root * np.cross(axis, relative)).ravel() for axis in np.eye(3)]
    return np.array(columns).T


def _mode_derivatives(
    derivatives: Derivatives, displacements: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """dM/dQ and dα/dQ of every mode."""
    dipole, alpha = derivatives.dipole, derivatives.polarizability
    return (
        None if dipole is None else np.einsum("iab,pib->pa", dipole, displacements),
        None if alpha is None else np.einsum("iabc,pic->pab", alpha, displacements),
    )


def _permittivity(derivatives: Derivatives, cell: np.ndarray | None) -> np.ndarray | None:
    """ε∞ = 1 + 4πα/V: α is the response to the macroscopic field, which needs no local one."""
    if cell is None or derivatives.static is None:
        return None
    return np.eye(3) + 4 * pi * derivatives.static / abs(np.linalg.det(cell))


def _signed_wavenumber(eigenvalues: np.ndarray) -> np.ndarray:
    return np.sign(eigenvalues) * np.sqrt(np.abs(eigenvalues)) * WAVENUMBER


def _ratio(a: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    parallel = 45 * a + 4 * gamma
    dark = parallel <= 1e-12 * max(parallel.max(initial=0.0), 1e-300)
    return np.where(dark, np.nan, 3 * gamma / np.where(dark, 1.0, parallel))
