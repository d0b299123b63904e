"""Which frames every run learns from and is measured on: chosen once, written down, checked ever after."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from equipot.data.frame import Frame
from equipot.deploy.atomic import write_atomically
from equipot.deploy.document import DataFile
from equipot.train.dataset import Splits

FILE = "split.json"


def record(splits: Splits) -> dict[str, Any]:
    """Files by their hash, and of every part the numbers of its frames, file by file."""
    files = [DataFile.of(path).model_dump(exclude={"frames"}) for path in splits.files]
    return {"files": files, **{part: _numbers(frames) for part, frames in splits.parts().items()}}


def check(folder: Path, found: dict[str, Any]) -> None:
    """Refuse to go on with other frames than those that finished runs have seen."""
    path = folder / FILE
    if not path.exists():
        return
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["files"] != found["files"]:
        names = [f["name"] for f in found["files"] if f not in stored["files"]]
        raise ValueError(
            f"{folder}: {', '.join(names) or 'the data'} has changed since this comparison began.\n"
            "Runs on different data are no comparison: choose another folder with --out, or bring the file back."
        )
    if stored != found:
        raise ValueError(
            f"{folder}: the frames of {path} are not those that data.split gives now.\n"
            "Choose another folder with --out."
        )


def keep(folder: Path, found: dict[str, Any]) -> None:
    """Write it down."""
    write_atomically(folder / FILE, (json.dumps(found) + "\n").encode())


def _numbers(frames: Sequence[Frame]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for frame in frames:
        numbers.setdefault(Path(frame.source).name, []).append(frame.index)
    return numbers
