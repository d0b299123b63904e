"""From the `data:` section of a configuration to the frames of each part."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equipot.data import checks
from equipot.data.config import DataConfig, share
from equipot.data.frame import Frame
from equipot.data.read import Frames, read
from equipot.data.splits import Split, grouped_split, identical_groups, index_split, random_split, shared
from equipot.data.structure_checks import without_overlaps
from equipot.potential.targets import TargetsConfig


@dataclass(frozen=True)
class Splits:
    """Frames to train on, to validate with and to test on; isolated atoms apart."""

    train: Sequence[Frame]
    valid: Sequence[Frame]
    test: Sequence[Frame]
    isolated: Sequence[Frame]
    files: tuple[Path, ...]
    excluded: Sequence[Frame]  # of the training set, with the reason in the notes
    notes: tuple[str, ...]

    def parts(self) -> dict[str, Sequence[Frame]]:
        """By name."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    def sizes(self) -> dict[str, int]:
        """Number of frames of each part."""
        return {name: len(frames) for name, frames in self.parts().items()}


def load(config: DataConfig, targets: TargetsConfig, optional: Collection[str] = ()) -> Splits:
    """Read, check that every target has labels (those of `optional` may have none), divide, and look for frames that
    are in two parts.
    """
    main = _read(config, config.train, targets)
    everywhere = config.required is True
    main.require([n for n in targets.names() if everywhere or n not in optional], everywhere)
    _refuse_ambiguous(main)
    if not isinstance(config.required, bool):
        main.require(config.required, everywhere=True)
    others = {
        part: _read(config, Path(amount), targets)
        for part, amount in (("valid", config.valid), ("test", config.test))
        if isinstance(amount, str) and share(amount, 1) is None
    }
    frames = list(main.structures)
    split = _divide(config, frames)
    parts = {name: [frames[i] for i in getattr(split, name)] for name in ("train", "valid", "test")}
    parts |= {name: list(found.structures) for name, found in others.items()}
    notes = [n for found in (main, *others.values()) for n in found.notes]
    parts["train"], excluded = without_overlaps(parts["train"])
    parts["train"], large = _below(parts["train"], config.max_force)
    if excluded:
        notes.append(f"{len(excluded)} training frames with atoms on top of each other are left out.")
    if large:
        notes.append(f"data.max_force={config.max_force:g}: {len(large)} training frames are left out.")
    for name in ("valid", "test"):
        both = shared(parts["train"], parts[name])
        if both:
            a, b = both[0]
            notes.append(
                f"{len(both)} frames of the {name} set are also in the training set (first: {a.where} and {b.where});"
                " errors on them say nothing. Use data.split=identical."
            )
    isolated = [*main.isolated]
    files = [config.train, *(Path(f.path) for f in others.values())]
    if config.isolated_atoms is not None:
        isolated += read(config.isolated_atoms, config.keys, config.units, isolated=True).isolated
        files.append(config.isolated_atoms)
    return Splits(
        train=parts["train"],
        valid=parts["valid"],
        test=parts["test"],
        isolated=isolated,
        files=tuple(files),
        excluded=[*excluded, *large],
        notes=tuple(dict.fromkeys(notes)),
    )


def _read(config: DataConfig, path: Path, targets: TargetsConfig) -> Frames:
    return read(
        path,
        config.keys,
        config.units,
        components=config.components,
        symmetrize=config.symmetrize,
        tensors=targets.shapes(),
    )


def _refuse_ambiguous(frames: Frames) -> None:
    """Stop at what the data doctor calls an error in the labels: units that cannot be what they are taken for."""
    findings = [*checks.check_units(frames), *checks.check_polarizability(frames)]
    errors = [f.text() for f in findings if f.level == "error"]
    if errors:
        raise ValueError("\n".join(errors))


def _divide(config: DataConfig, frames: Sequence[Frame]) -> Split:
    total, split = len(frames), config.split
    if split.by == "index":
        return index_split(total, split.train, split.valid, split.test)
    valid, test = (
        0 if amount is None else share(amount, total) or 0 for amount in (config.valid, config.test)
    )
    if split.by == "group":
        return grouped_split(
            [f.group if f.group is not None else f"frame {i}" for i, f in enumerate(frames)],
            valid,
            test,
            split.seed,
        )
    if split.by == "identical":
        return grouped_split(identical_groups(frames), valid, test, split.seed)
    return random_split(total, valid, test, split.seed)


def _below(frames: list[Frame], max_force: float | None) -> tuple[list[Frame], list[Frame]]:
    """Frames without a larger force component, and the others."""

    def is_large(f: Frame) -> bool:
        return (
            max_force is not None
            and "forces" in f.labels
            and bool(np.abs(f.labels["forces"]).max() > max_force)
        )

    return [f for f in frames if not is_large(f)], [f for f in frames if is_large(f)]
