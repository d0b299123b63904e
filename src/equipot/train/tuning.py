"""What fine-tuning began with: what is said of it before the first step, and what is measured after the last."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ase.data import chemical_symbols

from equipot.data.collate import Graph, graph
from equipot.evaluate.drift import drift
from equipot.potential import Potential
from equipot.train.frozen import head_of
from equipot.train.old_data import OldFrames
from equipot.train.parent import Parent
from equipot.train.references import Refit
from equipot.train.transplant import symbols


@dataclass(frozen=True)
class Tuning:
    """The parent, frames of its data, and how reference energies changed."""

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

    def words(self, potential: Potential, names: Sequence[str], left_out: int) -> Iterator[str]:
        """What the user should know before the first step; `names` are the labels in training."""
        own, file = self.parent.potential, self.parent.path
        known, identity = symbols(own.elements), self.parent.identity
        yield f"Starting from {file}: {own.config.model.name} for {known}, identity {identity[:12]}…"
        if "energy" in own.heads and "energy" in names:
            yield self.references.words()
        yield from _parts(own, potential, names)
        if left_out:
            yield f"{left_out} training frames have no label that a weight in training depends on: they are left out."
        if self.old.replayed:
            yield f"{len(self.old.replayed)} old frames are trained on again{self._moved()}."
        if not self.old.measured:
            yield f"{self.old.what}: none. What is forgotten cannot be measured without start.old=FILE."

    def _moved(self) -> str:
        """How far the energies of old frames move with the reference energies."""
        shift = max(abs(self.references.shift(f)) / f.num_atoms for f in self.old.replayed)
        if shift == 0:
            return ""
        return (
            f"; their energies move with the reference energies, by up to {1000 * shift:.3g} meV/atom. "
            "If the level of theory is the same, take start.references=keep"
        )


def _parts(old: Potential, new: Potential, names: Sequence[str]) -> Iterator[str]:
    """What is new in a potential, what is dropped, what is kept as it is."""
    added = [f"{n} (fresh weights)" for n in new.heads if n not in old.heads]
    unseen = set(new.elements) - set(old.elements)
    added += [f"{symbols(unseen)} (an embedding not seen in training)"] if unseen else []
    if added:
        yield f"New: {', '.join(added)}."
    if dropped := [n for n in old.heads if n not in new.heads]:
        yield f"Dropped: {', '.join(dropped)}."
    trained = {head_of(label) for label in names}
    idle = [n for n in old.heads if n in new.heads and n not in trained]
    if idle and any(p.requires_grad for p in new.model.parameters()):
        yield (
            f"Kept without training: {', '.join(idle)}. What it reads changes with the rest of the model: "
            "start.freeze=[model] prevents that, start.old.replay=true trains it on old frames, start.heads=drop "
            "leaves it out."
        )
    free = sum(p.numel() for p in new.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in new.parameters()) - free
    if frozen:
        yield f"{free:,} weights are trained, {frozen:,} are frozen."
