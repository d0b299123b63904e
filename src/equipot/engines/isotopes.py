"""Masses of isotopes: inertia only, which forces and energies do not know."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from jaxtyping import Float

from equipot.config import nearest

#: isotopes with a letter of their own, amu: Wang et al., Chin. Phys. C 45, 030003 (2021)
LETTERS: Mapping[str, float] = MappingProxyType({"D": 2.014101778, "T": 3.016049281})


def mass(value: Any) -> float:
    """A mass in amu, or the letter of an isotope of hydrogen."""
    if isinstance(value, str) and value in LETTERS:
        return LETTERS[value]
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = 0.0
    if not 0 < found < np.inf:
        raise ValueError(f"mass {value!r}: expected a number of amu above zero, or D or T.")
    return found


def parse_masses(assignments: Sequence[str]) -> dict[str, float]:
    """`H=D`, `C=13.003`, `4=2.014`: an element, or the index of one atom (from 0), and its mass in amu."""
    found = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(
                f"mass {text!r}: expected ELEMENT=AMU or INDEX=AMU, for example H=D or C=13.003."
            )
        found[_checked(name.strip())] = mass(value.strip())
    return found


def masses_of(atoms: Atoms, given: Mapping[str, float]) -> Float[np.ndarray, " atoms"]:
    """Masses of the atoms, amu, with those given by element and then by index in their place.

    Raises ValueError for an element that is not there and for an index beyond the atoms.
    """
    masses = atoms.get_masses().copy()
    symbols = np.array(atoms.get_chemical_symbols())
    for name, value in sorted(given.items(), key=lambda item: item[0].isdigit()):
        chosen = np.arange(len(atoms)) == int(name) if name.isdigit() else symbols == _checked(name)
        if not chosen.any():
            there = ", ".join(sorted(set(symbols.tolist())))
            raise ValueError(
                f"mass of {name!r}: {atoms.get_chemical_formula()} has no such atom. It has {len(atoms)} atoms of"
                f" {there}, counted from 0."
            )
        masses[chosen] = value
    return masses


def _checked(name: str) -> str:
    if not name.isdigit() and name not in atomic_numbers:
        raise ValueError(
            f"mass of {name!r}: neither an element nor the index of an atom.{nearest(name, list(atomic_numbers))}"
        )
    return name
