"""Spectra from elsewhere, measured or calculated, as absorption over ascending wavenumbers.

A text file has columns, their quantity and unit in the first line: `wavenumber_cm-1,absorbance`, or `wavelength [um]`
and `transmittance [%]`; lines that begin with # are comments. What `equipot spectrum` writes can be read back. Columns
`dielectric_loss`, or `n` and `k`, of a solid or a liquid become n·α. A file *.jdx, *.dx or *.jcamp is JCAMP-DX.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from equipot import units

_OPAQUE = 1e-4  # transmittances below are taken for this: the detector sees nothing there
_TERAHERTZ = 1e12 / (units.LIGHT * 100)  # cm⁻¹

#: name of the horizontal axis with its unit -> wavenumber, cm⁻¹
AXES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType(
    {
        "wavenumber cm-1": lambda x: x,
        "wavelength um": lambda x: 1e4 / x,
        "wavelength nm": lambda x: 1e7 / x,
        "frequency THz": lambda x: _TERAHERTZ * x,
    }
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A spectrum to compare with: absorption, or scattering, at ascending wavenumbers."""

    wavenumber: Float[np.ndarray, " bins"]  # cm⁻¹
    value: Float[np.ndarray, " bins"]
    quantity: str  # its name in the file
    source: str
    kind: str | None = None  # "ir" or "raman" where the file says so
    notes: tuple[str, ...] = ()


def read_measured(path: str | Path) -> Measured:
    """A spectrum from a text file with named columns, or from JCAMP-DX; refused where anything is unclear."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file. Expected columns with names, or JCAMP-DX (*.jdx, *.dx).")
    if path.suffix.lower() in (".jdx", ".dx", ".jcamp"):
        from equipot.spectra.jcamp import read_jcamp  # needs the package jcamp

        return read_jcamp(path)
    return _read_columns(path)


def as_absorbance(transmittance: Float[np.ndarray, " bins"], percent: bool) -> Float[np.ndarray, " bins"]:
    """−log₁₀ T, with T kept above 1e-4."""
    return -np.log10(np.maximum(transmittance / (100 if percent else 1), _OPAQUE))


def ascending(
    wavenumber: Float[np.ndarray, " bins"], value: Float[np.ndarray, " bins"], where: str
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """Sorted; a wavenumber that occurs twice, or one that is no finite number, is refused."""
    if len(wavenumber) < 3:
        raise ValueError(f"{where}: {len(wavenumber)} points are no spectrum.")
    order = np.argsort(wavenumber, kind="stable")
    wavenumber, value = wavenumber[order], value[order]
    if not np.isfinite(wavenumber).all() or bool((np.diff(wavenumber) <= 0).any()):
        bad = float(wavenumber[1:][~(np.diff(wavenumber) > 0)][0])
        raise ValueError(f"{where}: {bad:g} cm⁻¹ occurs more than once, or is not a number.")
    return wavenumber, value


def _read_columns(path: Path) -> Measured:
    lines = [
        (number, line.strip())
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if len(lines) < 2:
        raise ValueError(f"{path}: no lines with numbers.")
    names = _names(path, lines[0][1])
    axis = _axis(path, names[0])
    columns = 3 if names[1:3] == ["n", "k"] else 2
    rows = np.array([_row(path, number, line, columns) for number, line in lines[1:]])
    rows = rows[np.isfinite(rows).all(axis=1)]  # an empty value is a gap
    with np.errstate(divide="ignore"):
        wavenumber, order = AXES[axis](rows[:, 0]), names[1:columns]
    value, quantity, notes = _absorption(wavenumber, rows[:, 1:], order)
    wavenumber, value = ascending(wavenumber, value, str(path))
    kind = "raman" if "raman" in quantity.lower() or "A^4/amu" in quantity else None
    return Measured(
        wavenumber=wavenumber, value=value, quantity=quantity, source=path.name, kind=kind, notes=notes
    )


def _absorption(
    wavenumber: np.ndarray, values: np.ndarray, names: list[str]
) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """What the columns mean, its name, and a note where it was converted."""
    name = re.sub(r"^value\s*\[(.*)\]$", r"\1", names[0])  # of a file that equipot wrote: the unit says it
    if names == ["n", "k"]:
        return 4 * np.pi * wavenumber * values.prod(axis=1), "n·α [cm-1]", ("n·α = 4πν·n·k",)
    if name == "dielectric_loss":
        return 2 * np.pi * wavenumber * values[:, 0], "n·α [cm-1]", ("n·α = 2πν·ε″",)
    if name.lower().startswith("transmittance"):
        return as_absorbance(values[:, 0], "%" in name), "absorbance", ("absorbance = −log₁₀ T",)
    return values[:, 0], name, ()


def _names(path: Path, line: str) -> list[str]:
    names = [name.strip().strip('"') for name in re.split(r"[,;\t]", line)]
    if len(names) >= 2 and all(names[:2]) and not _number(names[0]):
        return names
    raise ValueError(
        f"{path}: the first line is {line[:60]!r}, expected the names of the columns, with units, for example "
        "wavenumber_cm-1,absorbance. Write it above the numbers."
    )


def _axis(path: Path, name: str) -> str:
    """The axis that a column is, by words: `wavenumber_cm-1`, `wavelength [um]`, `frequency (THz)`."""
    words = " ".join(re.findall(r"[A-Za-zµμ⁻¹]+(?:\^?-1)?|1/cm", name))
    words = words.replace("1/cm", "cm-1").replace("cm⁻¹", "cm-1").replace("cm^-1", "cm-1")
    words = re.sub("[µμ]m", "um", words)
    if words not in AXES:
        known = ", ".join(f"{a.split()[0]} [{a.split()[1]}]" for a in AXES)
        raise ValueError(f"{path}: the first column is {name!r}, expected one of {known}.")
    return words


def _row(path: Path, number: int, line: str, columns: int) -> list[float]:
    fields = re.split(r"\s*[,;\t]\s*|\s+", line)[:columns]
    if len(fields) == columns and _number(fields[0]) and all(_number(f) or not f for f in fields):
        return [float(f) if f else np.nan for f in fields]
    raise ValueError(f"{path}, line {number}: {line[:60]!r} does not begin with {columns} numbers.")


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
