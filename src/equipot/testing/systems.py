"""Small structures without any symmetry, at the bond lengths that their elements suggest."""

from collections.abc import Sequence

import numpy as np
from ase.data import covalent_radii

from equipot.batch import ATOMIC_VECTORS
from equipot.data.frame import Frame

_MOLECULE, _CRYSTAL = (False, False, False), (True, True, True)


def molecule(
    elements: Sequence[int],
    num_atoms: int = 6,
    seed: int = 0,
    charge: float | None = 0.0,
    spin: float | None = None,
) -> Frame:
    """A random connected cluster, chiral, with all elements as far as its atoms suffice."""
    rng = np.random.default_rng(seed)
    numbers = [elements[i % len(elements)] for i in range(num_atoms)]
    positions = [np.zeros(3)]
    while len(positions) < num_atoms:
        radii = covalent_radii[numbers[: len(positions)]] + covalent_radii[numbers[len(positions)]]
        anchor = rng.integers(len(positions))
        direction = rng.normal(size=3)
        trial = positions[anchor] + 1.1 * radii[anchor] * direction / np.linalg.norm(direction)
        if (np.linalg.norm(trial - positions, axis=1) > radii).all():
            positions.append(trial)
    return _frame(numbers, np.array(positions), np.zeros((3, 3)), _MOLECULE, charge, spin)


def crystal(
    elements: Sequence[int],
    grid: tuple[int, int, int] = (2, 2, 1),
    seed: int = 0,
    charge: float | None = 0.0,
    spin: float | None = None,
) -> Frame:
    """A rattled lattice in a triclinic cell, nearest neighbours at about 1.2 bond lengths."""
    rng = np.random.default_rng(seed)
    spacing = 2.4 * max(covalent_radii[z] for z in elements)
    sites = np.argwhere(np.ones(grid))
    numbers = [elements[i % len(elements)] for i in range(len(sites))]
    shear = np.array([[1.0, 0.0, 0.0], [0.2, 1.0, 0.0], [0.1, -0.15, 1.0]])
    positions = spacing * (sites + rng.uniform(-0.12, 0.12, size=sites.shape)) @ shear
    return _frame(numbers, positions, spacing * np.diag(grid) @ shear, _CRYSTAL, charge, spin)


def liquid(
    elements: Sequence[int],
    per_side: int,
    volume: float,
    seed: int = 0,
    charge: float | None = 0.0,
    spin: float | None = None,
) -> Frame:
    """A cube of per_side³ atoms of random elements, `volume` Å³ each, shaken on a lattice."""
    rng = np.random.default_rng(seed)
    sites = np.argwhere(np.ones((per_side,) * 3))
    positions = volume ** (1 / 3) * (sites + rng.uniform(-0.2, 0.2, size=sites.shape))
    cell = per_side * volume ** (1 / 3) * np.eye(3)
    return _frame(rng.choice(elements, len(sites)), positions, cell, _CRYSTAL, charge, spin)


def slab(
    elements: Sequence[int], seed: int = 0, charge: float | None = 0.0, spin: float | None = None
) -> Frame:
    """A rattled layer, periodic in two directions, without a cell vector along the third."""
    bulk = crystal(elements, (2, 2, 1), seed, charge, spin)
    cell = bulk.cell.copy()
    cell[2] = 0.0
    return _frame(bulk.numbers, bulk.positions, cell, (True, True, False), charge, spin)


def thin_cell(elements: Sequence[int], charge: float | None = 0.0, spin: float | None = None) -> Frame:
    """One atom of each of two elements, its own neighbour through the images at any usual cutoff."""
    return crystal([elements[0], elements[-1]], (1, 1, 2), seed=3, charge=charge, spin=spin)


def one_atom(number: int, charge: float | None = 0.0, spin: float | None = None) -> Frame:
    """An atom alone."""
    return _frame([number], np.array([[0.3, -0.2, 0.1]]), np.zeros((3, 3)), _MOLECULE, charge, spin)


def chain(number: int, charge: float | None = 0.0, spin: float | None = None) -> Frame:
    """Three atoms in a line: equivariant features of the middle one vanish."""
    steps = 2.2 * covalent_radii[number] * np.array([[-1.0], [0.0], [1.0]])
    return _frame(
        [number] * 3, steps * np.array([[0.6, 0.0, 0.8]]), np.zeros((3, 3)), _MOLECULE, charge, spin
    )


def far_atoms(
    elements: Sequence[int], cutoff: float, charge: float | None = 0.0, spin: float | None = None
) -> Frame:
    """Two atoms that do not see each other."""
    positions = np.array([[0.0, 0.0, 0.0], [1.3 * cutoff, 0.9 * cutoff, -0.7 * cutoff]])
    return _frame([elements[0], elements[-1]], positions, np.zeros((3, 3)), _MOLECULE, charge, spin)


def random_vectors(num_atoms: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Every covariant input that a model may read of the atoms, components normal with unit variance."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(num_atoms, 3)) for name in ATOMIC_VECTORS}


def _frame(
    numbers: Sequence[int] | np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray,
    pbc: tuple[bool, bool, bool],
    charge: float | None,
    spin: float | None,
) -> Frame:
    return Frame(
        numbers=np.array(numbers, dtype=np.int64),
        positions=positions,
        cell=np.array(cell, dtype=np.float64),
        pbc=np.array(pbc),
        charge=charge,
        spin=spin,
        vectors=random_vectors(len(numbers)),
        source="built for the contract",
    )
