"""A model as a calculator of ASE: optimize a geometry, then move the molecule at constant energy.

    python ase_calculator.py [model.equipot]

Without a model file a small one is trained first, half a minute in all. Ends in the drift of the total energy,
meV/atom/ps: a model whose forces are not the gradient of its energy has tens, this one has less than one.
"""

import sys
import tempfile

import ase.units
import numpy as np
from ase.build import molecule
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

import equipot
from equipot.data.shipped import ethanol


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
atoms.calc = model.calculator()

with BFGS(atoms, logfile=None) as optimizer:
    optimizer.run(fmax=0.02, steps=200)
print(f"largest force at the minimum: {np.abs(atoms.get_forces()).max():.3f} eV/Å")
print(
    f"energy {atoms.get_potential_energy():.3f} eV, dipole {np.linalg.norm(atoms.get_dipole_moment()):.3f} e·Å"
)

spread = np.sqrt(ase.units.kB * 300 / atoms.get_masses())[:, None]
atoms.set_velocities(
    spread * np.random.default_rng(1).normal(size=(len(atoms), 3))
)  # Maxwell-Boltzmann, 300 K
energies = []
dynamics = VelocityVerlet(atoms, timestep=0.5 * ase.units.fs)
dynamics.attach(lambda: energies.append(atoms.get_total_energy()), interval=4)
dynamics.run(1000)

picoseconds = 0.002 * np.arange(len(energies))
drift = np.polyfit(picoseconds, energies, 1)[0] / len(atoms)
print(f"drift of the energy in meV/atom/ps: {1000 * drift:.3f}")
