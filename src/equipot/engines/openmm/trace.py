"""A few steps in OpenMM, for the proof that it computes what the reference does."""

import math

import numpy as np
import openmm
from ase import Atoms

from equipot.engines.guard import Guard
from equipot.engines.mover import Place
from equipot.engines.openmm.box import Box
from equipot.engines.openmm.force import ANGSTROM, KJ_MOL, force, plain
from equipot.engines.openmm.mover import OpenMMMover
from equipot.engines.settings import Dynamics
from equipot.engines.trace import Trace
from equipot.potential import Potential


def trace(potential: Potential, atoms: Atoms, dt: float, steps: int) -> Trace:
    """Velocity Verlet from the momenta of the atoms; dt in fs. OpenMM has no stress: its barostat compares energies.

    The numbers of the start are those of `force` in the periodic box of OpenMM; the steps are those of a run.
    """
    energy, forces = _at_rest(potential, atoms)
    settings = Dynamics(engine="openmm", dt=dt, time=steps * dt / 1000, equilibration=0.0)
    guard = Guard(temperature=math.inf, force=math.inf, masses=atoms.get_masses())
    mover = OpenMMMover(potential, atoms, settings, guard)
    start = Place(positions=atoms.positions[None].copy(), momenta=atoms.get_momenta()[None])
    mover.begin(settings.phases()[-1], start, (), None)
    rows = [(energy, forces, atoms.positions.copy())]
    for _ in range(steps):
        mover.advance(1, record=True)
        sample = mover.sample()
        rows.append((float(sample.energy[0]), mover.forces.copy(), sample.place.positions[0]))
    mover.close()
    energies, all_forces, positions = (np.array(column) for column in zip(*rows, strict=True))
    return Trace(energies=energies, forces=all_forces, positions=positions, stress=None)


def _at_rest(potential: Potential, atoms: Atoms) -> tuple[float, np.ndarray]:
    """Energy and forces by a context like that of a user, in the frame of the atoms."""
    rotation, system = np.eye(3), openmm.System()
    if atoms.pbc.all():
        box = Box.of(atoms.cell.array)
        rotation = box.rotation
        system.setDefaultPeriodicBoxVectors(*(box.vectors * ANGSTROM))
    for mass in atoms.get_masses():
        system.addParticle(float(mass))
    system.addForce(force(potential, atoms))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(atoms.positions @ rotation * ANGSTROM)
    state = context.getState(energy=True, forces=True)
    forces = np.asarray(plain(state.getForces(asNumpy=True))) @ rotation.T / (KJ_MOL / ANGSTROM)
    return float(plain(state.getPotentialEnergy())) / KJ_MOL, forces
