"""Opening files: every format becomes the same raw frames, names and numbers as the file has them.

ASE's reader of extended XYZ moves `energy`, `forces`, `stress`, `dipole` and a few more into a calculator;
here they are put back beside the others. Forces are the ones stored, never those after constraints.
"""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype

from equipot.data.extxyz import read_extxyz
from equipot.data.h5md import read_h5md

_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_EXECUTABLE = {".pkl", ".pickle", ".p", ".pt", ".pth", ".ckpt", ".joblib", ".py", ".dill"}
_SERVERS = {"postgresql", "mysql"}
_DATABASES = {".db", ".aselmdb"}

#: names of the arrays of (r)MD17 files and of those written after them
NPZ_POSITIONS = ("R", "coords", "positions", "coordinates")
NPZ_NUMBERS = ("z", "Z", "nuclear_charges", "numbers", "atomic_numbers")


@dataclass(frozen=True, kw_only=True)
class RawFrame:
    """A structure and everything else the file says about it, by the file's own names."""

    atoms: Atoms
    system: Mapping[str, Any]  # one value per structure
    atom: Mapping[str, np.ndarray]  # one row per atom


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file, opened."""

    path: str
    kind: str  # "npz", "database", or ASE's name of the format
    frames: tuple[RawFrame, ...]
    units: Mapping[str, str] = field(default_factory=dict)  # stated by the file itself, by the file's names
    notes: tuple[str, ...] = ()


def open_source(path: str | Path, keys: Mapping[str, str]) -> Source:
    """Read a file of any known kind; what cannot be read is refused with its reason. Runs no code."""
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file.")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder. Expected a file of structures.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty.")
    compressed = path.suffix.lower() in _OPENERS
    suffix = Path(path.stem).suffix.lower() if compressed else path.suffix.lower()
    _refuse_code(path, suffix)
    if suffix == ".npz":
        source = _open_npz(path, keys)
    elif suffix in _DATABASES:
        source = _open_database(path)
    elif suffix in (".xyz", ".extxyz"):
        source = _open_extxyz(path)
    elif suffix in (".h5", ".hdf5", ".h5md"):
        source = _open_h5md(path)
    else:
        source = _open_with_ase(path)
    if not source.frames:
        raise ValueError(f"{path}: no structure in the file.")
    return source


def _refuse_code(path: Path, suffix: str) -> None:
    advice = (
        "It could run code when opened, so it is not. Write the data as extended XYZ, an ASE database or npz."
    )
    if suffix in _EXECUTABLE:
        raise ValueError(f"{path}: {suffix} files are not data. {advice}")
    with path.open("rb") as file:
        head = file.read(2)
    if len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5:
        raise ValueError(f"{path}: a Python pickle. {advice}")


def _text(path: Path) -> str:
    """The whole text, decompressed."""
    opener = _OPENERS.get(path.suffix.lower(), open)
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            return file.read()
    except (EOFError, lzma.LZMAError, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read, the file is damaged or truncated ({error}).") from None


def _open_extxyz(path: Path) -> Source:
    images, notes = read_extxyz(path, _text(path))
    return Source(path=str(path), kind="extxyz", frames=tuple(map(_raw, images)), notes=notes)


def _raw(atoms: Atoms) -> RawFrame:
    """Names and numbers of an image, those in its calculator included."""
    atom = {n: a for n, a in atoms.arrays.items() if n not in ("numbers", "positions")}
    system = dict(atoms.info)
    for nested in ("key_value_pairs", "data"):
        inner = system.pop(nested, None)
        if isinstance(inner, Mapping):
            system.update({n: v for n, v in inner.items() if n not in system})
    results = getattr(atoms.calc, "results", {})
    for name, value in results.items():
        if np.ndim(value) == 0 and name not in _SCALARS:
            continue  # a bare word of a free comment: ASE makes `dipole` the number 1
        per_atom = np.ndim(value) >= 1 and len(value) == len(atoms) and name in _PER_ATOM
        (atom if per_atom else system)[name] = value
    for name in [n for n, v in system.items() if _is_per_atom(v, len(atoms))]:
        atom[name] = np.asarray(system.pop(name))
    return RawFrame(atoms=atoms, system=system, atom=atom)


_SCALARS = {"energy", "free_energy", "magmom"}
_PER_ATOM = {"forces", "charges", "energies", "magmoms", "stresses", "born_effective_charges"}


def _is_per_atom(value: Any, num_atoms: int) -> bool:
    """An array with one row of three per atom, as databases keep forces among their data."""
    return (
        isinstance(value, np.ndarray) and value.ndim == 2 and value.shape == (num_atoms, 3) and num_atoms != 3
    )


def _open_database(path: Path) -> Source:
    try:
        database = ase.db.connect(str(path))
        frames = tuple(_raw(row.toatoms(add_additional_information=True)) for row in database.select())
        units = _database_units(database.metadata)
    except Exception as error:  # sqlite, json and ASE each have their own
        raise ValueError(f"{path}: not readable as an ASE database: {error}") from None
    return Source(path=str(path), kind="database", frames=frames, units=units)


def _database_units(metadata: Mapping[Any, Any]) -> dict[str, str]:
    """Units as SchNetPack's databases state them."""
    units = {str(n): str(u) for n, u in (metadata.get("_property_unit_dict") or {}).items() if u}
    length = metadata.get("_distance_unit")
    return {**units, **({"length": str(length)} if length else {})}


