"""What a run writes while it goes on, in files that a restart can cut back to a known step.

thermo.csv                 averages over the replicas, in every phase
trajectory-000.extxyz ...  one file per replica, of the production
restart.json               positions, momenta, random numbers, and how long the files were at that step
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from ase import Atoms
from ase.io.extxyz import write_xyz

from equipot.deploy.atomic import write_atomically

THERMO = (
    "phase",
    "step",
    "time (fs)",
    "temperature (K)",
    "potential (eV)",
    "kinetic (eV)",
    "total (eV)",
    "conserved (eV)",
)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state after a step, exact to the last bit, and the sizes of the files at that moment."""

    phase: int
    step: int
    positions: list[list[list[float]]]  # replicas, atoms, 3
    momenta: list[list[list[float]]]
    memory: dict[str, Any]  # what the engine remembers beside them
    sizes: dict[str, int]  # bytes

    def write(self, folder: Path) -> None:
        """As restart.json, whole or not at all."""
        write_atomically(folder / "restart.json", json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, folder: Path) -> "Checkpoint | None":
        """The state to go on from; None at the very start."""
        path = folder / "restart.json"
        if not path.exists():
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        if set(found) != {field.name for field in fields(cls)}:
            raise ValueError(
                f"{path}: written by another version of equipot, which this one cannot go on from. Finish the run with"
                " that version, or begin it anew in another folder."
            )
        return cls(**found)


class Recorder:
    """Open files of a run, cut back to where the checkpoint says."""

    def __init__(self, folder: Path, copies: Sequence[Atoms], sizes: Mapping[str, int] | None) -> None:
        self.copies = [atoms.copy() for atoms in copies]
        names = ["thermo.csv", *(f"trajectory-{k:03d}.extxyz" for k in range(len(copies)))]
        self._files = {name: _open(folder / name, (sizes or {}).get(name, 0)) for name in names}
        self._thermo, *self._trajectories = self._files.values()
        if sizes is None:
            self._thermo.write(",".join(THERMO) + "\n")

    def thermo(self, values: Sequence[Any]) -> None:
        """A line of thermo.csv; None is left empty."""
        self._thermo.write(",".join("" if v is None else str(v) for v in values) + "\n")

    def frames(
        self,
        positions: np.ndarray,
        momenta: np.ndarray,
        info: Mapping[str, Any],
        rows: Mapping[str, np.ndarray],
        cell: np.ndarray | None = None,
    ) -> None:
        """One frame of every replica: `info` and a changed cell are common to all, `rows` holds a row per replica."""
        for k, (atoms, file) in enumerate(zip(self.copies, self._trajectories, strict=True)):
            if cell is not None:
                atoms.set_cell(cell)
            atoms.positions[:] = positions[k]
            atoms.set_momenta(momenta[k])
            atoms.info.update(info, **{name: _plain(row[k]) for name, row in rows.items()})
            write_xyz(file, [atoms], write_results=False)

    def sizes(self) -> dict[str, int]:
        """Bytes of every file, all of them on the disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        return {name: os.fstat(file.fileno()).st_size for name, file in self._files.items()}

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()


def digest(*parts: np.ndarray | str) -> str:
    """SHA-256 of texts and arrays, their shapes and types included."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.dtype}{part.shape}".encode())
            part = np.ascontiguousarray(part).tobytes()
        else:
            part = part.encode()
        total.update(part)
    return total.hexdigest()


def _open(path: Path, size: int) -> TextIO:
    """For appending after the first `size` bytes."""
    path.touch()
    os.truncate(path, size)
    return path.open("a", encoding="utf-8", newline="\n")


def _plain(value: np.ndarray | np.floating) -> float | np.ndarray:
    return float(value) if value.ndim == 0 else value.reshape(-1)
