"""The step that is differentiated: potential and loss as one module, so that DistributedDataParallel can wrap it."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.data.collate import Graph, collate
from equipot.evaluate.batches import batches
from equipot.nn.readout import EnergyReadout
from equipot.potential import Potential
from equipot.properties import Properties, from_items
from equipot.train.loss import Loss

FEW = 8  # structures that an untrained model is softened on


class Objective(nn.Module):
    """Loss of a batch, divided by the counts of all processes."""

    def __init__(self, potential: Potential, loss: Loss) -> None:
        super().__init__()
        self.potential, self.loss = potential, loss

    def forward(
        self, batch: AtomicBatch, labels: Properties, counts: Mapping[str, float], length: float
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The loss, and the part of every target in it."""
        names = [n for n, _ in labels.items()]
        predicted = self.potential(
            batch,
            forces="forces" in names,
            stress="stress" in names and counts["stress"] > 0 and bool(batch.pbc.all(-1).any()),
            targets=names,
            create_graph=True,
        )
        kept = {n: v for n, v in labels.items() if predicted.get(n) is not None}
        sums = self.loss.sums(predicted, from_items(kept), batch, length)
        return self.loss.total(sums, counts)


@torch.no_grad()
def soften(potential: Potential, graphs: Sequence[Graph], fraction: float = 0.1) -> None:
    """Scale the energy read-out so that the forces of an untrained model are a tenth of the labels' RMS.

    Measured on the first structures. A small start, yet not zero: a read-out of exactly zero would give the backbone
    no first gradient.
    """
    if "energy" not in potential.heads:
        return
    some = batches(potential, graphs[:FEW], ("energy", "forces"), math.inf)[0]
    batch = collate(some, potential.elements).to(next(potential.parameters()).device)
    forces = potential(batch, forces=True, targets=["energy"]).forces
    assert forces is not None
    rms = float(forces.pow(2).mean().sqrt())
    if rms > 0:
        readout = cast(EnergyReadout, potential.heads["energy"])
        readout.scale_by(fraction * potential.statistics.energy_scale / rms)
