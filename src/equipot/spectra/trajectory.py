"""Trajectories: the folder that a molecular dynamics run leaves, as time series.

RUN/md.json          how it was made
RUN/trajectory-...   production only, every `stride` steps: extended XYZ, one file a replica, or HDF5 of all replicas
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from jaxtyping import Float, Int

from equipot.data.h5md import VELOCITY, joined, read_h5md
from equipot.engines.trajectories import files
from equipot.spectra.rings import Rings, rings

#: what a segment may have beside positions and velocities
RECORDED = ("energy", "dipole", "dipole_rate", "polarizability")

_LANGEVIN = 10_000.0  # fs; a shorter damping time would broaden every line
_RESCALING = 1_000.0  # fs
_CONDENSED = 50  # atoms; below, a global thermostat still disturbs single modes


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One unbroken piece of dynamics. `None` means not recorded."""

    positions: Float[np.ndarray, "steps atoms 3"]  # Å; of ring polymers centroids, and averages of all else
    velocities: Float[np.ndarray, "steps atoms 3"]  # Å/fs
    energy: Float[np.ndarray, " steps"] | None = None  # potential, eV
    dipole: Float[np.ndarray, "steps 3"] | None = None  # e·Å; of a cell, on any branch
    dipole_rate: Float[np.ndarray, "steps 3"] | None = None  # Σ Z*_i v_i, e·Å/fs
    polarizability: Float[np.ndarray, "steps 3 3"] | None = None  # Å³

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """Segments of one system at one temperature, and how they were made."""

    segments: tuple[Segment, ...]
    numbers: Int[np.ndarray, " atoms"]
    masses: Float[np.ndarray, " atoms"]  # amu
    temperature: float  # K, target of the ensemble
    step: float  # fs, of the integrator
    every: int  # steps between two entries
    periodic: bool = False
    cell: Float[np.ndarray, "3 3"] | None = None  # Å, vectors as rows; None: no volume
    source: str = ""
    model: str | None = None  # hash of the model file
    engine: str | None = None
    rings: Rings | None = None  # None: classical nuclei
    notes: tuple[str, ...] = field(default=())

    @property
    def stride(self) -> float:
        """Time between two entries, fs."""
        return self.step * self.every

    def has(self, name: str) -> bool:
        """Whether every segment has a series of this name."""
        return all(getattr(segment, name) is not None for segment in self.segments)

    def total_time(self) -> float:
        """Of all segments, fs."""
        return self.stride * sum(len(s) for s in self.segments)


def read_run(folder: str | Path) -> Trajectory:
    """The trajectory in a run folder, refused where it cannot carry a spectrum.

    Thermostatted production is refused but for weak coupling: see `check_dynamics`.
    """
    folder = Path(folder)
    document = _document(folder / "md.json")
    masses = np.array(document["masses"], dtype=float)
    polymers = rings(document, str(folder / "md.json"))
    check_dynamics(document, len(masses), str(folder / "md.json"))
    every = int(document["stride"])
    replicas = list(_replicas(folder, masses))
    if not replicas:
        raise ValueError(f"{folder}: no trajectory-*.extxyz or .h5. Run the dynamics first: equipot md.")
    (origin, _, first), segments = replicas[0], []
    for path, frames, atoms in replicas:
        if not np.array_equal(first.numbers, atoms.numbers):
            raise ValueError(f"{path}: the atoms differ from those of {origin.name}.")
        segments += _segments(frames, every, path)
    if polymers is not None:  # the kinetic energy of centroids and averages over the beads conserve nothing
        segments = [replace(s, energy=None) for s in segments]
    notes = []
    if document.get("status", "finished") != "finished":
        notes.append(f"the run is not finished (status {document['status']}): this is what there is of it")
    if len(segments) > len(replicas):
        notes.append(
            f"{len(replicas)} replicas hold {len(segments)} segments: steps are missing between them"
        )
    return Trajectory(
        segments=tuple(segments),
        numbers=first.numbers.astype(np.int64),
        masses=masses,
        temperature=float(document["temperature"]),
        step=float(document["dt"]),
        every=every,
        periodic=bool(first.pbc.any()),
        cell=first.cell.array.copy() if first.pbc.all() else None,
        source=str(folder),
        model=document.get("model_hash") or document.get("model"),
        engine=document.get("engine"),
        rings=polymers,
        notes=tuple(notes),
    )


def check_dynamics(document: Mapping[str, Any], atoms: int, where: str) -> None:
    """Refuse production under a thermostat that would show in the lines.

    A Langevin thermostat adds γ/2πc, 5.3 cm⁻¹ per ps⁻¹, to every line. Accepted: NVE; Langevin with
    τ ≥ 10 ps; global stochastic velocity rescaling (Bussi) with τ ≥ 1 ps for 50 atoms or more.
    """
    phases = document.get("phases") or [{"name": document.get("ensemble", "")}]
    production = phases[-1]
    if str(production.get("name", "")).lower() == "nve":
        return
    thermostat = str(production.get("thermostat") or document.get("thermostat") or "unknown").lower()
    tau = float(production.get("tau") or document.get("tau") or 0.0)
    if thermostat == "langevin" and tau >= _LANGEVIN:
        return
    if thermostat in ("bussi", "csvr") and tau >= _RESCALING and atoms >= _CONDENSED:
        return
    raise ValueError(
        f"{where}: the production was run under a thermostat ({thermostat}, tau {tau:g} fs, {atoms} atoms), "
        "which broadens and shifts lines. Accepted are NVE, Langevin with tau of 10 ps or more, and Bussi "
        "with tau of 1 ps or more for 50 atoms or more. Equilibrate under the thermostat, then run NVE segments."
    )


