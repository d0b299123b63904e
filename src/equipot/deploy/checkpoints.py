"""The state of a training run on the disk."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from equipot.deploy.atomic import write_atomically
from equipot.deploy.tensors import pack, read_header, read_tensors


class Skipped(NamedTuple):
    """A file that cannot be read, and why."""

    path: Path
    reason: str


def save_state(path: str | Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and a record of plain numbers, atomically.

    Numbers come back bit-equal; infinities and NaN too: the best loss before any validation is infinite.
    """
    write_atomically(Path(path), pack("state", json.dumps(state), tensors))


def load_state(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_state` wrote; ValueError for a file that is truncated, damaged or something else."""
    header = read_header(path, "state")
    tensors = read_tensors(header)
    try:
        state = json.loads(header.document)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its record is not JSON: {error}.") from None
    if not isinstance(state, dict):
        raise ValueError(f"{path}: its record is not a table of names. Damaged, or not ours.")
    return tensors, state


def latest_valid(folder: str | Path, pattern: str) -> tuple[Path | None, list[Skipped]]:
    """The last readable file by the numbers in the names (None: there is none), and those passed over."""
    skipped: list[Skipped] = []
    for path in sorted(Path(folder).glob(pattern), key=_order, reverse=True):
        try:
            load_state(path)
        except (ValueError, OSError) as error:
            skipped.append(Skipped(path, str(error)))
        else:
            return path, skipped
    return None, skipped


def _order(path: Path) -> tuple[list[int], str]:
    return [int(n) for n in re.findall(r"\d+", path.name)], path.name
