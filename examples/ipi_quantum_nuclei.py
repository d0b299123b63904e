"""Quantum nuclei from Python: a ring polymer of ethanol on i-PI, and the kinetic energy of its nuclei.

    python ipi_quantum_nuclei.py [model.equipot [folder]]

Needs `pip install 'equipot[ipi]'`. Without a model file a small one is trained first, under a minute in all. Path
integral dynamics (PIMD) with 16 beads gives the quantum kinetic energy, by the centroid virial in every sample. Ends in
its ratio to the classical 3N kT/2: about 3 at 300 K, because stretches of C-H and O-H hardly feel the temperature.
"""

import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from ase.build import molecule

import equipot
from equipot import units
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
start, temperature = molecule("CH3CH2OH"), 300.0
settings = {
    "engine": "ipi", "beads": 16, "method": "pimd", "temperature": temperature,
    "equilibration": 0.1, "time": 0.15,
}  # fmt: skip
with tempfile.TemporaryDirectory() as temporary:
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(temporary)
    run = equipot.md(model, start, settings, folder / "md", say=print)
    frames = ase.io.read(run / "trajectory-000.extxyz", index=":")

kinetic = np.array([frame.info["quantum_kinetic_energy"] for frame in frames])  # eV
classical = 1.5 * len(start) * units.kB * temperature
print(f"{len(frames)} samples; kinetic energy {kinetic.mean():.3f} eV, classical {classical:.3f} eV")
print(f"quantum over classical: {kinetic.mean() / classical:.2f}")
