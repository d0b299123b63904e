"""Small made-up sets with the numbers of real physics: water with springs, in eV and Å."""

from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

WATER = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
#: eV, total energies of the water molecule and of its atoms, as all-electron methods give them
ENERGY, ATOMS = -2079.0, {"H": -13.6, "O": -2042.0}
_SPRINGS = ((0, 1, 0.96, 48.0), (0, 2, 0.96, 48.0), (1, 2, 1.52, 8.0))


def springs(positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Energy and forces of a water molecule whose O-H bonds have 48 eV/Å²."""
    energy, forces = ENERGY, np.zeros((3, 3))
    for a, b, length, k in _SPRINGS:
        vector = positions[b] - positions[a]
        r = np.linalg.norm(vector)
        energy += 0.5 * k * (r - length) ** 2
        pull = k * (r - length) * vector / r
        forces[a] += pull
        forces[b] -= pull
    return energy, forces


def water(rng: np.random.Generator, size: float = 0.05) -> Atoms:
    """One water molecule, shaken; results in its calculator."""
    atoms = Atoms("OHH", positions=WATER + rng.normal(scale=size, size=(3, 3)))
    energy, forces = springs(atoms.positions)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def waters(count: int = 30, seed: int = 1) -> list[Atoms]:
    """Several of them."""
    rng = np.random.default_rng(seed)
    return [water(rng) for _ in range(count)]


def atom(symbol: str, energy: float | None = None) -> Atoms:
    """An isolated atom, marked as such."""
    atoms = Atoms(symbol)
    atoms.info["config_type"] = "IsolatedAtom"
    atoms.calc = SinglePointCalculator(atoms, energy=ATOMS[symbol] if energy is None else energy)
    return atoms


def scaled(images: Sequence[Atoms], energy: float, forces: float) -> list[Atoms]:
    """The same set with its labels in other units."""
    out = []
    for image in images:
        copy = image.copy()
        found = image.calc.results
        copy.calc = SinglePointCalculator(
            copy, energy=found["energy"] * energy, forces=found["forces"] * forces
        )
        out.append(copy)
    return out


def renamed(images: Sequence[Atoms], energy: str | None, forces: str | None) -> list[Atoms]:
    """The same set with its labels under other names, as `info` and `arrays`."""
    out = []
    for image in images:
        copy = image.copy()
        if energy is not None:
            copy.info[energy] = image.calc.results["energy"]
        if forces is not None:
            copy.arrays[forces] = image.calc.results["forces"]
        out.append(copy)
    return out


def write(path: Path, images: Sequence[Atoms]) -> Path:
    """An extended XYZ file."""
    ase.io.write(path, list(images), format="extxyz")
    return path
