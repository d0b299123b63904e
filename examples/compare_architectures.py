"""Train two architectures on the same frames of ethanol, with the same number of steps, and look at the table.

About half a minute. Ends in the mean absolute error of the better one's forces, meV/Å: some hundreds after so few
steps, which say nothing yet about the architectures; `equipot compare` with a budget of minutes does.
"""

import tempfile

import equipot
from equipot.data.shipped import ethanol

comparison = {
    "data": {"train": str(ethanol()), "valid": 20, "test": 50},
    "models": {"painn": {}, "schnet": {}},
    "model": {"channels": 16, "num_layers": 2, "num_radial": 12, "cutoff": 4.0},  # of both
    "train": {"steps": 120, "batch": 5},
    "seeds": 1,
}

with tempfile.TemporaryDirectory() as folder:
    table = equipot.compare(comparison, out=folder, say=print)

for row in table.rows:
    forces, speed = row.scores["forces"].mae.mean, row.cost.inference[-1]
    print(
        f"{row.label}: {row.cost.parameters} parameters, {speed.per_atom():.0f} µs per atom and step"
        f" for {speed.structures} molecules at once, forces {1000 * forces:.0f} meV/Å"
    )
best = table.rows[0]
print(f"best test forces ({best.label}), MAE in meV/Å: {1000 * best.scores['forces'].mae.mean:.0f}")
