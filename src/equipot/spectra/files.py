"""Spectra and harmonic results as files: CSV and JSON, each with the whole header."""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from equipot.deploy.atomic import write_atomically
from equipot.spectra.harmonic import Harmonic, Sticks
from equipot.spectra.result import Header, Spectra, Spectrum


def write_spectra(spectra: Spectra, folder: Path) -> list[Path]:
    """KIND.csv, KIND.json and KIND.png of every kind."""
    from equipot.spectra.figure import figure  # matplotlib is loaded when something is drawn

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, one in spectra.kinds.items():
        write_atomically(folder / f"{kind}.csv", csv_text(one, spectra.header).encode())
        write_atomically(folder / f"{kind}.json", json_text(one, spectra.header).encode())
        picture = io.BytesIO()
        figure(spectra, kinds=(kind,)).savefig(picture, format="png", dpi=150)
        write_atomically(folder / f"{kind}.png", picture.getvalue())
        paths += [folder / f"{kind}.{suffix}" for suffix in ("csv", "json", "png")]
    return paths


def csv_text(spectrum: Spectrum, header: Header) -> str:
    """Header lines that begin with #, then columns; masked values are empty."""
    out = io.StringIO()
    for key, value in _header(spectrum, header).items():
        if key == "notes":
            out.writelines(f"# note: {note}\n" for note in header.notes)
        else:
            out.write(f"# {key}: {value}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["wavenumber_cm-1", f"value [{spectrum.unit}]", "stderr", *spectrum.components])
    columns = [spectrum.wavenumber, spectrum.value, spectrum.stderr, *spectrum.components.values()]
    for row in zip(*columns, strict=True):
        writer.writerow(["" if math.isnan(x) else f"{x:.9g}" for x in row])
    return out.getvalue()


def json_text(spectrum: Spectrum, header: Header) -> str:
    """The same with the peak table and the harmonic lines; masked values are null."""
    document = {
        "header": _header(spectrum, header),
        "wavenumber_cm-1": _numbers(spectrum.wavenumber),
        "value": _numbers(spectrum.value),
        "stderr": _numbers(spectrum.stderr),
        "components": {name: _numbers(values) for name, values in spectrum.components.items()},
        "peaks": [asdict(peak) for peak in spectrum.peaks],
        "matches": [asdict(row) for row in spectrum.matches],
        "harmonic": _sticks(spectrum.sticks),
        "reference": _sticks(spectrum.reference),
        "beside": [other.document() for other in spectrum.beside],
        "comparison": None if spectrum.comparison is None else spectrum.comparison.document(),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _sticks(sticks: Sticks | None) -> dict[str, Any] | None:
    if sticks is None:
        return None
    ratio = sticks.depolarization
    return {
        "source": sticks.source,
        "wavenumber_cm-1": _numbers(sticks.wavenumber),
        "value": _numbers(sticks.value),
        "depolarization": None if ratio is None else _numbers(ratio),
    }


def write_harmonic(harmonic: Harmonic, path: str | Path) -> None:
    """Everything of a harmonic analysis as JSON."""
    document = {
        f.name: value.tolist() if isinstance(value := getattr(harmonic, f.name), np.ndarray) else value
        for f in fields(harmonic)
    }
    write_atomically(Path(path), json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode())


def read_harmonic(path: str | Path) -> Harmonic:
    """What `write_harmonic` wrote."""
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        names = {f.name for f in fields(Harmonic)}
        if not isinstance(document, dict) or not set(document) <= names:
            raise ValueError(f"expected the keys {', '.join(sorted(names))}")
        return Harmonic(**{name: _array(name, value) for name, value in document.items()})
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: not a harmonic analysis ({error}). Expected a file made by write_harmonic."
        ) from None


def _array(name: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return np.array(value, dtype=np.int64 if name == "numbers" else np.float64)


def _header(spectrum: Spectrum, header: Header) -> Mapping[str, Any]:
    return {
        "spectrum": spectrum.kind,
        "quantity": spectrum.label,
        "unit": spectrum.unit,
        **{k: list(v) if isinstance(v, tuple) else v for k, v in asdict(header).items()},
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(x) else float(f"{x:.9g}") for x in values]
