"""The rate of the dipole from Born effective charges, dM/dt = Σ_i Z*_i v_i: no branch and no difference in time."""

import copy
from dataclasses import replace

import numpy as np
from ase import Atoms
from jaxtyping import Float

from equipot.data.collate import batch_of
from equipot.data.conditions import refuse_unseen
from equipot.data.frame import Frame
from equipot.potential import Potential, born_charges
from equipot.spectra.trajectory import Segment, Trajectory


def dipole_rate(
    charges: Float[np.ndarray, "*steps atoms 3 3"], velocities: Float[np.ndarray, "*steps atoms 3"]
) -> Float[np.ndarray, "*steps 3"]:
    """Σ_ib Z*[i, a, b] v_ib, e·Å/fs for velocities in Å/fs."""
    return np.einsum("...iab,...ib->...a", charges, velocities)


def with_dipole_rates(
    trajectory: Trajectory,
    potential: Potential,
    start: Atoms,
    atoms_at_once: int = 2000,
    source: str = "a model",
) -> Trajectory:
    """The trajectory with the rate of its dipole by the Born charges of a model, for runs that did not record it.

    Args:
        trajectory: positions and velocities; those of the total momentum need not be taken out.
        potential: a model of Born charges, or of a dipole, which is differentiated.
        start: any frame: elements, cell, total charge.
        atoms_at_once: size of the batches.
        source: name of the model, for the notes.
    """
    model = copy.deepcopy(potential).requires_grad_(False).eval()
    refuse_unseen(Frame.from_atoms(start), model.conditions_read)
    segments = tuple(_with_rate(s, model, start, atoms_at_once) for s in trajectory.segments)
    note = f"rate of the dipole from the Born charges of {source}, computed afterwards"
    return replace(trajectory, segments=segments, notes=(*trajectory.notes, note))


def _with_rate(segment: Segment, model: Potential, start: Atoms, atoms_at_once: int) -> Segment:
    size = max(1, atoms_at_once // len(start))
    rates = [
        dipole_rate(_charges(segment.positions[k : k + size], model, start), segment.velocities[k : k + size])
        for k in range(0, len(segment), size)
    ]
    return replace(segment, dipole_rate=np.concatenate(rates))


def _charges(
    positions: Float[np.ndarray, "steps atoms 3"], model: Potential, start: Atoms
) -> Float[np.ndarray, "steps atoms 3 3"]:
    frames = [
        Frame.from_atoms(_moved(start, x), source="trajectory", index=k) for k, x in enumerate(positions)
    ]
    batch = batch_of(frames, model.elements, model.cutoff).to(next(model.parameters()).device)
    return born_charges(model, batch).detach().double().cpu().numpy().reshape(*positions.shape, 3)


def _moved(start: Atoms, positions: np.ndarray) -> Atoms:
    atoms = start.copy()
    atoms.positions[:] = positions
    return atoms
