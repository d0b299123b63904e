"""The frames of a run on the disk, in one of two formats, so that a killed run keeps what it had.

extxyz   trajectory-000.extxyz ...   text, one file a replica; a restart cuts off what came after the restart file
hdf5     trajectory-00000.h5 ...     H5MD, all replicas; one file after another, each written whole or not at all

Either writer takes snapshots (`add`), makes them safe and says how much there is (`flush`), and ends (`close`).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from ase import Atoms
from ase.io.extxyz import write_xyz
from jaxtyping import Float

from equipot.data.h5md import VELOCITY, Stretch, count, encoded, hdf5, joined, read_h5md
from equipot.deploy.atomic import write_atomically
from equipot.engines.settings import TrajectoryFormat

PART = 32e6  # bytes of positions and velocities in one HDF5 file, about; a flush writes the last file anew
FRAMES = "frames"  # the mark of an HDF5 trajectory


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One frame of every replica."""

    positions: Float[np.ndarray, "replicas atoms 3"]  # Å
    momenta: Float[np.ndarray, "replicas atoms 3"]  # ASE's unit
    info: Mapping[str, Any] = field(default_factory=dict)  # common to all: time (fs), step
    rows: Mapping[str, np.ndarray] = field(default_factory=dict)  # what was recorded, one row per replica
    cell: Float[np.ndarray, "*replicas 3 3"] | None = None  # Å, where it changes; one for all or each


def files(folder: Path) -> list[Path]:
    """Trajectory files of either format, in order."""
    return sorted([*folder.glob("trajectory-*.extxyz"), *folder.glob("trajectory-*.h5")])


class ExtxyzWriter:
    """Extended XYZ; appending a frame is appending text."""

    def __init__(self, folder: Path, copies: Sequence[Atoms], marks: Mapping[str, int]) -> None:
        self.copies = [atoms.copy() for atoms in copies]
        self._texts = [
            Text(folder / f"trajectory-{k:03d}.extxyz", marks.get(f"trajectory-{k:03d}.extxyz", 0))
            for k in range(len(copies))
        ]

    def add(self, snapshot: Snapshot) -> None:
        """A frame in every file."""
        for k, (atoms, text) in enumerate(zip(self.copies, self._texts, strict=True)):
            atoms.positions[:] = snapshot.positions[k]
            atoms.set_momenta(snapshot.momenta[k])
            if snapshot.cell is not None:
                atoms.set_cell(snapshot.cell if snapshot.cell.ndim == 2 else snapshot.cell[k])
            atoms.info.update(snapshot.info, **{n: _plain(row[k]) for n, row in snapshot.rows.items()})
            write_xyz(text.file, [atoms], write_results=False)

    def flush(self) -> dict[str, int]:
        """Bytes of every file."""
        return {text.path.name: text.flush() for text in self._texts}

    def close(self) -> None:
        """All files."""
        for text in self._texts:
            text.file.close()


class H5mdWriter:
    """H5MD. A file is never open for writing: the last one is written anew, under another name first, at every flush.

    So every file that is there can be opened, at any moment and by anything, and what a killed run loses is what
    came after the last flush. Full files are left alone.
    """

    def __init__(self, folder: Path, copies: Sequence[Atoms], marks: Mapping[str, int]) -> None:
        hdf5()
        self.folder, self.copies = folder, tuple(atoms.copy() for atoms in copies)
        self.size = max(1, int(PART // (48 * len(copies) * len(copies[0]))))  # frames in a full file
        self.part, self.full, self.total, self.dirty = 0, 0, 0, False  # full: frames in full files
        self.waiting: list[Stretch] = []
        self._restore(marks.get(FRAMES, 0))

    def add(self, snapshot: Snapshot) -> None:
        """Kept in memory until the next flush, or until a file is full."""
        masses = self.copies[0].get_masses()[:, None]
        others = {n: v for n, v in snapshot.info.items() if n not in ("step", "time")}
        rows = {**snapshot.rows, **{n: np.full(len(self.copies), value) for n, value in others.items()}}
        frame = Stretch(
            atoms=self.copies,
            step=np.array([snapshot.info["step"]], dtype=np.int64),
            time=np.array([snapshot.info["time"]], dtype=np.float64),
            positions=snapshot.positions[None].copy(),
            velocities=(snapshot.momenta / masses * VELOCITY)[None],
            observables={name: np.array(row)[None] for name, row in rows.items()},
            cells=None if snapshot.cell is None else snapshot.cell[None].copy(),
        )
        self.waiting.append(frame)
        self.total, self.dirty = self.total + 1, True
        if self.total - self.full >= self.size:
            self.flush()
            self.part, self.full, self.waiting = self.part + 1, self.total, []

    def flush(self) -> dict[str, int]:
        """Frames of each replica."""
        if self.dirty:
            self.waiting = [joined(self.waiting)]
            write_atomically(self._path(self.part), encoded(self.waiting[0]))
            self.dirty = False
        return {FRAMES: self.total}

    def close(self) -> None:
        """What waits is written too: of a run that stopped by itself the last frames matter most."""
        self.flush()
        self.waiting = []

    def _path(self, part: int) -> Path:
        return self.folder / f"trajectory-{part:05d}.h5"

    def _restore(self, frames: int) -> None:
        """Keep the first `frames`: drop later files and unfinished ones, take up the one that is not full."""
        for path in self.folder.glob(".trajectory-*.h5.*.tmp"):
            path.unlink()
        for path in sorted(self.folder.glob("trajectory-*.h5")):
            found, left = count(path), frames - self.total
            if left <= 0:
                path.unlink()
            elif found < left or found == left >= self.size:
                self.part, self.total = self.part + 1, self.total + found
                self.full = self.total
            else:
                self.waiting = [read_h5md(path).first(left)]
                self.total, self.dirty = self.total + len(self.waiting[0]), True
        if self.total < frames:
            raise ValueError(
                f"{self.folder}: the HDF5 files hold {self.total} frames, restart.json says {frames}. Restore the"
                " missing files, or start the run in another folder."
            )


def writer(
    format: TrajectoryFormat, folder: Path, copies: Sequence[Atoms], marks: Mapping[str, int] | None
) -> ExtxyzWriter | H5mdWriter:
    """Files that go on from `marks`; from nothing when there are none."""
    kind = {"extxyz": ExtxyzWriter, "hdf5": H5mdWriter}[format]
    return kind(folder, copies, marks or {})


class Text:
    """A text file to append to, after its first `size` bytes."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        path.touch()
        if path.stat().st_size < size:
            raise ValueError(
                f"{path}: {path.stat().st_size} bytes, restart.json says {size}. Restore the file, or start the run"
                " in another folder."
            )
        os.truncate(path, size)
        self.file: TextIO = path.open("a", encoding="utf-8", newline="\n")

    def flush(self) -> int:
        """Onto the disk; returns the size in bytes."""
        self.file.flush()
        os.fsync(self.file.fileno())
        return os.fstat(self.file.fileno()).st_size


def _plain(value: np.ndarray | np.floating) -> float | np.ndarray:
    return float(value) if value.ndim == 0 else value.reshape(-1)
