"""Vibrations with infrared and Raman intensities, by ASE's tools and by equipot's, which must agree.

    python vibrations.py

A small model of energy, dipole and polarizability of ethanol is trained first, some seconds in all. Ends in the
largest difference between ASE's wavenumbers and those of `equipot.harmonic`, in 1/cm.
"""

import tempfile
from pathlib import Path

import ase.units
import numpy as np
from ase.build import molecule
from ase.vibrations import Infrared
from ase.vibrations.placzek import PlaczekStatic
from ase.vibrations.raman import StaticRamanCalculator

import equipot
from equipot.data.shipped import ethanol
from equipot.engines.ase import Calculator

DEBYE = 42.255  # km/mol of 1 (D/Å)²/amu


class Polarizability:
    """What ASE's Raman calculator asks of an electronic-structure code, in its unit e²Å²/eV."""

    def calculate(self, atoms):
        return atoms.calc.get_property("polarizability", atoms) / (ase.units.Hartree * ase.units.Bohr)

    __call__ = calculate


with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    config = {
        "data": {"train": str(ethanol()), "valid": 40},
        "model": {"channels": 16, "num_layers": 1, "num_radial": 8, "cutoff": 4.0},
        "targets": {"dipole": {}, "polarizability": {}, "total_charge": 0},
        "train": {"epochs": 4, "batch": 10},
    }
    model = equipot.load(equipot.train(config, folder / "run").model)
    start = molecule("CH3CH2OH")
    start.rattle(0.05, seed=1)  # off its mirror plane, where a minimum may be a saddle
    minimum = model.relax(start, fmax=1e-4).atoms
    harmonic = equipot.harmonic(model, minimum)

    minimum.calc = Calculator(model.double(), also=("dipole", "polarizability"))
    infrared = Infrared(minimum, delta=0.001, name=str(folder / "infrared"))
    infrared.run()
    wavenumbers = infrared.get_frequencies().real
    raman = StaticRamanCalculator(minimum, Polarizability, delta=0.001, name=str(folder / "raman"))
    raman.run()
    activity = PlaczekStatic(minimum, name=raman.name, delta=0.001).get_absolute_intensities()

print("1/cm     km/mol by ASE   by equipot   Å⁴/amu by ASE   by equipot")
for k, wavenumber in enumerate(harmonic.wavenumbers):
    other = k + 6  # ASE keeps the six rigid motions
    print(
        f"{wavenumber:6.0f} {DEBYE * infrared.intensities[other]:12.2f} {harmonic.infrared[k]:12.2f}"
        f" {activity[other]:14.2f} {harmonic.activity()[k]:12.2f}"
    )
difference = np.abs(np.sort(wavenumbers)[6:] - harmonic.wavenumbers).max()
print(f"largest difference of wavenumbers in 1/cm: {difference:.3f}")
