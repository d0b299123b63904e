"""What a run writes while it goes on, in files that a restart can cut back to a known step.

thermo.csv                 averages over the replicas, in every phase
trajectory-...             frames of the production, in one of two formats: see `trajectories`
restart.json               positions, momenta, random numbers, and how long the files were at that step
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from equipot.deploy.atomic import write_atomically
from equipot.engines.settings import TrajectoryFormat
from equipot.engines.trajectories import Snapshot, Text, writer

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
    sizes: dict[str, int]  # bytes of text files, frames of an HDF5 trajectory

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
    """Open files of a run, cut back to where the checkpoint says. What every engine writes to.

    Args:
        folder: of the run.
        copies: the replicas: atoms, masses, cell, charge and spin.
        sizes: those of the checkpoint to go on from; None: a new run.
        trajectory: format of the frames.
    """

    def __init__(
        self,
        folder: Path,
        copies: Sequence[Atoms],
        sizes: Mapping[str, int] | None,
        trajectory: TrajectoryFormat = "extxyz",
    ) -> None:
        self._writer = writer(trajectory, folder, copies, sizes)
        self._thermo = Text(folder / "thermo.csv", (sizes or {}).get("thermo.csv", 0))
        if sizes is None:
            self._thermo.file.write(",".join(THERMO) + "\n")

    def thermo(self, values: Sequence[Any]) -> None:
        """A line of thermo.csv; None is left empty."""
        self._thermo.file.write(",".join("" if v is None else str(v) for v in values) + "\n")

    def frames(
        self,
        positions: np.ndarray,
        momenta: np.ndarray,
        info: Mapping[str, Any],
        rows: Mapping[str, np.ndarray],
        cell: np.ndarray | None = None,
    ) -> None:
        """One frame of every replica.

        Args:
            positions: Å, [replicas, atoms, 3], never wrapped into the cell.
            momenta: of ASE, amu Å / (Å √(amu/eV)), [replicas, atoms, 3].
            info: numbers common to all replicas, among them "time" (fs) and "step" of the production.
            rows: what was recorded (energy, dipole ...), one row per replica.
            cell: Å, rows, where the ensemble changes it; then in every frame; extxyz also takes one per replica.
        """
        self._writer.add(Snapshot(positions=positions, momenta=momenta, info=info, rows=rows, cell=cell))

    def sizes(self) -> dict[str, int]:
        """How much there is, all of it on the disk: bytes of text files, frames of an HDF5 trajectory."""
        return {"thermo.csv": self._thermo.flush(), **self._writer.flush()}

    def close(self) -> None:
        """Close all files."""
        self._thermo.file.close()
        self._writer.close()


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
