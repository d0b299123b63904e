"""Writing frames, so that what a program leaves out can be looked at and read again."""

from collections.abc import Sequence
from pathlib import Path

import ase.io

from equipot.data.frame import Frame


def write(path: str | Path, frames: Sequence[Frame]) -> None:
    """Frames with their labels, in internal units, as extended XYZ."""
    ase.io.write(str(path), [frame.atoms() for frame in frames], format="extxyz")