def _open_with_ase(path: Path) -> Source:
    try:
        kind = filetype(str(path))
    except UnknownFileTypeError:
        raise ValueError(
            f"{path}: unknown format. Expected extended XYZ, npz, an ASE database or another format of ASE."
        ) from None
    except Exception as error:
        raise ValueError(f"{path}: cannot be read, the file is damaged or truncated ({error}).") from None
    if kind in _SERVERS or kind == "bundletrajectory":
        raise ValueError(f"{path}: format {kind} is not read. Expected one file of structures.")
    if kind == "extxyz":
        return _open_extxyz(path)
    try:
        read = ase.io.read(str(path), index=":", format=kind, do_not_split_by_at_sign=True)
    except UnknownFileTypeError:
        raise ValueError(
            f"{path}: unknown format {kind!r}. Expected extended XYZ, npz, an ASE database or another format "
            "that ASE reads."
        ) from None
    except Exception as error:  # ASE lets through whatever its parsers meet
        raise ValueError(f"{path}: not readable as {kind}: {type(error).__name__}: {error}") from None
    return Source(path=str(path), kind=kind, frames=tuple(_raw(atoms) for atoms in cast(list[Atoms], read)))


def _open_h5md(path: Path) -> Source:
    frames = tuple(
        RawFrame(atoms=atoms, system={**atoms.info, **found}, atom={})
        for atoms, found in read_h5md(path).frames()
    )
    return Source(path=str(path), kind="h5md", frames=frames)


def _open_npz(path: Path, keys: Mapping[str, str]) -> Source:
    arrays = _npz_arrays(path)
    position_key = _pick(path, arrays, keys, "positions", NPZ_POSITIONS)
    number_key = _pick(path, arrays, keys, "numbers", NPZ_NUMBERS)
    positions = np.asarray(arrays.pop(position_key), dtype=np.float64)
    numbers = np.asarray(arrays.pop(number_key)).astype(np.int64)
    if positions.ndim != 3 or positions.shape[2] != 3 or numbers.shape != positions.shape[1:2]:
        raise ValueError(
            f"{path}: {position_key} has shape {positions.shape} and {number_key} {numbers.shape}; expected "
            "(frames, atoms, 3) and (atoms,): one molecule, many geometries. Write others as extended XYZ."
        )
    count, num_atoms = positions.shape[:2]
    stacked = {n: a for n, a in arrays.items() if a.ndim and a.shape[0] == count and a.dtype.kind in "fiu"}
    rows = {
        n for n, a in stacked.items() if a.shape[1:] in ((num_atoms,), (num_atoms, 3)) and a.shape[1:] != (3,)
    }
    if num_atoms == 3:
        rows |= {
            n for n, a in stacked.items() if a.shape[1:] == (3, 3) and n.lower() in ("f", "forces", "force")
        }
    frames = tuple(
        RawFrame(
            atoms=Atoms(numbers=numbers, positions=positions[k]),
            system={n: a[k] for n, a in stacked.items() if n not in rows},
            atom={n: a[k] for n, a in stacked.items() if n in rows},
        )
        for k in range(count)
    )
    return Source(path=str(path), kind="npz", frames=frames)


def _npz_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError, OSError, KeyError, zlib.error) as error:
        raise ValueError(f"{path}: not a readable npz file, damaged or truncated ({error}).") from None
    except ValueError as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise ValueError(
                f"{path}: holds Python objects (pickle), which could run code when opened, so it is refused. "
                "Write plain arrays of numbers."
            ) from None
        raise ValueError(f"{path}: not a readable npz file ({error}).") from None


def _pick(
    path: Path, arrays: Mapping[str, np.ndarray], keys: Mapping[str, str], name: str, known: tuple[str, ...]
) -> str:
    wanted = (keys[name],) if name in keys else known
    found = [k for k in wanted if k in arrays]
    if not found:
        listing = ", ".join(f"{n} {a.shape}" for n, a in arrays.items())
        raise ValueError(
            f"{path}: no {name} under {' or '.join(wanted)}; the file has {listing}. Paste keys.{name}=NAME."
        )
    return found[0]
