"""Dynamics of a few replicas and their infrared and power spectra, from Python.

    python spectrum_of_a_run.py [model.equipot [folder]]

Without a model file a small one is trained first, under a minute in all. Ends in the number of vibrations under the
power spectrum over the temperature of the run. It counts the degrees of freedom, whatever the model has learned:
3·9 - 6 = 21, within one.
"""

import sys
import tempfile
from pathlib import Path

from ase.build import molecule

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
with tempfile.TemporaryDirectory() as temporary:
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(temporary)
    settings = {"temperature": 200, "time": 0.8, "equilibration": 0.1, "replicas": 4}
    run = equipot.md(model, molecule("CH3CH2OH"), settings, folder / "md")
    spectra = equipot.spectrum(run)
    files = spectra.write(folder / "spectra")

for note in spectra.notes:
    print(f"note: {note}")
print(f"{len(files)} files; resolution {spectra.header.resolution:.0f} 1/cm")
strongest = sorted(spectra["ir"].peaks, key=lambda peak: -peak.area)[:3]
print("strongest infrared peaks, 1/cm:", ", ".join(f"{peak.position:.0f}" for peak in strongest))
header = spectra.header
vibrations = header.degrees_found * header.temperature / header.kinetic_temperature
print(f"vibrations under the power spectrum: {vibrations:.1f}")
