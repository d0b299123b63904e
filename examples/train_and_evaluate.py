"""Train a small PaiNN on the shipped ethanol data, and measure its errors on frames that it has not seen.

About half a minute. Ends in the mean absolute error of the forces, meV/Å: some 250 after so few steps, where the
forces themselves are about 1100; `equipot demo` goes on to a few tens.
"""

import tempfile

import numpy as np

import equipot
from equipot.data.shipped import ethanol

config = {
    "data": {"train": str(ethanol()), "valid": 40, "test": 100},
    "model": {"name": "painn", "channels": 32, "num_layers": 2, "num_radial": 12, "cutoff": 4.0},
    "targets": {"dipole": {}, "total_charge": 0},
    "train": {"epochs": 6, "batch": 10, "seed": 1},
}

with tempfile.TemporaryDirectory() as folder:
    run = equipot.train(config, folder, say=print)
    model = equipot.load(run.model)

test = {name: row["mae"] for name, row in run.metrics["test"].items()}
print(f"energy {1000 * test['energy']:.0f} meV, dipole {test['dipole']:.3f} e·Å")

# the same comparison by hand, on one frame
frame = run.splits.test[0]
atoms = frame.atoms()
atoms.calc = model.calculator()
error = atoms.get_forces() - frame.labels["forces"]
print(f"{frame.where}: largest error {1000 * np.abs(error).max():.0f} meV/Å")
print(f"test forces, MAE in meV/Å: {1000 * test['forces']:.1f}")
