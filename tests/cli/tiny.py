"""A molecule of springs, for a run of a few seconds."""

import shlex

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from equipot.cli import main

BASE = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
CHARGES = np.array([-0.6, 0.3, 0.3])
SETTINGS = (
    "model.channels=8 model.num_layers=1 model.num_radial=6 model.cutoff=3 targets.dipole={}"
    " targets.polarizability={} targets.total_charge=0 train.epochs=20 train.batch=4 data.valid=4 data.test=4"
)


def water(seed: int) -> Atoms:
    """A distorted molecule with springs between its atoms, fixed charges and an anisotropic polarizability."""
    rng = np.random.default_rng(seed)
    positions = BASE + rng.normal(scale=0.06, size=BASE.shape)
    energy, forces, alpha = -100.0, np.zeros_like(BASE), np.eye(3)
    for i, j, stiffness in ((0, 1, 30.0), (0, 2, 30.0), (1, 2, 10.0)):
        d, rest = positions[i] - positions[j], float(np.linalg.norm(BASE[i] - BASE[j]))
        r = float(np.linalg.norm(d))
        energy += 0.5 * stiffness * (r - rest) ** 2
        forces[i] -= stiffness * (r - rest) * d / r
        forces[j] += stiffness * (r - rest) * d / r
        alpha = alpha + 0.2 * np.outer(d, d)
    atoms = Atoms("OH2", positions)
    atoms.info["polarizability"] = alpha
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, dipole=CHARGES @ positions)
    return atoms


LIMITS = "max_temperature=100000 max_force=1000"  # for a model that has hardly learned


def run_quietly(line: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line))
    return int(stop.value.code or 0)
