"""One structure and its labels, as read from a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from ase.formula import Formula
from jaxtyping import Bool, Float, Int

from equipot.data.atomic_vectors import Vectors, vectors_of

#: names under which ASE keeps results in a calculator; the others stay in `info` and `arrays`
_ASE_RESULTS = ("energy", "forces", "stress", "dipole", "charges")


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A structure in Å with its labels in eV, Å, e.

    A label that is absent from `labels` was not in the file; no number stands for it.
    """

    numbers: Int[np.ndarray, " atoms"]  # atomic numbers
    positions: Float[np.ndarray, "atoms 3"]  # Å
    cell: Float[np.ndarray, "3 3"]  # rows are cell vectors, Å; zero rows where there are none
    pbc: Bool[np.ndarray, "3"]  # periodic directions; only along cell vectors that exist
    charge: float | None = None  # total charge, e
    spin: float | None = None  # spin multiplicity 2S + 1
    vectors: Vectors = field(default_factory=dict)  # velocities and other covariant inputs of the atoms
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)  # canonical name -> array
    source: str = "memory"  # file
    index: int = 0  # place in the file, from 0
    group: str | None = None  # frames of one group stay on one side of a grouped split
    isolated: bool = False  # one neutral atom alone: a reference energy, not a training frame

    @property
    def num_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @property
    def where(self) -> str:
        """File and place, as messages name it."""
        return f"{self.source}, frame {self.index}"

    @cached_property
    def formula(self) -> str:
        """Chemical formula in Hill order."""
        return Formula.from_list([chemical_symbols[z] for z in self.numbers]).format("hill")

    def volume(self) -> float:
        """|det cell|, Å³; zero where a cell vector is missing."""
        return float(abs(np.linalg.det(self.cell)))

    def with_labels(self, **labels: np.ndarray) -> "Frame":
        """The same structure with labels added or replaced."""
        return replace(self, labels={**self.labels, **labels})

    def atoms(self) -> Atoms:
        """An `ase.Atoms` with the labels where ASE keeps them: results of a single-point calculator."""
        atoms = Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)
        extra = {"charge": self.charge, "spin": self.spin, "group": self.group}
        atoms.info.update({name: value for name, value in extra.items() if value is not None})
        for name, value in self.vectors.items():
            atoms.new_array(name, value)
        results = {}
        for name, value in self.labels.items():
            if name in _ASE_RESULTS:
                results[name] = value
            elif value.ndim >= 1 and value.shape[0] == self.num_atoms and name != "polarizability":
                atoms.new_array(name, value.reshape(self.num_atoms, -1))
            else:
                atoms.info[name] = value.reshape(-1) if value.ndim else float(value)
        if "stress" in results:
            xx, yy, zz = np.diagonal(results["stress"])
            results["stress"] = np.array([xx, yy, zz, *results["stress"][[1, 0, 0], [2, 2, 1]]])
        if "energy" in results:
            results["energy"] = float(results["energy"])
        if results:
            atoms.calc = SinglePointCalculator(atoms, **results)
        return atoms

    @classmethod
    def from_atoms(cls, atoms: Atoms, source: str = "memory", index: int = 0) -> "Frame":
        """The structure of an `ase.Atoms`, charge and spin from its `info`, inputs from its arrays; no labels.

        A direction that is called periodic but has no cell vector (an all-zero `Lattice` means no
        cell) is not periodic.
        """
        cell = np.array(atoms.cell.array, dtype=np.float64)
        return cls(
            numbers=np.array(atoms.numbers, dtype=np.int64),
            positions=np.array(atoms.positions, dtype=np.float64),
            cell=cell,
            pbc=np.asarray(atoms.pbc, dtype=bool) & (np.abs(cell).max(axis=1) > 0),
            charge=_number(atoms.info, "charge", f"{source}, frame {index}"),
            spin=_number(atoms.info, "spin", f"{source}, frame {index}"),
            vectors=vectors_of(atoms),
            source=source,
            index=index,
        )


def _number(info: Mapping[str, object], key: str, where: str) -> float | None:
    value = info.get(key)
    if value is None or isinstance(
        value, bool | np.bool_
    ):  # a bare word of a comment, which ASE reads as True
        return None
    try:
        number = float(np.asarray(value).reshape(()))
    except (ValueError, TypeError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"{where}: {key} = {value!r}: expected one number.")
    return number
