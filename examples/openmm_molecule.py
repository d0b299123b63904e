"""A model as a force of OpenMM: a molecule at constant energy, with OpenMM's own objects.

    python openmm_molecule.py [model.equipot]

Without a model file a small one is trained first, half a minute in all. Ends in the drift of the total energy,
meV/atom/ps, as ase_calculator.py does.
"""

import sys
import tempfile

import numpy as np
import openmm
from ase.build import molecule
from openmm import unit

import equipot
from equipot.data.shipped import ethanol
from equipot.engines.openmm import force
from equipot.engines.openmm.integrators import velocity_verlet


def trained() -> equipot.Model:
    """A model of a few seconds."""
    config = {
        "data": {"train": str(ethanol()), "valid": 40},
        "model": {"channels": 32, "num_layers": 2, "num_radial": 12, "cutoff": 4.0},
        "targets": {"dipole": {}, "total_charge": 0},
        "train": {"epochs": 6, "batch": 10},
    }
    with tempfile.TemporaryDirectory() as folder:
        return equipot.load(equipot.train(config, folder).model)


model = equipot.load(sys.argv[1]) if len(sys.argv) > 1 else trained()
atoms = molecule("CH3CH2OH")

system = openmm.System()
for mass in atoms.get_masses():
    system.addParticle(mass)
system.addForce(force(model.potential, atoms))

# OpenMM's own VerletIntegrator would do; its velocities are half a step behind the positions
integrator = velocity_verlet(0.0005)  # ps
context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
context.setPositions(atoms.positions * unit.angstrom)
openmm.LocalEnergyMinimizer.minimize(context, 1.0, 50)
context.setVelocitiesToTemperature(300 * unit.kelvin, 1)

eV = unit.elementary_charge * unit.volt * unit.AVOGADRO_CONSTANT_NA
energies = []
for _ in range(250):
    integrator.step(4)
    state = context.getState(energy=True)
    energies.append((state.getPotentialEnergy() + state.getKineticEnergy()) / eV)

print(f"last kinetic energy {state.getKineticEnergy() / eV:.3f} eV")
drift = np.polyfit(0.002 * np.arange(len(energies)), energies, 1)[0] / len(atoms)
print(f"drift of the energy in meV/atom/ps: {1000 * drift:.3f}")
