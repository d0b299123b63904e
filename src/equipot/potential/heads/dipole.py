"""Dipole moments from charges and atomic dipoles."""

from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.potential.heads.charges import total_charge
from equipot.potential.heads.gated import GatedReadout
from equipot.potential.origin import CenteredPositions, refuse_periodic
from equipot.potential.targets import DipoleTarget
from equipot.statistics import TargetStatistics
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps


class Dipole(nn.Module):
    """μ = Σ_i μ_i(v_i) + q(s_i) (r_i − R), with Σ_i q_i = Q.

    Schütt, Unke, Gastegger, ICML 2021, Eq. 11. For a neutral system the origin R drops out; for a charged one it is
    part of the definition and is stored with the model.
    """

    def __init__(
        self,
        irreps: Irreps,
        target: DipoleTarget,
        statistics: TargetStatistics,
        elements: tuple[int, ...],
        total_charge: float | None,
    ) -> None:
        super().__init__()
        self.target, self.scale, self.total_charge = target, statistics.scales[0], total_charge
        self.readout = GatedReadout(irreps, 1, 1)
        self.centered = CenteredPositions(elements)

    def forward(self, features: Features, batch: AtomicBatch) -> Float[Tensor, "systems 3"]:
        """Dipole moment, e·Å."""
        charges, dipoles = self.readout(features)
        moment = batch.positions.new_zeros(batch.num_atoms, 3)
        if self.target.form != "charges":
            moment = moment + self.scale * dipoles[..., 0].double()
        if self.target.form != "atomic":
            refuse_periodic(batch, "The dipole of charges", "Train with targets.dipole.form=atomic.")
            positions = self.centered(batch) if self.target.origin == "center of mass" else batch.positions
            moment = moment + self._conserved(charges[:, 0], batch)[:, None] * positions
        return batch.sum_over_systems(moment)

    def _conserved(self, raw: Float[Tensor, " atoms"], batch: AtomicBatch) -> Float[Tensor, " atoms"]:
        charges = self.scale * raw.double()
        excess = total_charge(batch, self.total_charge) - batch.sum_over_systems(charges)
        return charges + (excess / batch.atoms_per_system())[batch.system]
