"""Training that starts from a model file: what is taken over, what is new, what stays, and what was forgotten."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols

from equipot.data.collate import Graph, collate, graph
from equipot.data.frame import Frame
from equipot.data.references import isolated_energies
from equipot.deploy.model_file import describe
from equipot.evaluate.drift import drift
from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics
from equipot.train.begin import Beginning, Say, graphs_of, refuse_unfit
from equipot.train.config import RunConfig
from equipot.train.dataset import Splits
from equipot.train.distributed import Process
from equipot.train.frozen import freeze, freeze_unused, head_of, learnable
from equipot.train.inherit import disagreement
from equipot.train.objective import soften
from equipot.train.old_data import OldFrames, old_frames
from equipot.train.parent import Parent
from equipot.train.references import Refit, refit, unchanged
from equipot.train.transplant import extended, symbols, transplant, united


@dataclass(frozen=True)
class Tuning:
    """What fine-tuning began with, to say at the end what it did."""

    parent: Parent
    old: OldFrames
    references: Refit

    def report(self, potential: Potential, graphs: Mapping[str, Sequence[Graph]]) -> dict[str, Any]:
        """Errors of the parent and of the fine-tuned potential, on old and on new frames; the energies of elements."""
        before = self.parent.potential.to(next(potential.parameters()).device)
        old = [graph(frame, potential.cutoff) for frame in self.old.measured]
        part = next((p for p in ("test", "valid") if graphs[p]), "")
        named = {"old": (self.old.what, self.old.labelled, old)}
        named |= {"new": (f"the {part} part of the new data", True, graphs[part])} if part else {}
        tables = {
            name: {"what": what, "frames": len(g), "labelled": labelled, "rows": drift(before, potential, g)}
            for name, (what, labelled, g) in named.items()
            if g
        }
        after = self.references.after
        energies = {
            chemical_symbols[z]: {"before": e, "after": after[z]} for z, e in self.references.before.items()
        }
        return {"drift": tables, "reference_energies": energies}


def taken_over(config: RunConfig, parent: Parent) -> tuple[RunConfig, tuple[str, ...]]:
    """The configuration with the parent's targets where it names none, and the labels that may then be missing.

    ValueError when the parent is another model than the configuration describes.
    """
    own = parent.document.potential
    for section in ("model", "terms"):
        asked, found = (getattr(c, section).model_dump(mode="json") for c in (config, own))
        for key in (k for k in asked if asked[k] != found.get(k)):
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
        with _hint(kept):
            refuse_unfit(part, final.targets, *needs)
    graphs = graphs_of(splits, config.model.cutoff)
    potential, references = _potential(config, parent, final, statistics, splits, graphs["train"], process)
    replayed = [_moved(frame, references) for frame in old.replayed]
    freeze(potential, start.freeze)
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
    for line in (*splits.notes, *_said(tuning, potential, names, len(frames) - len(graphs["train"]))):
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


def _potential(
    config: RunConfig,
    parent: Parent,
    final: PotentialConfig,
    statistics: Statistics,
    splits: Splits,
    train: Sequence[Graph],
    process: Process,
) -> tuple[Potential, Refit]:
    """The parent's weights under reference energies that suit the new data."""
    seed, dtype = config.train.seed, getattr(torch, config.train.precision)
    potential = transplant(parent, final, statistics, seed).to(process.device)
    references = unchanged(statistics)
    if "energy" in parent.potential.heads and config.targets.energy is not None:
        isolated = isolated_energies(splits.isolated).keys()
        new = set(statistics.elements) - set(parent.potential.elements) - isolated
        found = refit(potential, new, config, train)
        references = replace(found, after={z: process.agree(e) for z, e in found.after.items()})
        potential = transplant(parent, final, references.applied(statistics), seed)
    potential.to(dtype=dtype, device=process.device)
    if "energy" not in parent.potential.heads:
        soften(potential, collate(train[:8], potential.elements).to(process.device))
    return potential, references


def _moved(frame: Frame, references: Refit) -> Frame:
    """An old frame whose energy counts from the new reference energies, as that of the new frames does."""
    if "energy" not in frame.labels:
        return frame
    return frame.with_labels(energy=np.asarray(frame.labels["energy"] + references.shift(frame)))


def _said(tuning: Tuning, potential: Potential, names: Sequence[str], idle: int) -> Iterator[str]:
    """What the user should know before the first step."""
    parent, old = tuning.parent, tuning.old
    own, now = parent.potential, set(potential.heads)
    model = own.config.model.name
    yield f"Starting from {parent.path}: {model} for {symbols(own.elements)}, identity {parent.identity[:12]}…"
    if "energy" in own.heads and "energy" in names:
        yield tuning.references.words()
    added = [f"{n} (fresh weights)" for n in potential.heads if n not in own.heads]
    added += [
        f"{symbols({z})} (an embedding not seen in training)"
        for z in set(potential.elements) - set(own.elements)
    ]
    if added:
        yield f"New: {', '.join(added)}."
    if dropped := [n for n in own.heads if n not in now]:
        yield f"Dropped: {', '.join(dropped)}."
    idle_heads = [n for n in own.heads if n in now and not any(head_of(label) == n for label in names)]
    if idle_heads and any(p.requires_grad for p in potential.model.parameters()):
        yield (
            f"Kept without training: {', '.join(idle_heads)}. Its input changes with the rest of the model; "
            "start.freeze=[model] keeps it as it is, start.old.replay=true trains it on old frames, start.heads=drop "
            "leaves it out."
        )
    counts = [
        sum(p.numel() for p in potential.parameters() if p.requires_grad is free) for free in (True, False)
    ]
    if counts[1]:
        yield f"{counts[0]:,} weights are trained, {counts[1]:,} are frozen."
    if idle:
        yield f"{idle} training frames have no label that a weight in training depends on: they are left out."
    if old.replayed:
        shift = max(abs(tuning.references.shift(f)) / f.num_atoms for f in old.replayed)
        yield (
            f"{len(old.replayed)} old frames are trained on again"
            + (f"; their energies move with the reference energies, by up to {1000 * shift:.3g} meV/atom. "
               "Is the level of theory the same? Then start.references=keep." if shift > 0 else ".")
        )  # fmt: skip
    yield from old.notes