@dataclass(frozen=True)
class _Frames:
    """Everything read of one file, stacked over its frames."""

    series: Mapping[str, np.ndarray]
    steps: np.ndarray | None

    def part(self, start: int, stop: int) -> Segment:
        return Segment(**{name: values[start:stop] for name, values in self.series.items()})


def _document(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ValueError(f"{path}: no such file. Expected the folder of a dynamics run, made by equipot md.")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from None
    missing = [key for key in ("temperature", "dt", "stride", "masses") if key not in document]
    if missing:
        raise ValueError(f"{path}: {', '.join(missing)} missing. Found {', '.join(document)}.")
    return document


def _replicas(folder: Path, masses: np.ndarray) -> Iterator[tuple[Path, _Frames, Atoms]]:
    """The frames of every replica, and the file to name in a complaint about them."""
    paths = files(folder)
    for path in (p for p in paths if p.suffix == ".extxyz"):
        yield path, *_read(path, masses)
    parts = [p for p in paths if p.suffix == ".h5"]
    if parts:
        stretch = joined([read_h5md(path) for path in parts])
        for replica, atoms in enumerate(stretch.atoms):
            where = parts[0] if len(parts) == 1 else folder / "trajectory-*.h5"
            _refuse_other_size(atoms, masses, f"{where}, replica {replica}")
            columns = {"positions": stretch.positions, "velocities": stretch.velocities}
            columns |= {name: stretch.observables.get(name) for name in RECORDED}
            series = {n: _stack(list(v[:, replica]), n, where) for n, v in columns.items() if v is not None}
            yield where, _Frames({n: v for n, v in series.items() if v is not None}, stretch.step), atoms


def _refuse_other_size(atoms: Atoms, masses: np.ndarray, where: str) -> None:
    if len(atoms) != len(masses):
        raise ValueError(f"{where}: {len(atoms)} atoms, but md.json has {len(masses)} masses.")


def _read(path: Path, masses: np.ndarray) -> tuple[_Frames, Atoms]:
    columns: dict[str, list[Any]] = {name: [] for name in ("positions", "velocities", *RECORDED)}
    steps: list[Any] = []
    first: Atoms | None = None
    for index, atoms in enumerate(_frames(path)):
        first = first or atoms
        where = f"{path}, frame {index}"
        _refuse_other_size(atoms, masses, where)
        if "momenta" not in atoms.arrays:
            raise ValueError(f"{where}: no momenta. Write them: a power spectrum and the checks need them.")
        columns["positions"].append(atoms.positions)
        columns["velocities"].append(atoms.arrays["momenta"] / masses[:, None] * VELOCITY)
        for name in RECORDED:
            columns[name].append(_labelled(atoms, name))
        steps.append(atoms.info.get("step"))
    if first is None:
        raise ValueError(f"{path}: no frames.")
    series = {name: _stack(values, name, path) for name, values in columns.items()}
    recorded = None if any(s is None for s in steps) else np.array(steps, dtype=np.int64)
    return _Frames({n: v for n, v in series.items() if v is not None}, recorded), first


def _frames(path: Path) -> Iterator[Atoms]:
    """Frame by frame; one that cannot be read is the user's to know about."""
    index = 0
    try:
        for atoms in ase.io.iread(path, index=":", format="extxyz"):
            assert isinstance(atoms, Atoms)
            yield atoms
            index += 1
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise ValueError(
            f"{path}, frame {index}: cannot be read ({error}). Is the run still writing, or was it cut off? "
            "Finish it: the same equipot md command continues."
        ) from None


def _labelled(atoms: Atoms, name: str) -> np.ndarray | None:
    """A property from where ASE puts it: among the results it knows by name, else in `info`."""
    results = {} if atoms.calc is None else atoms.calc.results
    value = results.get(name, atoms.info.get(name))
    if value is None:
        return None
    array = np.array(value, dtype=float)
    return array.reshape(3, 3) if name == "polarizability" else array


def _stack(values: list[Any], name: str, path: Path) -> np.ndarray | None:
    absent = [i for i, v in enumerate(values) if v is None]
    if len(absent) == len(values):
        return None
    if absent:
        raise ValueError(
            f"{path}, frame {absent[0]}: no {name}, which other frames have. "
            "Write it at every frame of the file."
        )
    stacked = np.array(values)
    finite = np.isfinite(stacked.reshape(len(stacked), -1)).all(axis=1)
    if not finite.all():
        raise ValueError(f"{path}, frame {int(np.argmin(finite))}: {name} is not a finite number.")
    return stacked


def _segments(frames: _Frames, every: int, path: Path) -> list[Segment]:
    """Cut where steps are missing; a step that is repeated or goes back is refused."""
    total = len(frames.series["positions"])
    if frames.steps is None:
        return [frames.part(0, total)]
    gaps = np.diff(frames.steps)
    if np.any(gaps < every):
        index = int(np.argmax(gaps < every)) + 1
        raise ValueError(
            f"{path}, frame {index}: step {frames.steps[index]} follows {frames.steps[index - 1]}, but "
            f"md.json says one frame every {every} steps. Frames are repeated or the stride is wrong: run again."
        )
    cuts = [0, *(np.flatnonzero(gaps != every) + 1).tolist(), total]
    return [frames.part(start, stop) for start, stop in pairwise(cuts)]
