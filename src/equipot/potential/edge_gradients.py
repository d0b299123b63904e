"""Energies of atoms, and their derivatives with respect to the edge vectors: what a divided system is made of."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.potential.potential import Potential


def edge_gradients(
    potential: Potential, batch: AtomicBatch, weights: Float[Tensor, " atoms"] | None = None
) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "edges 3"]]:
    """E_i, eV, and g_ij = ∂E/∂r_ij, eV/Å, for every edge of the batch.

    E is the energy of the whole system, also where the batch holds a part of it and a halo the rest: gradients pass
    through the halo. With `weights`, E is Σ w_i E_i: one for atoms that are owned, zero for copies. Forces and virial
    follow, F_i = Σ_j (g_ij − g_ji) and −Σ_ij r_ij ⊗ g_ij.
    """
    vectors = batch.vectors().detach().requires_grad_(True)
    with torch.enable_grad():
        out = potential(replace(batch, edge_vectors=vectors), targets=("energy",))
        assert out.atomic_energies is not None
        counted = out.atomic_energies if weights is None else out.atomic_energies * weights
        (gradient,) = torch.autograd.grad(counted.sum(), vectors)
    return out.atomic_energies.detach(), gradient


def refusal(potential: Potential) -> str | None:
    """Why the energy of this potential cannot be divided among processes; None where it can."""
    if "energy" not in potential.targets:
        return "it predicts no energy"
    if potential.conditions_read:
        return f"it reads the {' and the '.join(potential.conditions_read)} of the whole system"
    if potential.inputs:
        return f"it reads {', '.join(potential.inputs)} of the atoms"
    norms = any(type(module).__name__ == "InstanceNorm" for module in potential.modules())
    return "it normalizes features over all atoms of a system (norm: instance)" if norms else None
