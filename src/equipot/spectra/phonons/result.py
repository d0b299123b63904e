"""Phonons of a crystal: bands, density of states, thermal properties, and what is unstable."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

#: of the forces; beyond, second derivatives depend on the displacement
LINEAR = 0.1
#: cm⁻¹; a wavenumber below −1 is imaginary, above it round-off of an acoustic mode at Γ
REAL = -1.0


@dataclass(frozen=True, kw_only=True)
class Born:
    """What splits longitudinal from transverse optical modes near Γ, for atoms of the cell that phonons are made of."""

    charges: Float[np.ndarray, "atoms 3 3"]  # e, ∂M_a/∂r_ib as [i, a, b]
    dielectric: Float[np.ndarray, "3 3"]  # ε_∞


@dataclass(frozen=True, kw_only=True)
class Band:
    """Modes along one straight piece between two special points."""

    ends: tuple[str, str]
    points: Float[np.ndarray, "points 3"]  # in reciprocal vectors of the primitive cell
    distance: Float[np.ndarray, " points"]  # along the whole path, 1/Å without 2π
    wavenumbers: Float[np.ndarray, "points modes"]  # cm⁻¹, ascending; an imaginary one is negative


@dataclass(frozen=True, kw_only=True)
class Density:
    """Density of states of the primitive cell; it integrates to the number of modes."""

    wavenumber: Float[np.ndarray, " bins"]  # cm⁻¹
    value: Float[np.ndarray, " bins"]  # modes per cm⁻¹


@dataclass(frozen=True, kw_only=True)
class Thermal:
    """Harmonic, at constant volume, of one mole of primitive cells; the energy of the minimum is not in it."""

    temperature: Float[np.ndarray, " temperatures"]  # K
    free_energy: Float[np.ndarray, " temperatures"]  # kJ/mol, with the zero-point energy
    entropy: Float[np.ndarray, " temperatures"]  # J/K/mol
    heat_capacity: Float[np.ndarray, " temperatures"]  # J/K/mol


@dataclass(frozen=True, kw_only=True)
class Unstable:
    """An imaginary mode."""

    point: tuple[float, float, float]  # in reciprocal vectors of the primitive cell
    wavenumber: float  # cm⁻¹, negative


@dataclass(frozen=True, kw_only=True, eq=False)
class Phonons:
    """What `phonons` found. `phonopy` is the object of that package, for everything else that it can do."""

    formula: str  # of the primitive cell
    supercell: Int[np.ndarray, "3 3"]
    mesh: tuple[int, int, int]
    points: Float[np.ndarray, "points 3"]  # irreducible points of the mesh
    weights: Int[np.ndarray, " points"]  # points of the mesh that each stands for
    wavenumbers: Float[np.ndarray, "points modes"]  # cm⁻¹, of the mesh
    bands: tuple[Band, ...]
    density: Density
    thermal: Thermal
    displacements: int  # supercells whose forces were computed
    bend: float  # of the forces from a line, between half a displacement and a whole one, relative
    source: str = ""  # which model or method
    notes: tuple[str, ...] = ()
    phonopy: Any = None

    def imaginary(self) -> tuple[Unstable, ...]:
        """Imaginary modes on the mesh and along the path, the worst first: none at a minimum."""
        parts = [(self.points, self.wavenumbers), *((band.points, band.wavenumbers) for band in self.bands)]
        found = {
            (tuple(np.round(points[k], 6).tolist()), round(float(wavenumbers[k, mode]), 6))
            for points, wavenumbers in parts
            for k, mode in np.argwhere(wavenumbers < REAL)
        }
        return tuple(Unstable(point=q, wavenumber=w) for q, w in sorted(found, key=lambda item: item[1]))

    def warnings(self) -> tuple[str, ...]:
        """What is to be said loudly: imaginary modes, and forces that are not linear. Empty when all is well."""
        return tuple(text for text in (self._unstable(), self._bent()) if text)

    def _unstable(self) -> str:
        found = self.imaginary()
        if not found:
            return ""
        share = self.weights @ (self.wavenumbers < REAL).sum(axis=1) / self.weights.sum()
        where = " ".join(f"{x:.3g}" for x in found[0].point)
        return (
            f"IMAGINARY MODES: the lowest is {-found[0].wavenumber:.1f}i 1/cm at q = ({where}); {share:.3g} of"
            f" {self.wavenumbers.shape[1]} modes on the mesh. The structure is not a minimum of this model (or the"
            " supercell is too small); thermal properties leave these modes out and mean little."
        )

    def _bent(self) -> str:
        if self.bend <= LINEAR:
            return ""
        return (
            f"FORCES ARE NOT LINEAR: between half a displacement and a whole one they bend by {100 * self.bend:.0f} %,"
            " so that the modes depend on the displacement. Take a shorter one. Models that use lengths of vectors"
            " (painn) have a cusp at centers of inversion: train nequip, mace or another one for such a crystal."
        )

    def write(self, folder: str | Path) -> list[Path]:
        """Figures, CSV, JSON, and phonopy's own file, into a folder."""
        from equipot.spectra.phonons.files import write_phonons

        return write_phonons(self, Path(folder))
