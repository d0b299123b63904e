"""Units that people read: errors in meV, meV/Å, mD; axes in eV, eV/Å, D."""

import math
from dataclasses import dataclass

import numpy as np

from equipot.units import GPa, debye


@dataclass(frozen=True)
class Readable:
    """A unit to print, and the factor to it from the internal one."""

    factor: float
    unit: str


#: internal unit -> unit of errors
_ERRORS = {
    "eV": Readable(1e3, "meV"),
    "eV/Å": Readable(1e3, "meV/Å"),
    "e*Å": Readable(1e3 / debye, "mD"),
    "e": Readable(1e3, "me"),
    "eV/Å^3": Readable(1e3 / GPa, "MPa"),
    "Å^3": Readable(1.0, "Å³"),
}
#: internal unit -> unit of values
_VALUES = {
    "e*Å": Readable(1 / debye, "D"),
    "eV/Å^3": Readable(1 / GPa, "GPa"),
    "Å^3": Readable(1.0, "Å³"),
}


def of_errors(unit: str) -> Readable:
    """How errors in an internal unit are printed; an unknown unit stays as it is."""
    return _ERRORS.get(unit, Readable(1.0, unit))


def of_values(unit: str) -> Readable:
    """How values in an internal unit are drawn."""
    return _VALUES.get(unit, Readable(1.0, unit))


def duration(seconds: float) -> str:
    """A time span in its natural unit."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, without an exponent where that can be read."""
    if not math.isfinite(value):
        return "not finite"
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    return np.format_float_positional(
        value, precision=digits, fractional=False, unique=False, trim="k"
    ).rstrip(".")
