"""A barrier by the nudged elastic band: the methyl group of ethanol turns by a third.

    python neb.py [model.equipot]

Without a model file a small one is trained first. Both ends are the same minimum with three hydrogen atoms exchanged:
the example ends in the difference of the barriers forth and back in meV, which must vanish for any model.
"""

import sys
import tempfile

import numpy as np
from ase.build import molecule
from ase.mep import NEB
from ase.optimize import FIRE

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
start = model.relax(molecule("CH3CH2OH"), fmax=0.005).atoms
methyl = int(np.argmax(start.get_distances(2, [0, 1])))  # of the two carbon atoms the one far from oxygen
hydrogens = [k for k in range(9) if start.numbers[k] == 1 and start.get_distance(methyl, k) < 1.3]
axis = start.positions[1 - methyl] - start.positions[methyl]

images = []
for angle in np.linspace(0, 120, 7):
    image = start.copy()
    group = image[hydrogens]
    group.rotate(angle, axis, center=start.positions[methyl])
    image.positions[hydrogens] = group.positions
    image.calc = start.calc
    images.append(image)
turned = images[-1].positions[hydrogens]
same = np.linalg.norm(turned[:, None] - start.positions[hydrogens], axis=2).argmin(axis=1)
images[-1].positions[hydrogens] = start.positions[hydrogens][same]  # exactly the same minimum

band = NEB(images, k=0.5, climb=True, method="improvedtangent", allow_shared_calculator=True)
with FIRE(band, logfile=None) as optimizer:
    converged = optimizer.run(fmax=0.05, steps=200)
energies = np.array([image.get_potential_energy() for image in images])
print(f"converged: {converged}; energies along the way, meV: {np.round(1000 * (energies - energies[0]), 1)}")
print(f"barrier in meV: {1000 * (energies.max() - energies[0]):.1f}")
print(f"difference of the barriers forth and back in meV: {1000 * abs(energies[-1] - energies[0]):.4f}")
