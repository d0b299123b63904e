"""Files that are whole or absent, whatever happens while they are written."""

import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, data: bytes, check: Callable[[Path], object] | None = None) -> None:
    """Write beside the target, flush to the disk, let `check` read it, rename, flush the folder.

    When anything fails, the file that was there before is unchanged, and the temporary one is gone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write(temporary, data)
        if check is not None:
            check(temporary)
        os.replace(temporary, path)
    except OSError as error:
        error.add_note(f"{path} was not written; what was there before is unchanged.")
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable; Windows cannot open a folder and needs no such step."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
