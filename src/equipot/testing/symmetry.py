"""Rotation, reflection, translation, permutation, and independence of batching and memory."""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from equipot.data.atomic_vectors import rotated
from equipot.data.frame import Frame
from equipot.potential import Potential
from equipot.properties import from_items
from equipot.testing.compare import Residuals, compare
from equipot.testing.evaluation import as_frame, batch, declared_charge, evaluate, map_atoms, predict
from equipot.testing.transformations import transformed


def rotation(potential: Potential, structure: Frame | Atoms, seed: int = 0) -> Residuals:
    """f(R r) against R f(r) for a random rotation."""
    return _orthogonal(potential, as_frame(structure), _random_rotation(seed))


def reflection(potential: Potential, structure: Frame | Atoms, seed: int = 0) -> Residuals:
    """f(M r) against M f(r) for the mirror image at a random plane: the parity of every target."""
    normal = _random_rotation(seed)[0]
    return _orthogonal(potential, as_frame(structure), np.eye(3) - 2 * np.outer(normal, normal))


def translation(potential: Potential, structure: Frame | Atoms, seed: int = 0) -> Residuals:
    """f(r + t) against f(r); a dipole measured from the origin of the coordinates moves by Q t."""
    frame = as_frame(structure)
    shift = np.random.default_rng(seed).uniform(-5, 5, size=3)
    expected = predict(potential, frame)
    dipole = potential.config.targets.dipole
    if expected.dipole is not None and dipole is not None and dipole.form != "atomic":
        charge = declared_charge(potential) if frame.charge is None else frame.charge
        if dipole.origin == "coordinates":
            expected = replace(
                expected, dipole=expected.dipole + charge * torch.tensor(shift).to(expected.dipole)
            )
    return compare(potential, predict(potential, replace(frame, positions=frame.positions + shift)), expected)


def periodic_images(potential: Potential, structure: Frame | Atoms, seed: int = 0) -> Residuals:
    """Nothing changes when every atom is replaced by another of its periodic images."""
    frame = as_frame(structure)
    shifts = np.random.default_rng(seed).integers(-2, 3, size=(frame.num_atoms, 3)) * frame.pbc
    moved = replace(frame, positions=frame.positions + shifts @ frame.cell)
    return compare(potential, predict(potential, moved), predict(potential, frame))


def permutation(potential: Potential, structure: Frame | Atoms, seed: int = 0) -> Residuals:
    """Properties follow their atoms when these are numbered otherwise."""
    frame = as_frame(structure)
    order = np.random.default_rng(seed).permutation(frame.num_atoms)
    permuted = replace(
        frame,
        numbers=frame.numbers[order],
        positions=frame.positions[order],
        vectors={name: v[order] for name, v in frame.vectors.items()},
    )
    expected = map_atoms(potential, predict(potential, frame), lambda value: value[torch.from_numpy(order)])
    return compare(potential, predict(potential, permuted), expected)


def batch_composition(potential: Potential, structures: Sequence[Frame | Atoms]) -> Residuals:
    """A batch against a loop over its systems."""
    frames = [as_frame(s) for s in structures]
    together = predict(potential, *frames)
    names = dict(together.items()).keys()
    alone = [dict(predict(potential, frame).items()) for frame in frames]
    expected = from_items({name: torch.cat([one[name] for one in alone]) for name in names})
    return compare(potential, together, expected)


def edge_order(potential: Potential, structure: Frame | Atoms, seed: int = 0) -> Residuals:
    """The order of an atom's neighbours does not matter."""
    systems = batch(potential, [as_frame(structure)])
    generator = torch.Generator().manual_seed(seed)
    keys = torch.rand(systems.receivers.shape[0], generator=generator, dtype=torch.float64).to(
        systems.receivers.device
    )
    order = torch.argsort(systems.receivers + keys)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    shuffled = replace(
        systems,
        senders=systems.senders[order],
        receivers=systems.receivers[order],
        shifts=systems.shifts[order],
        reverse=place[systems.reverse[order]],
    )
    return compare(potential, evaluate(potential, shuffled), evaluate(potential, systems))


def memory_layout(potential: Potential, structure: Frame | Atoms) -> Residuals:
    """Strided and transposed inputs are the same inputs."""
    systems = batch(potential, [as_frame(structure)])
    values = {f.name: getattr(systems, f.name) for f in fields(systems)}
    spread = replace(systems, **{n: _strided(v) for n, v in values.items() if v is not None})
    return compare(potential, evaluate(potential, spread), evaluate(potential, systems))


def _strided(value: Tensor) -> Tensor:
    """The same numbers, every second element of twice the memory, last axis first."""
    transposed = value.movedim(-1, 0)
    return torch.stack([transposed, transposed], dim=-1)[..., 0].movedim(0, -1)


def _orthogonal(potential: Potential, frame: Frame, matrix: np.ndarray) -> Residuals:
    turned = replace(
        frame,
        positions=frame.positions @ matrix.T,
        cell=frame.cell @ matrix.T,
        vectors=rotated(frame.vectors, matrix),
    )
    before = predict(potential, frame)
    expected = transformed(before.to("cpu"), potential.config.targets, torch.from_numpy(matrix))
    return compare(potential, predict(potential, turned).to("cpu"), expected)


def _random_rotation(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q
