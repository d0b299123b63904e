"""Training that starts from a model file: what is taken over, what is new, and what stays."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from equipot.data.collate import Graph, graph
from equipot.data.frame import Frame
from equipot.data.references import isolated_energies
from equipot.deploy.model_file import describe
from equipot.potential import Potential
from equipot.potential.per_element import PerElement
from equipot.train.begin import Beginning, Say, graphs_of, refuse_other_conditions, refuse_unfit
from equipot.train.config import RunConfig
from equipot.train.dataset import Splits
from equipot.train.distributed import Process
from equipot.train.frozen import MECHANICAL, freeze, freeze_unused, learnable
from equipot.train.inherit import disagreement
from equipot.train.objective import soften
from equipot.train.old_data import old_frames
from equipot.train.parent import Parent
from equipot.train.references import Refit, refit, unchanged
from equipot.train.transplant import extended, transplant, united
from equipot.train.tuning import Tuning


def taken_over(config: RunConfig, parent: Parent) -> tuple[RunConfig, tuple[str, ...]]:
    """The configuration with the parent's targets where it names none, and the labels that may then be missing.

    ValueError when the parent is another model than the configuration describes.
    """
    own = parent.document.potential
    for section in ("model", "terms"):
        asked, found = (getattr(c, section).model_dump(mode="json") for c in (config, own))
        keys = sorted(asked, key=lambda k: k != "name")  # another architecture has other keys
        for key in (k for k in keys if asked[k] != found.get(k)):
            raise disagreement("configuration", f"{section}.{key}", asked[key], found.get(key), parent.path)
    if "targets" in config.model_fields_set:
        return config, ()
    targets, energy = own.targets, own.targets.energy
    if energy is not None:
        targets = targets.model_copy(update={"energy": energy.model_copy(update={"stress": "auto"})})
    optional = tuple(n for n in targets.names() if n not in ("energy", "forces"))
    return config.model_copy(update={"targets": targets}), optional


def tune(
    config: RunConfig, parent: Parent, splits: Splits, process: Process, say: Say
) -> tuple[Beginning, Tuning]:
    """The parent's potential, made ready for new frames, elements and targets."""
    start, asked = config.start, config.targets.names()
    assert start is not None
    final = united(parent.document.potential, config.targets, start.heads)
    statistics = extended(parent, config.targets, config, [*splits.train, *splits.isolated])
    old = old_frames(start.old, parent, splits.train, config.train.seed)
    kept = [n for n in parent.potential.heads if n in final.targets.names() and n not in asked]
    for part in (splits, replace(splits, train=old.replayed, valid=(), test=old.measured)):
        needs = statistics.elements, config.model.atomic_inputs
        refuse_unfit(part, config.targets, *needs)
        refuse_other_conditions(part, config, statistics)
        with _hint(kept):
            refuse_unfit(part, final.targets, *needs)
    graphs = graphs_of(splits, config.model.cutoff)
    potential = transplant(parent, final, statistics, config.train.seed).to(process.device)
    freeze(potential, start.freeze)
    references = _references(potential, parent, config, splits, graphs["train"], process)
    potential.to(dtype=getattr(torch, config.train.precision))
    if "energy" not in parent.potential.heads:
        soften(potential, graphs["train"])
    replayed = [_moved(frame, references) for frame in old.replayed]
    again = [n for n in final.targets.names() if any(n in f.labels for f in replayed)]
    names = learnable(potential, dict.fromkeys([*asked, *again]))
    if not names:
        raise ValueError(
            f"start.freeze={list(start.freeze)}: nothing is left to train on {', '.join(asked)}."
        )
    freeze_unused(potential, names)
    frames = [*graphs["train"], *(graph(frame, config.model.cutoff) for frame in replayed)]
    graphs["train"] = [g for g in frames if any(n in g.labels for n in names)]
    with _hint(kept):
        describe(potential, splits.train)  # what a model file cannot hold is found before the first step
    tuning = Tuning(parent, old, references)
    left_out = len(frames) - len(graphs["train"])
    for line in (*splits.notes, *tuning.words(potential, names, left_out), *old.notes):
        say(line)
    return Beginning(potential, graphs, names), tuning


@contextmanager
def _hint(kept: Sequence[str]) -> Iterator[None]:
    """An error that is due to heads which nobody asked for says so."""
    try:
        yield
    except ValueError as error:
        if not kept:
            raise
        raise ValueError(
            f"{error}\nThe parent's {', '.join(kept)} is kept although not asked for: start.heads=drop leaves it out."
        ) from None


def _references(
    potential: Potential,
    parent: Parent,
    config: RunConfig,
    splits: Splits,
    train: Sequence[Graph],
    process: Process,
) -> Refit:
    """Give the potential reference energies that suit the new data.

    Those of known elements move only with an energy that is trained: one that is frozen stays what it was.
    """
    statistics, start = potential.statistics, config.start
    assert start is not None
    if "energy" not in parent.potential.heads or config.targets.energy is None:
        return unchanged(statistics)
    known = set(parent.potential.elements)
    free = set(statistics.elements) - known - isolated_energies(splits.isolated).keys()
    if start.references == "refit" and learnable(potential, MECHANICAL):
        free |= known
    found = refit(potential, free, config.data.reference_energies, train)
    found = replace(found, after={z: process.agree(e) for z, e in found.after.items()})
    potential.statistics = found.applied(statistics)
    potential.reference_energies = PerElement(potential.statistics.reference_energies).to(process.device)
    return found


def _moved(frame: Frame, references: Refit) -> Frame:
    """An old frame whose energy counts from the new reference energies, as that of the new frames does."""
    if "energy" not in frame.labels:
        return frame
    return frame.with_labels(energy=np.asarray(frame.labels["energy"] + references.shift(frame)))
