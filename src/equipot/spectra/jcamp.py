"""Infrared and Raman spectra in JCAMP-DX (McDonald, Wilks, Appl. Spectrosc. 42, 151 (1988)), read by the package jcamp.

That package prints where its own checks fail, and a compressed file that is read wrongly looks plausible. Here every
failure is an error: the number of points, the abscissa at the start of every line, the first and the extreme ordinates
have to be those that the file states.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equipot.spectra.measured import Measured, as_absorbance, ascending

_XUNITS = {"1/CM": 1.0, "CM-1": 1.0, "CM^-1": 1.0, "MICROMETERS": 1e4, "NANOMETERS": 1e7}  # last two over x
_FORMS = ("(X++(Y..Y))", "(XY..XY)")
_ORDINATE = 1e-3  # of the range: how exactly a file states its first and extreme ordinates
_NEEDED = ("FIRSTX", "LASTX", "NPOINTS", "XUNITS", "YUNITS")
_KINDS = {"INFRAREDSPECTRUM": "ir", "RAMANSPECTRUM": "raman"}


@dataclass(frozen=True)
class Record:
    """A labelled record: the line of its label, and what it says."""

    line: int
    text: str
    data: tuple[tuple[int, str], ...] = ()  # lines after the label, with their numbers


def read_jcamp(path: Path) -> Measured:
    """One spectrum; absorbance, whatever the file has."""
    try:
        import jcamp  # noqa: F401
    except ImportError:
        raise ValueError(
            f"{path}: reading JCAMP-DX needs the package jcamp: pip install 'equipot[spectra]'. Or save the spectrum "
            "as columns wavenumber_cm-1,absorbance."
        ) from None
    records = _records(path)
    x, y = _points(path, records)
    unit = _plain(records["XUNITS"].text)
    if unit not in _XUNITS:
        raise _refused(path, "XUNITS", records["XUNITS"], f"expected one of {', '.join(_XUNITS)}")
    wavenumber = x if _XUNITS[unit] == 1 else _XUNITS[unit] / x
    value, quantity, notes = _ordinate(path, records["YUNITS"], y)
    wavenumber, value = ascending(wavenumber, value, str(path))
    kind = _KINDS.get(_label(records["DATATYPE"].text)) if "DATATYPE" in records else None
    return Measured(
        wavenumber=wavenumber, value=value, quantity=quantity, source=path.name, kind=kind, notes=notes
    )


def _records(path: Path) -> dict[str, Record]:
    """Labels without case, spaces, -, _ and /, and without comments; the first of each counts."""
    found: dict[str, Record] = {}
    current = ""
    for number, raw in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        line = raw.split("$$")[0].rstrip()
        if line.startswith("##") and "=" in line:
            name, _, text = line[2:].partition("=")
            current = _label(name)
            if current in ("XYDATA", "XYPOINTS", "TITLE") and current in found:
                raise _refused(
                    path, current, Record(number, text), "a second spectrum: expected one in a file"
                )
            found.setdefault(current, Record(number, text.strip()))
        elif line.strip() and current in ("XYDATA", "XYPOINTS"):
            old = found[current]
            found[current] = Record(old.line, old.text, (*old.data, (number, line.strip())))
    _check_complete(path, found)
    return found


def _check_complete(path: Path, records: dict[str, Record]) -> None:
    if not {"XYDATA", "XYPOINTS"} & records.keys():
        data = [n for n in records if n in ("NTUPLES", "PEAKTABLE", "DATATABLE", "RADATA", "PEAKASSIGNMENTS")]
        what = f"{data[0]} in line {records[data[0]].line}" if data else "no table of points"
        raise ValueError(f"{path}: {what}; expected XYDATA or XYPOINTS.")
    for name in _NEEDED:
        if name not in records and not (name in ("FIRSTX", "LASTX") and "XYPOINTS" in records):
            raise ValueError(f"{path}: no label {name}, without which the points have no meaning.")


def _points(path: Path, records: dict[str, Record]) -> tuple[np.ndarray, np.ndarray]:
    """Points with their factors, by the package, and checked."""
    name = "XYDATA" if "XYDATA" in records else "XYPOINTS"
    table = records[name]
    if table.text.replace(" ", "") not in _FORMS:
        raise _refused(path, name, table, f"expected {' or '.join(_FORMS)}")
    x, y = _by_package(path, name, records)
    points = _integer(path, records["NPOINTS"])
    if len(y) != points or len(x) != points:
        raise _refused(
            path,
            "NPOINTS",
            records["NPOINTS"],
            f"the table gives {len(y)} points: it was not read as written",
        )
    if name == "XYDATA" and table.text.replace(" ", "") == _FORMS[0]:
        _check_abscissas(path, records, x)
    _check_ordinates(path, records, y)
    return x, y


def _by_package(path: Path, name: str, records: dict[str, Record]) -> tuple[np.ndarray, np.ndarray]:
    import jcamp

    numbers = ("FIRSTX", "LASTX", "NPOINTS", "XFACTOR", "YFACTOR")
    header = [f"##{n}={records[n].text}" for n in numbers if n in records]
    table = records[name]
    lines = [*header, f"##{name}={table.text.replace(' ', '')}", *(line for _, line in table.data), "##END="]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            found = jcamp.read(lines)
        x, y = np.asarray(found["x"], dtype=float), np.asarray(found["y"], dtype=float)
    except Exception as error:  # of any kind: the package does not promise which
        raise _refused(path, name, table, f"the table cannot be read ({error})") from None
    complaints = [line for line in said.getvalue().splitlines() if "Y-Check" in line]
    if complaints:  # those about abscissas and counts are made below, to the tolerance of the standard
        raise _refused(path, name, table, complaints[0].rstrip("."))
    return x, y


def _check_abscissas(path: Path, records: dict[str, Record], x: np.ndarray) -> None:
    """The first number of every line, times XFACTOR, is where its first ordinate belongs, within one step."""
    import jcamp

    spacing = abs(x[-1] - x[0]) / (len(x) - 1)
    factor = _float(path, "XFACTOR", records["XFACTOR"]) if "XFACTOR" in records else 1.0
    table, place = records["XYDATA"], 0
    differences = any(re.search("[%J-Rj-r]", line) for _, line in table.data)
    for number, line in table.data:
        numbers = jcamp.parse(line)
        start = place - 1 if differences and place else place  # such a line repeats the last ordinate
        if start >= len(x) or abs(numbers[0] * factor - x[start]) > spacing * 1.01:
            expected = f"{x[start]:g}" if start < len(x) else "nothing"
            raise ValueError(
                f"{path}, line {number}: XYDATA begins with x = {numbers[0] * factor:g}, expected {expected} within "
                f"{spacing:g}: points are missing, or the line was not read as written."
            )
        place = start + len(numbers) - 1


def _check_ordinates(path: Path, records: dict[str, Record], y: np.ndarray) -> None:
    span = float(np.ptp(y)) or 1.0
    stated = {"FIRSTY": y[0], "MAXY": y.max(), "MINY": y.min()}
    for name, found in stated.items():
        if name in records:
            wanted = _float(path, name, records[name])
            if abs(wanted - found) > _ORDINATE * max(span, abs(wanted)):
                raise _refused(
                    path, name, records[name], f"the table gives {found:g}: it was not read as written"
                )


def _ordinate(path: Path, record: Record, y: np.ndarray) -> tuple[np.ndarray, str, tuple[str, ...]]:
    unit = _plain(record.text)
    if unit in ("TRANSMITTANCE", "%TRANSMITTANCE", "PERCENTTRANSMITTANCE"):
        percent = bool(y.max() > 2)
        return as_absorbance(y, percent), "absorbance", ("absorbance = −log₁₀ T",)
    if unit in ("ABSORBANCE", "ARBITRARYUNITS", "RAMANINTENSITY"):
        return y, unit.lower(), ()
    raise _refused(path, "YUNITS", record, "expected TRANSMITTANCE, ABSORBANCE or ARBITRARY UNITS")


def _label(name: str) -> str:
    return re.sub(r"[\s\-_/]", "", name).upper()


def _plain(text: str) -> str:
    return text.strip().upper().replace(" ", "")


def _float(path: Path, name: str, record: Record) -> float:
    try:
        return float(record.text)
    except ValueError:
        raise _refused(path, name, record, "expected a number") from None


def _integer(path: Path, record: Record) -> int:
    value = _float(path, "NPOINTS", record)
    if value != int(value) or value < 3:
        raise _refused(path, "NPOINTS", record, "expected a whole number of three or more")
    return int(value)


def _refused(path: Path, name: str, record: Record, why: str) -> ValueError:
    return ValueError(f"{path}, line {record.line}: {name} is {record.text[:40]!r}; {why}.")
