"""From a file's own names and units to labels: which name is which property, and what its numbers mean."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from equipot.batch import ATOMIC_VECTORS
from equipot.data.sources import RawFrame, Source

#: customary names in lower case, in order of preference
CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "energy": ("energy", "ref_energy", "energy_ref", "dft_energy", "energy_dft", "total_energy", "totenergy"),
    "forces": ("forces", "force", "ref_forces", "ref_force", "forces_ref", "dft_forces", "forces_dft"),
    "stress": ("stress", "ref_stress", "stress_ref", "dft_stress", "stress_dft"),
    "virial": ("virial", "virials", "ref_virial", "ref_virials", "dft_virial"),
    "charges": ("charges", "ref_charges", "dft_charges", "atomic_charges", "partial_charges"),
    "dipole": ("dipole", "ref_dipole", "dft_dipole", "dipole_moment", "total_dipole"),
    "born_charges": (
        "born_charges",
        "born_charge",
        "born_effective_charges",
        "ref_born_charges",
        "dft_born_charges",
        "bec",
    ),
    "polarizability": ("polarizability", "ref_polarizability", "dft_polarizability", "pol"),
    "charge": ("charge", "total_charge"),
    "spin": ("spin", "multiplicity", "spin_multiplicity"),
    "group": ("group", "config_type"),
    **{name: (name,) for name in ATOMIC_VECTORS},
}
#: what (r)MD17 files and those written after them call it
NPZ_CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "energy": ("energy", "energies", "e"),
    "forces": ("forces", "f"),
    "dipole": ("dipole", "dipoles", "d"),
    "charges": ("charges", "q"),
}
#: what else `keys` may name
NAMED_ONLY = ("atomic_energies", "positions", "numbers")
#: numbers in one row of a property, per atom or per system
PER_ATOM: Mapping[str, tuple[int, ...]] = {
    "forces": (3,),
    "charges": (1,),
    "born_charges": (9,),
    "atomic_energies": (1,),
    **{name: (3,) for name in ATOMIC_VECTORS},
}
PER_SYSTEM: Mapping[str, tuple[int, ...]] = {
    "energy": (1,),
    "stress": (9, 6),
    "virial": (9, 6),
    "dipole": (3,),
    "polarizability": (9, 6),
    "charge": (1,),
    "spin": (1,),
}
#: quantity of `equipot.units` that gives a property its unit, where the names differ
UNIT_OF = {"virial": "energy", "atomic_energies": "energy", "external_forces": "forces"}
#: said about a system or its atoms, not labels of it
NO_LABEL = ("charge", "spin", "group", *ATOMIC_VECTORS)
#: ASE's order of the six numbers of a stress
VOIGT = "xx yy zz yz xz xy"
#: what the rows and the columns of a Born charge are: the dipole that changes, the position that changes it
BORN_ORDERS = ("dipole position", "position dipole")
PLACE = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "yz": (1, 2), "xz": (0, 2), "xy": (0, 1)}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One name in a file: where it stands, what it looks like, and what it was read as."""

    name: str
    per: str  # "atom" or "system"
    shape: tuple[int, ...]  # of one row
    frames: int  # how many carry it
    low: float | None = None  # None for text, NaN when no number is finite
    high: float | None = None
    used_as: str | None = None  # canonical name
    unit: str | None = None  # of the file
    assumed: bool = False  # nobody said the unit: it is the convention


def describe(found: Found) -> str:
    """Name, shape, range and count of what is in a file, on one line."""
    count = int(np.prod(found.shape))
    span = "" if found.low is None else f", {found.low:.4g} to {found.high:.4g}"
    return f"{found.name}: {count} number{'s' * (count > 1)} per {found.per}{span}, in {found.frames} frames"


def tabulate(source: Source) -> dict[str, Found]:
    """Everything in a file by its name, with shape, range and count."""
    table: dict[str, Found] = {}
    for raw in source.frames:
        for per, values in (("atom", raw.atom), ("system", raw.system)):
            for name, value in values.items():
                array = numbers_in(value)
                shape = () if array is None else array.shape[1:] if per == "atom" else array.shape
                old = table.get(name)
                if old is None or (old.low is None and array is not None):
                    old = Found(name=name, per=per, shape=shape, frames=old.frames if old else 0)
                table[name] = _widened(old, array)
    return table


def numbers_in(value: Any) -> np.ndarray | None:
    """A value as float64 numbers; None for text and for bare words of a comment, which ASE reads as True."""
    if isinstance(value, bool | np.bool_ | str | None):
        return None
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    return array.astype(np.float64) if array.dtype.kind in "fiu" and array.size else None


def _widened(found: Found, array: np.ndarray | None) -> Found:
    if array is None:
        return replace(found, frames=found.frames + 1)
    finite = array[np.isfinite(array)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
    if found.low is not None and found.high is not None:
        low, high = float(np.fmin(low, found.low)), float(np.fmax(high, found.high))
    return replace(found, frames=found.frames + 1, low=low, high=high)


def value_of(raw: RawFrame, name: str, key: str) -> Any:
    """What a frame has under `key`, looked for first where the property `name` belongs."""
    first, second = (raw.atom, raw.system) if name in PER_ATOM else (raw.system, raw.atom)
    return first.get(key, second.get(key))
