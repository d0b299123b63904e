"""What is conserved: momentum, angular momentum, charge."""

import math

import torch
from ase import Atoms
from torch import Tensor

from equipot.data.frame import Frame
from equipot.potential import Potential
from equipot.testing.compare import FLOOR, scale
from equipot.testing.evaluation import as_frame, declared_charge, predict


def net_force(potential: Potential, structure: Frame | Atoms) -> float:
    """|Σ F| relative to the largest force."""
    forces = predict(potential, as_frame(structure)).forces
    assert forces is not None
    return _relative(forces, scale(potential, "forces"))


def net_torque(potential: Potential, structure: Frame | Atoms) -> float:
    """|Σ r × F| relative to the largest |r × F|; of a molecule, since a lattice holds the rest."""
    frame = as_frame(structure)
    if frame.pbc.any():
        raise ValueError(f"{frame.where}: the torque on the atoms of a periodic system need not vanish.")
    forces = predict(potential, frame).forces
    assert forces is not None
    arms = torch.from_numpy(frame.positions - frame.positions.mean(axis=0)).to(forces)
    torques = torch.linalg.cross(arms, forces)
    return _relative(torques, scale(potential, "forces"))


def total_charge_error(potential: Potential, structure: Frame | Atoms) -> float:
    """|Σ q − Q|, e."""
    frame = as_frame(structure)
    charges = predict(potential, frame).charges
    if charges is None:
        raise ValueError(f"this model predicts {', '.join(potential.targets)}, not charges.")
    wanted = declared_charge(potential) if frame.charge is None else frame.charge
    return abs(float(charges.sum()) - wanted)


def acoustic_sum_error(potential: Potential, structure: Frame | Atoms) -> float:
    """|Σ Z* − Q 1|, e, the largest component."""
    frame = as_frame(structure)
    charges = predict(potential, frame).born_charges
    if charges is None:
        raise ValueError(f"this model predicts {', '.join(potential.targets)}, not Born charges.")
    wanted = declared_charge(potential) if frame.charge is None else frame.charge
    return float((charges.sum(0) - wanted * torch.eye(3).to(charges)).abs().max())


def _relative(terms: Tensor, unit: float) -> float:
    value = float(terms.sum(0).abs().max()) / max(float(terms.abs().max()), FLOOR * unit)
    return value if math.isfinite(value) else math.inf
