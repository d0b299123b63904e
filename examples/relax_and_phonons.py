"""A crystal: learn a potential, relax the cell, and compare phonons with those of the potential that was learned.

    python relax_and_phonons.py

ASE's effective medium theory stands in for density-functional results on copper; a small model learns it from 30
distorted cells, ten seconds in all. Ends in the largest difference of their phonons at the zone boundary in percent.
"""

import tempfile
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

import equipot
from equipot.engines.relax import relax_attached
from equipot.spectra.phonons.calculation import phonons


def copper(edge):
    """The crystal with the potential to be learned."""
    atoms = bulk("Cu", "fcc", edge, cubic=True)
    atoms.calc = EMT()
    return atoms


def distorted(seed):
    """A labeled cell: strained by up to 3 %, atoms displaced by up to 0.15 Å."""
    rng = np.random.default_rng(seed)
    atoms = copper(3.6)
    atoms.set_cell(atoms.cell @ (np.eye(3) + rng.uniform(-0.03, 0.03, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(scale=rng.uniform(0.02, 0.15), size=(len(atoms), 3))
    results = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(),
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    write(folder / "copper.xyz", [distorted(seed) for seed in range(30)], format="extxyz")
    config = {
        "data": {"train": str(folder / "copper.xyz"), "valid": 4},
        "model": {"name": "nequip", "channels": 8, "l_max": 1, "num_layers": 2, "cutoff": 4.5},
        "train": {"epochs": 20, "batch": 2},
    }
    model = equipot.load(equipot.train(config, folder / "run").model)
    learned = equipot.relax(model, copper(3.7), fmax=1e-4, cell=True)
    taught = relax_attached(copper(3.7), fmax=1e-4, cell=True)
    print(f"lattice constant {learned.atoms.cell[0, 0]:.4f} Å, taught {taught.atoms.cell[0, 0]:.4f} Å")
    found = equipot.phonons(model, learned.atoms, path="GXL", mesh=(12, 12, 12), relax=False)
    found.write(folder / "phonons")

print(*found.warnings() or ["no imaginary modes"])
at = int(np.flatnonzero(found.thermal.temperature == 300)[0])
print(f"heat capacity at 300 K: {found.thermal.heat_capacity[at]:.2f} J/K/mol")
reference = phonons(taught.atoms, path="GXL", mesh=(12, 12, 12))
ours, theirs = (np.array([band.wavenumbers[-1] for band in one.bands]) for one in (found, reference))
print(
    f"modes at X and L, 1/cm: {np.round(ours.ravel()).astype(int)}, taught {np.round(theirs.ravel()).astype(int)}"
)
print(f"largest difference in percent: {100 * np.abs(ours / theirs - 1).max():.1f}")
