"""All fixed terms of a potential, as one energy of each atom."""

from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.potential.terms.config import TermsConfig
from equipot.potential.terms.zbl import ZBL


class EnergyTerm(Protocol):
    """What a term is: an energy of every atom, whose derivatives autograd takes with those of the model."""

    reach: float  # Å: pairs farther apart do not feel it

    def __call__(self, batch: AtomicBatch) -> Float[Tensor, " atoms"]:
        """Energies, eV, in float64."""
        ...


class Terms(nn.Module):
    """E_i = Σ_terms E_i^term, without any weight."""

    def __init__(self, config: TermsConfig, elements: Sequence[int], cutoff: float) -> None:
        super().__init__()
        self.parts = nn.ModuleList([ZBL(elements, cutoff)] if config.zbl else [])
        self.reach = max((float(term.reach) for term in self.parts), default=0.0)  # type: ignore[arg-type]

    def forward(self, batch: AtomicBatch) -> Float[Tensor, " atoms"]:
        """Energies, eV, in float64; zeros without a term."""
        total = batch.positions.new_zeros(batch.num_atoms)
        for term in self.parts:
            total = total + term(batch)
        return total

    def energy_and_forces(
        self, batch: AtomicBatch
    ) -> tuple[Float[Tensor, " systems"], Float[Tensor, "atoms 3"]]:
        """What the terms alone give, eV and eV/Å: to be taken off the labels before they are measured."""
        with torch.enable_grad():
            positions = batch.positions.detach().requires_grad_(True)
            energy = batch.sum_over_systems(self(batch.with_positions(positions)))
            if not energy.requires_grad:
                return energy, torch.zeros_like(positions)
            (gradient,) = torch.autograd.grad(energy.sum(), positions)
        return energy.detach(), -gradient
