"""Dividing frames into training, validation and test sets."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from equipot.data.frame import Frame

#: Å to which positions are compared when frames are called identical
RESOLUTION = 1e-5
#: a list of integers, whatever its length; anything else may be a file
_LIST = re.compile(r"[\s,\d-]*")


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Indices of the frames of each part, ascending."""

    train: Int[np.ndarray, " train"]
    valid: Int[np.ndarray, " valid"]
    test: Int[np.ndarray, " test"]


def random_split(total: int, valid: int, test: int, seed: int) -> Split:
    """Frames drawn at random."""
    return grouped_split(range(total), valid, test, seed)


def grouped_split(groups: Sequence[Hashable], valid: int, test: int, seed: int) -> Split:
    """Whole groups drawn at random, the test set first, until each part has about its size.

    A group enters a part as long as half of it fits. The same seed gives the same test set
    whatever the size of the others.
    """
    total = len(groups)
    if valid + test >= total:
        raise ValueError(
            f"{total} frames cannot give {valid} to validation and {test} to test and keep some."
        )
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    order = np.random.default_rng(seed).permutation(len(members))
    waiting = [list(members.values())[k] for k in order]
    parts = []
    for name, wanted in (("test", test), ("validation", valid)):
        part, waiting = _take(waiting, wanted)
        if wanted and not part:
            largest = max(map(len, members.values()))
            raise ValueError(
                f"{len(members)} groups of up to {largest} frames are too few to give {wanted} to {name}. "
                "Ask for more, or use data.split=random."
            )
        parts.append(part)
    if not waiting:
        raise ValueError(f"{len(members)} groups are too few: none is left for training.")
    return _split([k for group in waiting for k in group], parts[1], parts[0])


def identical_groups(frames: Sequence[Frame]) -> list[bytes]:
    """A fingerprint per frame, the same for identical structures."""
    return [fingerprint(f) for f in frames]


def index_split(
    total: int,
    train: str | Sequence[int] | None,
    valid: str | Sequence[int] | None,
    test: str | Sequence[int] | None,
) -> Split:
    """Frames by index; without a list, training takes all that the others leave."""
    parts = {"valid": indices(valid, total), "test": indices(test, total)}
    rest = np.setdiff1d(np.arange(total), np.concatenate(list(parts.values())))
    parts["train"] = rest if train is None else indices(train, total)
    names = list(parts)
    for k, first in enumerate(names):
        for second in names[k + 1 :]:
            both = np.intersect1d(parts[first], parts[second])
            if len(both):
                raise ValueError(f"data.split: frame {both[0]} is in {first} and in {second}.")
    return Split(**parts)


def indices(text: str | Sequence[int] | None, total: int) -> Int[np.ndarray, " frames"]:
    """`0:450`, `0:450:2`, `1,5,9`, a list, or a file of integers, as ascending indices."""
    if text is None:
        return np.empty(0, dtype=np.int64)
    found = _parsed(text, total) if isinstance(text, str) else np.array(text, dtype=np.int64)
    outside = found[(found < 0) | (found >= total)]
    if len(outside):
        raise ValueError(f"data.split: index {outside[0]} is outside of the {total} frames of the file.")
    if len(np.unique(found)) < len(found):
        raise ValueError(f"data.split: an index occurs twice in {text!r:.60}.")
    return np.sort(found)


def _parsed(text: str, total: int) -> np.ndarray:
    try:
        if ":" in text:
            bounds = [int(part) if part.strip() else None for part in text.split(":")]
            return np.arange(total)[slice(*bounds)]
        if not _LIST.fullmatch(text):
            text = Path(text).read_text(encoding="utf-8")
        return np.array([int(word) for word in text.replace(",", " ").split()], dtype=np.int64)
    except (ValueError, TypeError, OSError):
        raise ValueError(f"data.split: {text!r:.60}: expected 0:450, 1,5,9, or a file of integers.") from None


def fingerprint(frame: Frame) -> bytes:
    """Bytes that two frames share when species, cell, periodicity and positions agree to 1e-5 Å, and their state.

    Without a word about it, a system is neutral and a singlet.
    """
    state = np.array([frame.charge or 0.0, frame.spin or 1.0])
    cell = np.where(frame.pbc[:, None], frame.cell, 0.0)
    rounded = np.round(np.concatenate([cell, frame.positions]) / RESOLUTION) + 0.0
    return frame.numbers.tobytes() + frame.pbc.tobytes() + state.tobytes() + rounded.tobytes()


def shared(first: Sequence[Frame], second: Sequence[Frame]) -> list[tuple[Frame, Frame]]:
    """Pairs of identical frames, one of each set."""
    seen = {fingerprint(f): f for f in reversed(first)}
    found = [(seen.get(fingerprint(f)), f) for f in second]
    return [(a, b) for a, b in found if a is not None]


def repeated(frames: Sequence[Frame]) -> list[tuple[Frame, Frame]]:
    """Frames that are identical to an earlier one of the same set, behind it."""
    seen: dict[bytes, Frame] = {}
    found = [(seen.setdefault(fingerprint(f), f), f) for f in frames]
    return [(a, b) for a, b in found if a is not b]


def _take(waiting: list[list[int]], wanted: int) -> tuple[list[int], list[list[int]]]:
    part: list[int] = []
    left = []
    for group in waiting:
        if len(part) + len(group) / 2 <= wanted and len(part) < wanted:
            part += group
        else:
            left.append(group)
    return part, left


def _split(train: list[int], valid: list[int], test: list[int]) -> Split:
    return Split(
        **{
            n: np.array(sorted(p), dtype=np.int64)
            for n, p in zip(("train", "valid", "test"), (train, valid, test), strict=True)
        }
    )
