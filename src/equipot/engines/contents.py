"""What a run folder holds, whether the run is finished, going on, or was killed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equipot.data.h5md import count
from equipot.engines.header import read_header
from equipot.engines.recording import Checkpoint
from equipot.engines.trajectories import files


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Of a run folder."""

    header: dict[str, Any]  # md.json
    frames: int  # whole frames of every replica
    torn: int  # trajectory files that end inside a frame, which a restart cuts off
    size: int  # bytes of the trajectory
    done: int  # steps up to the restart file
    total: int  # steps of the whole run

    @property
    def time(self) -> float:
        """From the first frame to the last, ps."""
        return max(self.frames - 1, 0) * self.header["stride"] * self.header["dt"] / 1000


def contents(folder: Path) -> Contents:
    """Count what is there, without reading the numbers."""
    header, paths = read_header(folder / "md.json"), files(folder)
    lines = 2 + len(header["masses"])
    text = [divmod(_lines(path), lines) for path in paths if path.suffix == ".extxyz"]
    parts = [count(path) for path in paths if path.suffix == ".h5"]
    saved, phases = Checkpoint.read(folder), header["phases"]
    steps = [phase["steps"] for phase in phases]
    return Contents(
        header=header,
        frames=sum(parts) if parts else min((whole for whole, _ in text), default=0),
        torn=sum(rest > 0 for _, rest in text),
        size=sum(path.stat().st_size for path in paths),
        done=0 if saved is None else sum(steps[: saved.phase]) + saved.step,
        total=sum(steps),
    )


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
