"""Extended XYZ through ASE, with what ASE passes over or leaves unexplained told by frame and line."""

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ase import Atoms
from ase.io.extxyz import read_xyz

#: what ASE makes of a column of each kind of `Properties`, to find the word it failed at
_KINDS = {"R": float, "I": int}


def read_extxyz(path: Path, text: str) -> tuple[tuple[Atoms, ...], tuple[str, ...]]:
    """All frames, and notes on what is not read; ValueError names the first frame that cannot be."""
    lines = text.splitlines()
    starts = _frame_starts(path, lines)
    _check_columns(path, lines, starts)
    return tuple(_images(path, text, lines, starts)), _unread_columns(lines, starts)


def _images(path: Path, text: str, lines: Sequence[str], starts: Sequence[int]) -> Iterator[Atoms]:
    images = read_xyz(io.StringIO(text), index=slice(None))  # pyright: ignore[reportArgumentType]
    for index, at in enumerate(starts):
        try:
            yield next(images)
        except Exception as error:  # ASE lets through whatever its parser meets
            why = _wrong_line(lines, at) or _meant(error, at + 2)
            raise ValueError(f"{path}, frame {index}: not readable as extended XYZ: {why}") from None


def _wrong_line(lines: Sequence[str], at: int) -> str | None:
    """What is wrong with the first atom line of a frame that has too few columns, or a word among its numbers."""
    match = _properties(lines[at + 1])
    parts = (match[1] if match else "species:S:1:pos:R:3").split(":")
    if any(not size.isdigit() for size in parts[2::3]):
        return None
    columns = [
        (n, k) for n, k, size in zip(*(parts[i::3] for i in range(3)), strict=False) for _ in range(int(size))
    ]
    for number, line in enumerate(lines[at + 2 : at + 2 + int(lines[at])], start=at + 3):
        words = line.split()
        if len(words) < len(columns):
            expected = ", ".join(dict(columns))
            return (
                f"line {number} has {len(words)} columns, expected {len(columns)} ({expected}). Complete it (two"
                f" numbers may have grown together), or delete the frame, which starts in line {at + 1}."
            )
        for word, (name, kind) in zip(words, columns, strict=False):
            try:
                _KINDS.get(kind, str)(word)
            except ValueError:
                what = "a whole number" if kind == "I" else "a number such as 0.001 or 1e-3"
                return (
                    f"line {number} has {word!r:.40} in column {name}, where {what} belongs. Correct it, or delete"
                    f" the frame, which starts in line {at + 1}."
                )
    return None


def _meant(error: Exception, comment: int) -> str:
    """What ASE says, and what can be done about it where it is plain; `comment` is the number of that line."""
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        return (
            f"found {error.args[0]!r} where a chemical symbol belongs. Correct the species column, whose values are "
            "symbols such as C or Cl, or the order of columns in Properties=..."
        )
    return f"{str(error).rstrip('.')}. See the comment of the frame, line {comment}."


def _frame_starts(path: Path, lines: list[str]) -> list[int]:
    """First line of every frame; a frame that ends too early or starts wrongly is an error.

    ASE stops reading at the first blank line, so that what follows would be lost without a word.
    """
    lines = list(lines)
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise ValueError(f"{path}: the file is empty.")
    starts: list[int] = []
    at = 0
    while at < len(lines):
        frames = len(starts)
        try:
            atoms = int(lines[at])
        except ValueError:
            raise ValueError(
                f"{path}, frame {frames}: line {at + 1} should be a number of atoms, found {lines[at]!r:.40}."
            ) from None
        if atoms < 1:
            raise ValueError(f"{path}, frame {frames}: line {at + 1} says {atoms} atoms.")
        found = len(lines) - at - 2
        if found < atoms:
            raise ValueError(
                f"{path}, frame {frames}: truncated: {atoms} atoms announced in line {at + 1}, "
                f"{max(found, 0)} found. Restore the file, or delete its last {len(lines) - at} lines to "
                f"keep the {frames} frames before."
            )
        starts.append(at)
        at += 2 + atoms
        while at < len(lines) and lines[at].lstrip().startswith("VEC"):
            at += 1
    return starts


#: column -> its names in `Properties`
_NEEDED = {
    "of chemical symbols": ("species", "symbols", "Z", "numbers"),
    "of positions": ("pos", "positions"),
}


def _properties(comment: str) -> re.Match[str] | None:
    return re.search(r"Properties=[\"']?([^\s\"']+)", comment)


def _check_columns(path: Path, lines: list[str], starts: list[int]) -> None:
    """Elements and positions must be named: without a word ASE puts X, or zeros, in their place."""
    for index, at in enumerate(starts):
        if (match := _properties(lines[at + 1])) is None:
            continue
        names = match[1].split(":")[::3]
        for what, known in _NEEDED.items():
            if not set(known) & set(names):
                raise ValueError(
                    f"{path}, frame {index}: no column {what}: Properties names {', '.join(names)}. "
                    f"Name it {known[0]}, as in Properties=species:S:1:pos:R:3."
                )


def _unread_columns(lines: list[str], starts: list[int]) -> tuple[str, ...]:
    """Columns behind those that `Properties` names, which ASE drops without a word."""
    found = []
    for index, at in enumerate(starts):
        match = _properties(lines[at + 1])
        named = sum(map(int, match[1].split(":")[2::3])) if match else 4
        if len(lines[at + 2].split()) > named:
            found.append((index, len(lines[at + 2].split()), named))
    if not found:
        return ()
    index, columns, named = found[0]
    return (
        f"{len(found)} frames have atom lines of more columns than their Properties name (frame {index}: {columns}, "
        f"named {named}): the others are not read.",
    )
