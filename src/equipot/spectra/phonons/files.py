"""Phonons as files: figures, tables, JSON, and phonopy's own, with which its tools go on."""

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from equipot.deploy.atomic import write_atomically
from equipot.spectra.phonons.result import Phonons


def write_phonons(found: Phonons, folder: Path) -> list[Path]:
    """phonons.png, .svg and .json; bands.csv, density.csv and thermal.csv; phonopy_params.yaml."""
    from equipot.spectra.phonons.figure import figure  # matplotlib is loaded when something is drawn

    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, bytes] = {}
    for suffix in ("png", "svg"):
        picture = io.BytesIO()
        figure(found).savefig(picture, format=suffix, dpi=150)
        content[f"phonons.{suffix}"] = picture.getvalue()
    content["bands.csv"] = _bands(found)
    content["density.csv"] = _table(
        found,
        ["wavenumber_cm-1", "modes per cm-1"],
        zip(found.density.wavenumber, found.density.value, strict=True),
    )
    thermal = found.thermal
    content["thermal.csv"] = _table(
        found,
        ["temperature_K", "free_energy_kJ/mol", "entropy_J/K/mol", "heat_capacity_J/K/mol"],
        zip(thermal.temperature, thermal.free_energy, thermal.entropy, thermal.heat_capacity, strict=True),
    )
    content["phonons.json"] = json.dumps(document(found), indent=1, ensure_ascii=False).encode()
    content["phonopy_params.yaml"] = _phonopy(found)
    for name, data in content.items():
        write_atomically(folder / name, data)
    return [folder / name for name in content]


def header(found: Phonons) -> dict[str, Any]:
    """How it was made and what is wrong with it."""
    return {
        "primitive_cell": found.formula,
        "source": found.source,
        "supercell": found.supercell.tolist(),
        "mesh": list(found.mesh),
        "displacements": found.displacements,
        "imaginary": [asdict(mode) for mode in found.imaginary()],
        "nonlinearity": found.bend,
        "warnings": list(found.warnings()),
        "notes": list(found.notes),
    }


def document(found: Phonons) -> dict[str, Any]:
    """Everything but the object of phonopy, as JSON."""
    return {
        "header": header(found),
        "bands": [_plain(asdict(band)) for band in found.bands],
        "density": _plain(asdict(found.density)),
        "thermal": _plain(asdict(found.thermal)),
        "mesh": _plain({"points": found.points, "weights": found.weights, "wavenumbers": found.wavenumbers}),
        "units": {
            "wavenumber": "cm-1", "distance": "1/Å", "free_energy": "kJ/mol", "entropy": "J/K/mol",
            "heat_capacity": "J/K/mol", "density": "modes per cm-1", "mole": "of primitive cells",
        },
    }  # fmt: skip


def _bands(found: Phonons) -> bytes:
    modes = found.wavenumbers.shape[1]
    columns = ["from", "to", "q1", "q2", "q3", "distance_1/Å", *(f"mode_{k + 1}_cm-1" for k in range(modes))]
    rows = (
        (*band.ends, *point, distance, *wavenumbers)
        for band in found.bands
        for point, distance, wavenumbers in zip(band.points, band.distance, band.wavenumbers, strict=True)
    )
    return _table(found, columns, rows)


def _table(found: Phonons, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Header lines that begin with #, then columns."""
    out = io.StringIO()
    for key, value in header(found).items():
        if key != "imaginary" and value:
            out.write(f"# {key}: {value}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([x if isinstance(x, str) else f"{x:.9g}" for x in row] for row in rows)
    return out.getvalue().encode()


def _phonopy(found: Phonons) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = found.phonopy.save(Path(folder) / "phonopy_params.yaml")
        return Path(path).read_bytes()


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in values.items()}
