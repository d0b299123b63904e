"""Forces and stress against finite differences; second derivatives and the gradient of a loss on forces."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from torch import Tensor

from equipot.data.frame import Frame
from equipot.data.neighbors import neighbor_list
from equipot.potential import Potential
from equipot.testing.compare import FLOOR, Residuals, deviation, scale
from equipot.testing.evaluation import as_frame, batch, energies, predict

# f'(0) ≈ Σ_k w_k f(k h) / h, error h⁴ f⁽⁵⁾/30
_STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))


def forces_by_differences(
    potential: Potential,
    structure: Frame | Atoms,
    step: float = 5e-5,
    max_components: int = 60,
    seed: int = 0,
) -> float:
    """Largest |F + ΔE/Δr| relative to the largest force, over at most `max_components` random components.

    Atoms with a pair about to cross the cutoff are left out: the curvature of a cosine envelope jumps there,
    which a difference sees and a derivative does not. `cutoff_jump` looks there.
    Near a vanishing vector the norms of a model bend within 1e-3 Å: the step must be shorter than that.
    """
    frame = as_frame(structure)
    allowed = np.flatnonzero(~_near_cutoff(frame, potential.cutoff, 4 * step))
    components = [(int(a), axis) for a in allowed for axis in range(3)]
    drawn = np.random.default_rng(seed).permutation(len(components))[:max_components]
    components = [components[i] for i in drawn]
    if not components:
        raise ValueError(f"{frame.where}: every atom has a neighbour within {4 * step} Å of the cutoff.")
    forces = predict(potential, frame).forces
    assert forces is not None
    found = torch.stack([forces[a, axis] for a, axis in components]).cpu()
    moved = [_displaced(frame, a, axis, k * step) for a, axis in components for k, _ in _STENCIL]
    expected = -_derivative(energies(potential, moved), step)
    return deviation(found, expected, max(float(forces.abs().max()), FLOOR * scale(potential, "forces")))


def stress_by_differences(potential: Potential, structure: Frame | Atoms, step: float = 2e-5) -> float:
    """Largest |σ − ΔE/Δε / V| over the six strains, relative to the largest stress.

    The step is short because a strain moves many pairs through the cutoff at once (see
    `forces_by_differences`).
    """
    frame = as_frame(structure)
    stress = predict(potential, frame).stress
    if stress is None:
        raise ValueError(f"{frame.where}: stress needs three periodic directions.")
    pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    moved = [_strained(frame, i, j, k * step) for i, j in pairs for k, _ in _STENCIL]
    expected = _derivative(energies(potential, moved), step) / frame.volume()
    found = torch.stack([stress[0, i, j] for i, j in pairs]).cpu()
    smallest = FLOOR * scale(potential, "stress")
    return max(deviation(found, expected, smallest), deviation(stress, stress.transpose(1, 2), smallest))


def virials_sum(potential: Potential, structure: Frame | Atoms) -> float:
    """|Σ_i W_i + V σ| relative to the largest virial of an atom."""
    frame = as_frame(structure)
    found = predict(potential, frame)
    if found.stress is None or found.virials is None:
        raise ValueError(f"{frame.where}: stress needs three periodic directions.")
    total = found.virials.sum(0)
    if potential.inputs:  # which take up angular momentum: the antisymmetric part is theirs
        total = (total + total.T) / 2
    difference = total + frame.volume() * found.stress[0]
    value = float(difference.abs().max()) / max(
        float(found.virials.abs().max()), FLOOR * scale(potential, "virials")
    )
    return value if math.isfinite(value) else math.inf


def hessian(potential: Potential, structure: Frame | Atoms) -> Float[Tensor, "coordinates coordinates"]:
    """∂²E/∂r∂r of one structure by differentiating twice, eV/Å²."""
    systems = batch(potential, [as_frame(structure)])
    positions = systems.positions.clone().requires_grad_(True)
    with torch.enable_grad():
        out = potential(systems.with_positions(positions), targets={"energy"})
        assert out.energy is not None
        (gradient,) = torch.autograd.grad(out.energy.sum(), positions, create_graph=True)
        rows = [
            torch.autograd.grad(g, positions, retain_graph=True, allow_unused=True)[0]
            if g.requires_grad
            else None
            for g in gradient.flatten()
        ]
    zero = torch.zeros_like(positions)
    return torch.stack([(zero if row is None else row).flatten() for row in rows]).detach()


def second_derivatives(potential: Potential, structure: Frame | Atoms, seed: int = 0) -> Residuals:
    """Asymmetry of the Hessian, and H v against differences of forces along a random v."""
    frame = as_frame(structure)
    matrix = hessian(potential, frame).cpu()
    smallest = FLOOR * scale(potential, "forces")
    step = 1e-4 / math.sqrt(frame.num_atoms)  # norms bend within 1e-3 Å where a vector nearly vanishes
    v = torch.from_numpy(np.random.default_rng(seed).normal(size=(frame.num_atoms, 3)))
    moved = [replace(frame, positions=frame.positions + k * step * v.numpy()) for k, _ in _STENCIL]
    forces = [predict(potential, f).forces for f in moved]
    along = -sum(w * f.cpu() for (_, w), f in zip(_STENCIL, forces, strict=True) if f is not None) / step
    return {
        "asymmetry": deviation(matrix, matrix.T, smallest),
        "differences": deviation((matrix @ v.flatten()).view(-1, 3), torch.as_tensor(along), smallest),
    }


def force_loss_gradients(potential: Potential, structures: Sequence[Frame | Atoms]) -> list[Tensor]:
    """∂(Σ F² + Σ E)/∂weight for every weight, zero where it has none: what training on forces needs, as it computes."""
    systems, mode = batch(potential, [as_frame(s) for s in structures]), potential.training
    out = potential.train()(systems, forces=True, targets={"energy"}, create_graph=True)
    potential.train(mode)
    assert out.forces is not None and out.energy is not None
    loss = out.forces.square().sum() + out.energy.sum()
    weights = [p for p in potential.parameters() if p.requires_grad]
    return list(torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True))


def force_loss_gradient(potential: Potential, structures: Sequence[Frame | Atoms]) -> float:
    """Largest |∂(Σ F² + Σ E)/∂weight|: what training on forces needs to be finite. Infinity if it is not."""
    gradients = force_loss_gradients(potential, structures)
    largest = max((float(g.abs().max()) for g in gradients), key=_order, default=0.0)
    return largest if math.isfinite(largest) else math.inf


def _order(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _derivative(values: Tensor, step: float) -> Tensor:
    weights = torch.tensor([w for _, w in _STENCIL], dtype=values.dtype)
    return values.view(-1, len(_STENCIL)) @ weights / step


def _displaced(frame: Frame, atom: int, axis: int, by: float) -> Frame:
    positions = frame.positions.copy()
    positions[atom, axis] += by
    return replace(frame, positions=positions)


def _strained(frame: Frame, i: int, j: int, by: float) -> Frame:
    strain = np.zeros((3, 3))
    strain[i, j] += by / 2
    strain[j, i] += by / 2
    deform = np.eye(3) + strain
    return replace(frame, positions=frame.positions @ deform, cell=frame.cell @ deform)


def _near_cutoff(frame: Frame, cutoff: float, margin: float) -> np.ndarray:
    found = neighbor_list(frame.positions, frame.cell, frame.pbc, cutoff + margin)
    vectors = frame.positions[found.senders] + found.shifts @ frame.cell - frame.positions[found.receivers]
    crossing = np.abs(np.linalg.norm(vectors, axis=1) - cutoff) < margin
    near = np.zeros(frame.num_atoms, dtype=bool)
    near[found.receivers[crossing]] = True
    return near
