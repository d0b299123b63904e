"""Recognising units from physics: total energies of atoms, and the stiffness of bonds."""

from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols
from ase.formula import Formula
from jaxtyping import Float, Int

from equipot import units

#: units that a file of energies is likely to have been written in
ENERGY_UNITS = ("eV", "Ha", "Ry", "kcal/mol", "kJ/mol")
#: relative difference up to which a total energy counts as recognised
TOLERANCE = 0.035


def total_energy(numbers: Int[np.ndarray, " atoms"]) -> float:
    """All-electron energy of neutral atoms in eV, −0.7687 Z^(7/3) + Z²/2 − 0.2699 Z^(5/3) Hartree each.

    The statistical atom with Scott's and Schwinger's corrections (B.-G. Englert, Semiclassical Theory
    of Atoms, 1988); within 2 % from carbon on, 8 % for hydrogen, whose exact −1/2 is taken instead.
    """
    z = np.asarray(numbers, dtype=np.float64)
    hartree = -0.768745 * z ** (7 / 3) + z**2 / 2 - 0.269900 * z ** (5 / 3)
    return float(np.where(z == 1, -0.5, hartree).sum() * units.hartree)


def guess_energy_unit(
    numbers: Sequence[Int[np.ndarray, " atoms"]], energies: Float[np.ndarray, " frames"]
) -> str | None:
    """Unit in which these are all-electron total energies; None when they are in no known one.

    Energies of pseudopotential codes, of formation or of atomisation are not recognised.
    """
    expected = np.array([total_energy(z) for z in numbers])
    for unit in ENERGY_UNITS:
        ratio = energies * units.factor("energy", unit) / expected
        if np.all(np.abs(ratio - 1) < TOLERANCE):
            return unit
    return None


def energy_evidence(numbers: Int[np.ndarray, " atoms"], energy: float) -> str:
    """The energy in a file beside what the atoms of its formula have, in every unit."""
    expected = total_energy(numbers)
    formula = Formula.from_list([chemical_symbols[z] for z in numbers]).format("hill")
    listing = ", ".join(f"{expected / units.factor('energy', u):.4g} {u}" for u in ENERGY_UNITS)
    return f"file {energy:.6g}; total energy of the atoms of {formula}: about {listing}"
