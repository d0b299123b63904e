"""A small labelled set that costs nothing: a Morse molecule with charges."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

DEPTH, STIFFNESS, LENGTH = 2.0, 1.5, 1.1  # eV, 1/Å, Å


def energy_and_forces(positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Morse bonds between all pairs."""
    energy, forces = 0.0, np.zeros_like(positions)
    for i in range(len(positions)):
        for j in range(i):
            d = positions[i] - positions[j]
            r = np.linalg.norm(d)
            x = np.exp(-STIFFNESS * (r - LENGTH))
            energy += DEPTH * ((1 - x) ** 2 - 1)
            push = -2 * DEPTH * STIFFNESS * x * (1 - x) * d / r
            forces[i] += push
            forces[j] -= push
    return energy, forces


def molecules(count: int, seed: int = 0) -> list[Atoms]:
    """Bent H2O with energy, forces and dipole; every third frame has no dipole."""
    rng = np.random.default_rng(seed)
    base = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    frames = []
    for k in range(count):
        positions = base + rng.normal(scale=0.08, size=base.shape)
        energy, forces = energy_and_forces(positions)
        atoms = Atoms("OH2", positions)
        results = {"energy": energy - 100.0, "forces": forces}
        if k % 3:
            charges = np.array([-0.6, 0.3, 0.3])
            results["dipole"] = charges @ positions
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="session")
def water_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty frames in extended XYZ."""
    path = tmp_path_factory.mktemp("data") / "water.xyz"
    write(path, molecules(40), format="extxyz")
    return path


@pytest.fixture
def settings(water_file: Path) -> dict:
    """A run of a few seconds."""
    return {
        "data": {"train": str(water_file), "valid": 6, "test": 4},
        "model": {"name": "painn", "channels": 8, "num_layers": 2, "num_radial": 6, "cutoff": 3.0},
        "targets": {"dipole": {}, "total_charge": 0},
        "train": {
            "batch": 4,
            "epochs": 6,
            "precision": "float64",
            "validate_every": 8,
            "checkpoint_seconds": 1e6,
        },
    }
