"""Atoms of ASE in LAMMPS and back: its cells lie along the axes, its atoms have types, its units are `metal`."""

from dataclasses import dataclass
from typing import Any

import ase.units
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float

from equipot.data.neighbors import completed_cell

PICOSECOND = 1000 * ase.units.fs  # in ASE's unit of time
SKIN = 0.5  # Å


@dataclass(frozen=True, eq=False)
class Orientation:
    """How the axes of the atoms lie to those of LAMMPS, where a is along x and b in the plane of x and y."""

    rotation: Float[np.ndarray, "3 3"]  # a vector v is v @ rotation in LAMMPS
    cell: Float[np.ndarray, "3 3"]  # Å, rows, lower triangular
    corner: Float[np.ndarray, "3"]  # of the box, Å, in the axes of the atoms
    sign: float  # −1: c is −c in LAMMPS, which generates the same lattice and is right-handed

    @classmethod
    def of(cls, atoms: Atoms) -> "Orientation":
        """Open directions get a vector normal to the others that reaches 1 Å beyond the atoms."""
        cell, corner = completed_cell(atoms.cell.array, atoms.pbc).copy(), np.zeros(3)
        for k in np.flatnonzero(~atoms.pbc):
            along = atoms.positions @ cell[k]
            corner += (along.min() - 1.0) * cell[k]
            cell[k] *= np.ptp(along) + 2.0
        sign = float(np.sign(np.linalg.det(cell)))
        q, upper = np.linalg.qr((cell * [[1.0], [1.0], [sign]]).T)
        signs = np.sign(np.diag(upper))
        return cls(q * signs, (signs[:, None] * upper).T, corner, sign)

    def turned(self, vectors: np.ndarray) -> np.ndarray:
        """Rows in the axes of LAMMPS."""
        return vectors @ self.rotation

    def back(self, vectors: np.ndarray) -> np.ndarray:
        """Rows in the axes of the atoms."""
        return vectors @ self.rotation.T

    def original(self, cell: np.ndarray) -> np.ndarray:
        """The cell of the atoms that one of LAMMPS stands for."""
        return self.back(cell) * [[1.0], [1.0], [self.sign]]


@dataclass(frozen=True, eq=False)
class Types:
    """Atom types: one for every element and mass."""

    of_atoms: np.ndarray  # from 1
    elements: tuple[str, ...]
    masses: tuple[float, ...]  # amu

    @classmethod
    def of(cls, atoms: Atoms) -> "Types":
        """In the order of atomic numbers, then masses."""
        kinds = sorted(set(zip(atoms.numbers.tolist(), atoms.get_masses().tolist(), strict=True)))
        place = {kind: k + 1 for k, kind in enumerate(kinds)}
        pairs = zip(atoms.numbers.tolist(), atoms.get_masses().tolist(), strict=True)
        return cls(
            np.array([place[pair] for pair in pairs], dtype=np.intc),
            tuple(chemical_symbols[z] for z, _ in kinds),
            tuple(m for _, m in kinds),
        )


def fill(lammps: Any, atoms: Atoms, orientation: Orientation, types: Types) -> None:
    """Box, masses, atoms with their velocities.

    Masses are such that LAMMPS and ASE, whose constants differ in the eighth digit, have the same kinetic energies and
    accelerations.
    """
    lammps.commands_list(box_commands(atoms, orientation, len(types.masses)))
    ratio = PICOSECOND**-2 / lammps.extract_global("mvv2e")
    lammps.commands_list([f"mass {k + 1} {m * ratio!r}" for k, m in enumerate(types.masses)])
    x = orientation.turned(atoms.positions - orientation.corner)
    v = orientation.turned(atoms.get_velocities() * PICOSECOND)
    number = len(atoms)
    tags, flat = list(range(1, number + 1)), (x.ravel().tolist(), v.ravel().tolist())
    made = lammps.create_atoms(number, tags, types.of_atoms.tolist(), *flat)
    if made != number or lammps.get_natoms() != number:
        raise ValueError(
            f"LAMMPS took {int(lammps.get_natoms())} of {number} atoms. Is the cell the right one?"
        )


FEW = 100  # atoms: without a cell they may fill a box too flat for bins, and all pairs are few


def box_commands(atoms: Atoms, orientation: Orientation, types: int) -> list[str]:
    """What makes an empty box."""
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = orientation.cell.tolist()
    boundary = " ".join("p" if periodic else "s" for periodic in atoms.pbc)
    return [
        "units metal",
        "atom_style atomic",
        "atom_modify map array",
        f"boundary {boundary}",
        "newton on",
        "box tilt large",
        f"region box prism 0 {lx!r} 0 {ly!r} 0 {lz!r} {xy!r} {xz!r} {yz!r} units box",
        f"create_box {types} box",
        f"neighbor {SKIN} {'bin' if atoms.pbc.all() or len(atoms) > FEW else 'nsq'}",
        "neigh_modify every 1 delay 0 check yes",
    ]


def boxed(atoms: Atoms) -> Atoms:
    """The same atoms in the box that LAMMPS has: complete, right-handed, with a corner at the origin."""
    orientation, out = Orientation.of(atoms), atoms.copy()
    out.set_cell(orientation.back(orientation.cell))
    out.positions -= orientation.corner
    return out


def box_of(lammps: Any) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """Cell and corner as they are now, in the axes of LAMMPS."""
    low, high, xy, yz, xz, *_ = lammps.extract_box()
    (lx, ly, lz), low = np.subtract(high, low), np.array(low)
    return np.array([[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]]), low
