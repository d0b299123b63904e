"""What fits the memory, known before it is begun, so that batches are cut and single structures refused in time.

A batch takes  fixed + atom · atoms + edge · edges  bytes. The three numbers are measured on the largest structure of a
set, or on a small liquid with as many neighbors: copies of it, four times as many, and those with half of their edges.
Nothing is measured where even a generous amount for every edge would fit.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveFloat

from equipot.config import Config
from equipot.data.collate import Graph, graph
from equipot.evaluate.cost import peak_bytes, volume_per_atom
from equipot.evaluate.free_memory import VARIABLE, free_bytes, in_words, usable
from equipot.testing.systems import liquid

GENEROUS_EVALUATION, GENEROUS_TRAINING = 200e3, 1e6  # bytes of an edge, several times what known models take
LARGEST, SIDE = 512, 6  # atoms of a structure that is measured as it is; otherwise SIDE³ atoms of a liquid
MEASURED, FACTOR = 250, 4  # edges of the small batch, at least; how much larger the other two are
NEARER = 0.8  # within 0.8 of the cutoff is half of the neighbors


class Room(Config):
    """What a batch takes, and what there is. A training plan keeps it, so that a resumed run cuts alike."""

    fixed: NonNegativeFloat  # bytes, likewise the others
    atom: NonNegativeFloat
    edge: NonNegativeFloat
    bytes: PositiveFloat

    def takes(self, graphs: Sequence[Graph]) -> float:
        """Bytes of these structures as one batch."""
        return self.fixed + sum(self._adds(g) for g in graphs)

    def cut(self, graphs: Sequence[Graph]) -> list[list[Graph]]:
        """Structures in their order, in as few parts as fit; one that does not fit is a part by itself."""
        return runs(graphs, self._adds, self.bytes - self.fixed)

    def refuse(self, graphs: Sequence[Graph], what: str, device: torch.device) -> None:
        """Raise ValueError when a structure needs more than all that is free, and say which is the largest."""
        free = free_bytes(device)
        large = [] if free is None else [g for g in graphs if self.takes([g]) > free]
        if large and free is not None:
            worst = max(large, key=lambda g: self.takes([g]))
            subject = f"{worst.frame.where}: {worst.num_atoms:,} atoms with {worst.num_edges:,} neighbors"
            others = f" ({len(large)} structures are too large)" if len(large) > 1 else ""
            raise _too_large(f"{subject}{others}", what, self.takes([worst]), free)

    def _adds(self, one: Graph) -> float:
        return self.atom * one.num_atoms + self.edge * one.num_edges

    def now(self, device: torch.device) -> "Room":
        """The same where its memory is still there, otherwise with what there is."""
        free = free_bytes(device)
        if free is None or free >= self.bytes:
            return self
        return self.model_copy(update={"bytes": usable(device)})


def runs(graphs: Sequence[Graph], size: Callable[[Graph], float], most: float) -> list[list[Graph]]:
    """Structures in their order, in parts of sizes that add up to `most`; a larger structure is a part by itself."""
    parts: list[list[Graph]] = []
    filled = 0.0
    for one in graphs:
        filled += size(one)
        if not parts or filled > most:
            parts.append([])
            filled = size(one)
        parts[-1].append(one)
    return parts


def room(
    call: Callable[[list[Graph]], object],
    graphs: Sequence[Graph],
    largest: float,
    device: torch.device,
    generous: float,
) -> Room | None:
    """What `call`, given structures of a batch, would take; None where memory is no question, or unknown.

    Args:
        call: evaluates or trains on a batch.
        graphs: the structures that batches are made of.
        largest: mean structures in the largest batch that may be asked for.
        device: where.
        generous: bytes of an edge that are not measured where there are as many.
    """
    there = usable(device)
    sizes = [max(g.num_atoms, g.num_edges) for g in graphs]
    if there is None or there == math.inf or not sizes:
        return None
    if generous * max(largest * sum(sizes) / len(sizes), *sizes) <= there:
        return None
    one = specimen(max(graphs, key=lambda g: g.num_edges))
    fewer = graph(one.frame, NEARER * one.cutoff)
    call([one])  # what is made once, such as compiled programs, is not of a batch
    few = math.ceil(MEASURED / max(one.num_atoms, one.num_edges))
    points = []
    for batch in ([one] * few, [one] * FACTOR * few, [fewer] * FACTOR * few):
        taken = peak_bytes(lambda batch=batch: call(batch), device)
        points.append((sum(g.num_atoms for g in batch), sum(g.num_edges for g in batch), taken))
    return Room(bytes=max(there, 1.0), **_line(*points))


def refuse_large(atoms: int, edges: int, needed: Callable[[], float], device: torch.device) -> None:
    """Raise ValueError when energy and forces of a structure, `needed()` bytes, would take more than what is free."""
    free = free_bytes(device)
    if free is None or GENEROUS_EVALUATION * max(atoms, edges) <= free:
        return
    taken = needed()
    if taken > free:
        raise _too_large(f"{atoms:,} atoms with {edges:,} neighbors", "energy and forces", taken, free)


def _too_large(subject: str, what: str, needed: float, there: float) -> ValueError:
    """What is said of a structure that is not begun."""
    return ValueError(
        f"{subject} would need {in_words(needed)} for {what}, and {in_words(there)} can be taken.\n"
        "Take fewer atoms, a smaller model or cutoff, float32, or a machine with more memory. "
        f"{VARIABLE}=GB says how much may be taken; {VARIABLE}=inf tries it all the same."
    )


def _line(few: Sequence[int], many: Sequence[int], thin: Sequence[int]) -> dict[str, float]:
    """Slopes and intercept from (atoms, edges, bytes); without neighbors everything is of the atoms."""
    atoms, edges, taken = (b - a for a, b in zip(few, many, strict=True))
    edge = max(many[2] - thin[2], 0) / (many[1] - thin[1]) if many[1] > thin[1] else 0.0
    atom = max(taken - edge * edges, 0) / atoms
    return {"edge": edge, "atom": atom, "fixed": max(few[2] - edge * few[1] - atom * few[0], 0.0)}


def specimen(large: Graph) -> Graph:
    """A structure to measure on: this one, or a small liquid with as many neighbors and the same labels, all zero."""
    frame = large.frame
    if frame.num_atoms <= LARGEST:
        return large
    volume = volume_per_atom(large.cutoff, max(large.num_edges / large.num_atoms, 1.0))
    small = liquid(np.unique(frame.numbers).tolist(), SIDE, volume, charge=frame.charge, spin=frame.spin)
    labels = {
        n: np.zeros((small.num_atoms, *v.shape[1:]) if v.shape[:1] == (frame.num_atoms,) else v.shape)
        for n, v in frame.labels.items()
    }
    vectors = {n: small.vectors[n] for n in frame.vectors}
    pbc = np.full(3, frame.pbc.all())
    return graph(replace(small, pbc=pbc, vectors=vectors, labels=labels), large.cutoff)
