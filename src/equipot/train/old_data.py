"""Frames that the parent of a fine-tuned model was made from: to measure what is forgotten, and to train on again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equipot.config import parse
from equipot.data.config import DataConfig, share
from equipot.data.frame import Frame
from equipot.data.splits import shared
from equipot.deploy import fingerprints
from equipot.deploy.document import DataFile
from equipot.train.config import OldDataConfig
from equipot.train.dataset import Splits, load
from equipot.train.parent import Parent

MEASURED = 1000  # frames, spread evenly
HELD_OUT = "10%"  # of a file that the parent's split does not divide


@dataclass(frozen=True)
class OldFrames:
    """What there is of the parent's data."""

    measured: Sequence[Frame]
    what: str  # the frames in words
    labelled: bool  # false: the labels are what the parent says itself
    replayed: Sequence[Frame] = ()
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def old_frames(config: OldDataConfig | None, parent: Parent, new: Sequence[Frame], seed: int) -> OldFrames:
    """Frames of the file that the user gives; without one, the few that the model file carries.

    `new` is the training set: so many old frames are drawn for replay, none of them among those measured.
    """
    if config is None:
        frames = fingerprints.answered(parent.potential, parent.document.fingerprints, parent.path.name)
        return OldFrames(frames, f"the frames that {parent.path.name} carries", labelled=False)
    splits, notes = _read(config, parent)
    part = next(name for name in ("test", "valid", "train") if splits.parts()[name])
    measured, rest = list(splits.parts()[part]), list(splits.train)
    if part == "train":
        measured, rest = rest[::10], [f for k, f in enumerate(rest) if k % 10]
    chosen = np.unique(np.linspace(0, len(measured) - 1, min(len(measured), MEASURED)).astype(int))
    again = shared(new, measured)
    if again:
        notes.append(
            f"{len(again)} of the old frames to measure on are in the new training set (first: {again[0][1].where});"
            " nothing can be forgotten there."
        )
    draw = np.random.default_rng(seed).permutation(len(rest))[: len(new)] if config.replay else []
    if config.replay and len(draw) < len(new):
        notes.append(f"Only {len(draw)} old frames for {len(new)} new ones: all of them are replayed.")
    source = config.test if config.test is not None and part == "test" else config.data
    return OldFrames(
        measured=[measured[k] for k in chosen],
        what=f"the {part} part of the parent's data, {source.name}",
        labelled=True,
        replayed=[rest[k] for k in sorted(draw)],
        files=splits.files,
        notes=tuple(notes),
    )


def _read(config: OldDataConfig, parent: Parent) -> tuple[Splits, list[str]]:
    """The old file with the keys, units and split of the parent's training, as far as they are known and fit it."""
    run = parent.document.run.get("data")
    then: dict[str, Any] = dict(run) if isinstance(run, dict) else {}
    known = {f.sha256 for f in parent.document.provenance.data}
    notes: list[str] = []
    changes: dict[str, Any] = {
        "train": config.data, "required": False, "isolated_atoms": None, "reference_energies": {},
    }  # fmt: skip
    if DataFile.of(config.data).sha256 not in known:
        notes.append(
            f"{config.data} is not the file of the parent's training: {HELD_OUT} are held out to measure on."
        )
        changes |= {"split": {"seed": 0}, "valid": 0, "test": HELD_OUT, "max_force": None}
    elif _is_file(then.get("valid")):
        changes["valid"] = 0
    if config.test is not None:
        changes["test"] = str(config.test)
    elif "test" not in changes and _is_file(test := then.get("test")) and not Path(str(test)).exists():
        notes.append(
            f"The parent's test set, {test}, is not there: give start.old.test=FILE to measure on it."
        )
        changes["test"] = None
    settings = parse(DataConfig, {**then, **changes}, "start.old")
    targets = parent.document.potential.targets
    splits = load(settings, targets, optional=targets.names())
    if not any(name in f.labels for f in splits.train for name in targets.names()):
        raise ValueError(
            f"{config.data}: no label that {parent.path} predicts ({', '.join(targets.names())}), under the names of "
            "its training. start.old.data is the file which that training was on."
        )
    return splits, notes


def _is_file(amount: object) -> bool:
    return isinstance(amount, str) and share(amount, 1) is None
