"""Partial charges whose sum is the total charge."""

from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch, readable
from equipot.nn.dense import mlp
from equipot.potential.per_element import PerElement
from equipot.statistics import TargetStatistics
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps


class Charges(nn.Module):
    """q_i = MLP(s_i), then shifted alike on all atoms of a system so that Σ_i q_i = Q.

    Schütt, Unke, Gastegger, ICML 2021, section 4.3.
    """

    def __init__(self, irreps: Irreps, statistics: TargetStatistics, total_charge: float | None) -> None:
        super().__init__()
        channels = irreps.channels("0e")
        self.readout = mlp(channels, max(channels // 2, 1), 1)
        self.scale = statistics.scales[0]
        self.baseline = PerElement(statistics.baseline)
        self.total_charge = total_charge

    def forward(self, features: Features, batch: AtomicBatch) -> Float[Tensor, " atoms"]:
        """Charges, e."""
        raw = self.readout(features.scalars)[:, 0].double() * self.scale + self.baseline(batch.species)
        excess = total_charge(batch, self.total_charge) - batch.sum_over_systems(raw)
        return raw + (excess / batch.atoms_per_system())[batch.system]


def total_charge(batch: AtomicBatch, declared: float | None) -> Float[Tensor, " systems"]:
    """Total charge of every system, e: its own, or the one that the model was declared for."""
    if batch.charge is None:
        if declared is None:
            raise ValueError(
                "this model needs the total charge of every system and a frame does not give it. Add charge=... to the"
                " frame, or train with targets.total_charge=0 if all of them are neutral."
            )
        return batch.positions.new_full((batch.num_systems,), declared)
    if declared is not None and readable(batch.charge) and bool((batch.charge != declared).any()):
        found = sorted(set(batch.charge.tolist()))
        raise ValueError(f"this model was declared for systems of charge {declared:g}; found {found}.")
    return batch.charge
