"""How the dipole of a system answers to its atoms: Born effective charges, learned or by differentiation."""

import torch
from jaxtyping import Float
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.potential.heads import BornCharges, Dipole
from equipot.potential.heads.charges import total_charge
from equipot.potential.potential import Potential


def born_charges(potential: Potential, batch: AtomicBatch) -> Float[Tensor, "atoms 3 3"]:
    """Z*[i, a, b] = ∂M_a/∂r_ib of every atom, e: of the target `born_charges`, else of the derivative of the dipole.

    A dipole about the center of mass does not move with the molecule; the share Q m_i/Σm of the total charge is added
    to each atom, so that Σ_i Z*_i = Q 1 in both cases. ValueError for a model that has neither target.
    """
    if "born_charges" in potential.heads:
        found = potential(batch, targets=["born_charges"]).born_charges
        assert found is not None
        return found
    if "dipole" not in potential.heads:
        raise ValueError(
            f"this model predicts {', '.join(potential.targets)}: no Born charges, and no dipole to differentiate. "
            "Train with targets.born_charges={} or targets.dipole={}."
        )
    return _derivative(potential, batch) + _carried(potential, batch)


def sum_rule_violation(potential: Potential, batch: AtomicBatch) -> Float[Tensor, "systems 3 3"]:
    """Σ_i Z*_i − Q 1, e, of what the head has learned, before it enforces the acoustic sum rule."""
    head = dict(potential.heads.items()).get("born_charges")
    if not isinstance(head, BornCharges):
        raise ValueError(f"this model predicts {', '.join(potential.targets)}, not Born charges.")
    with torch.no_grad():
        return head.excess(head.unconstrained(potential.features(batch), batch), batch)


def _derivative(potential: Potential, batch: AtomicBatch) -> Float[Tensor, "atoms 3 3"]:
    with torch.enable_grad():
        positions = batch.positions.detach().requires_grad_(True)
        dipole = potential(batch.with_positions(positions), targets=["dipole"]).dipole
        assert dipole is not None
        rows = [torch.autograd.grad(dipole[:, a].sum(), positions, retain_graph=a < 2)[0] for a in range(3)]
    return torch.stack(rows, dim=1)


def _carried(potential: Potential, batch: AtomicBatch) -> Float[Tensor, "atoms 3 3"]:
    """Q m_i/Σm 1 where the dipole is one about the center of mass, else zero."""
    head = potential.heads["dipole"]
    assert isinstance(head, Dipole)
    one = torch.eye(3).to(batch.positions)
    if head.target.form == "atomic" or head.target.origin != "center of mass":
        return torch.zeros_like(one).expand(batch.num_atoms, 3, 3)
    masses = head.centered.masses(batch.species)
    share = (total_charge(batch, head.total_charge) / batch.sum_over_systems(masses))[batch.system]
    return (share * masses)[:, None, None] * one
