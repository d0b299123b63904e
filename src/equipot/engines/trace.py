"""A few steps of velocity Verlet, number by number: what engines are compared by."""

from dataclasses import dataclass

import ase.units
import numpy as np
from ase import Atoms
from ase.md.verlet import VelocityVerlet
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float

from equipot.engines.ase import Calculator
from equipot.potential import Potential


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Every step of a short trajectory at constant energy, the start included, and the stress of the start."""

    energies: Float[np.ndarray, " frames"]  # potential, eV
    forces: Float[np.ndarray, "frames atoms 3"]  # eV/Å
    positions: Float[np.ndarray, "frames atoms 3"]  # Å
    stress: Float[np.ndarray, "3 3"] | None  # eV/Å³; None without a cell periodic in three directions


def trace(potential: Potential, atoms: Atoms, dt: float, steps: int) -> Trace:
    """By ASE, from the momenta of the atoms; dt in fs."""
    moving = atoms.copy()
    moving.calc = Calculator(potential)
    integrator, rows = VelocityVerlet(moving, dt * ase.units.fs), []
    forces = moving.get_forces()
    periodic = bool(moving.pbc.all())
    stress = voigt_6_to_full_3x3_stress(moving.get_stress(voigt=True)) if periodic else None
    for step in range(steps + 1):
        forces = integrator.step(forces) if step else forces
        rows.append((moving.get_potential_energy(), forces.copy(), moving.positions.copy()))
    energies, forces, positions = (np.array(column) for column in zip(*rows, strict=True))
    return Trace(energies=energies, forces=forces, positions=positions, stress=stress)
