"""Targets and derivatives by name."""

from collections.abc import Sequence

import torch

from equipot.batch import AtomicBatch
from equipot.data.collate import Graph, collate
from equipot.potential import Potential
from equipot.properties import Properties, from_items


def predict(potential: Potential, graphs: Sequence[Graph], names: Sequence[str]) -> Properties:
    """Evaluate targets and derivatives by name for some structures, without a graph."""
    batch = collate(graphs, potential.elements).to(next(potential.parameters()).device)
    return with_absent(predict_batch(potential, batch, names), batch, names)


def predict_batch(potential: Potential, batch: AtomicBatch, names: Sequence[str]) -> Properties:
    """The same for a batch that exists; no stress where no system is periodic."""
    stress = "stress" in names and bool(batch.pbc.all(-1).any())
    with torch.no_grad():
        return potential(batch, forces="forces" in names, stress=stress, targets=names)


def with_absent(found: Properties, batch: AtomicBatch, names: Sequence[str]) -> Properties:
    """With a stress of NaN where no system of the batch is periodic."""
    if "stress" not in names or found.get("stress") is not None:
        return found
    return from_items({**dict(found.items()), "stress": torch.full_like(batch.cell, torch.nan)})
