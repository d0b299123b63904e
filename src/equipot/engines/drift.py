"""How well a potential conserves energy: the slope of the total energy along NVE dynamics."""

import copy

import ase.units
import numpy as np
from ase import Atoms
from ase.md.verlet import VelocityVerlet

from equipot.engines.ase import Calculator
from equipot.engines.header import drift
from equipot.engines.momenta import maxwell_boltzmann, without_rigid_motion
from equipot.potential import Potential


def nve_drift(
    potential: Potential,
    atoms: Atoms,
    temperature: float = 300.0,
    dt: float = 0.5,
    steps: int = 1000,
    seed: int = 0,
) -> float:
    """Slope of a straight line through the total energy of velocity Verlet, eV/atom/ps, in float64.

    Starts from `atoms` with Maxwell-Boltzmann velocities at `temperature` (K), rigid motion taken out; dt in fs. The
    energy swings with (ω dt)² about a constant, so that the slope of a short run is an upper bound of the drift.
    """
    moving = atoms.copy()
    masses = moving.get_masses()
    momenta = maxwell_boltzmann(masses, temperature, 1, np.random.default_rng(seed))
    momenta = without_rigid_motion(momenta, moving.positions[None], masses, not moving.pbc.any())
    moving.set_momenta(momenta[0])
    moving.calc = Calculator(copy.deepcopy(potential).double())
    integrator = VelocityVerlet(moving, dt * ase.units.fs)
    forces, energies = moving.get_forces(), [moving.get_total_energy()]
    for _ in range(steps):
        forces = integrator.step(forces)
        energies.append(moving.get_total_energy())
    return drift(np.arange(steps + 1) * dt / 1000, np.array(energies) / len(moving))
