"""A potential as a model of TorchSim: energies, forces and stresses of many systems in one call."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from torch_sim.models.interface import ModelInterface  # pyright: ignore[reportMissingImports]  # Python 3.12
from torch_sim.state import SimState  # pyright: ignore[reportMissingImports]

from equipot.engines.torchsim.batching import Batching, Systems
from equipot.potential import Potential, frozen
from equipot.properties import Properties


class TorchSimModel(ModelInterface):
    """What TorchSim integrates, relaxes and batches.

    Stress is there for states that are periodic in three directions. Charge and multiplicity are system extras of the
    state, `charge` and `spin`, for a model that reads them.

    Args:
        potential: the model; a frozen copy is used.
        device: where to compute; where the potential is when None.
        also: further properties that every evaluation gives, such as the dipole.
        skin: Å beyond the cutoff; the neighbor list of a system is used again until it has moved too far.
    """

    def __init__(
        self,
        potential: Potential,
        device: torch.device | str | None = None,
        also: Collection[str] = (),
        skin: float = 0.5,
    ) -> None:
        super().__init__()
        if "velocities" in potential.inputs:
            raise ValueError(
                "this model reads velocities, which TorchSim does not give it. Use the engine ase."
            )
        self.potential = frozen(potential)
        self.potential.to(next(potential.parameters()).device if device is None else device)
        self._device, self._dtype = next(self.potential.parameters()).device, torch.float64
        self._compute_forces = self._compute_stress = True
        self.also: tuple[str, ...] = tuple(also)
        self.batching = Batching(potential, skin)
        self.found: Properties | None = None  # of the last evaluation

    @ModelInterface.compute_stress.setter
    def compute_stress(self, compute_stress: bool) -> None:
        """Leave the stress out, or not."""
        self._compute_stress = compute_stress

    @ModelInterface.compute_forces.setter
    def compute_forces(self, compute_forces: bool) -> None:
        """Leave the forces out, or not."""
        self._compute_forces = compute_forces

    def forward(self, state: SimState, **kwargs: Any) -> dict[str, Tensor]:
        """Energy [systems], forces [atoms, 3], stress [systems, 3, 3] in eV and Å, and what `also` names."""
        batch = self.batching.batch(systems_of(state))
        stress = self._compute_stress and bool(state.pbc.all())
        with torch.no_grad():
            found = self.potential(
                batch, forces=self._compute_forces, stress=stress, targets={"energy", *self.also}
            )
        assert found.energy is not None
        broken = (~torch.isfinite(found.energy)).nonzero().flatten()
        if len(broken):
            raise ValueError(
                f"the model predicts energy = {float(found.energy[broken[0]])} for system {int(broken[0])}."
            )
        self.found = found
        names = {"energy", *self.also, *["forces"] * self._compute_forces, *["stress"] * stress}
        return {name: value.to(state.dtype) for name, value in found.items() if name in names}


def systems_of(state: SimState) -> Systems:
    """The tensors of a state; its cells are columns, ours are rows."""
    extras = state.system_extras
    return Systems(
        positions=state.positions,
        cell=state.row_vector_cell,
        pbc=state.pbc,
        numbers=state.atomic_numbers,
        system=state.system_idx,
        charge=extras.get("charge"),
        spin=extras.get("spin"),
    )
