"""Segments made ready: without total momentum, in the frame asked for, with their degrees of freedom."""

from dataclasses import dataclass, replace

import numpy as np
from ase.data import chemical_symbols

from equipot.spectra.frames import centered, eckart_rotations, rotate_tensors, rotate_vectors
from equipot.spectra.harmonic import Harmonic, rigid_motions
from equipot.spectra.line import BOLTZMANN
from equipot.spectra.trajectory import Segment, Trajectory

_LINEAR = 1e-2  # extent across the axis, of that along it
_FROZEN = 0.01  # of k_BT: less rotational energy than this is none


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Segments without total momentum, in the frame asked for."""

    segments: tuple[Segment, ...]  # velocities in the laboratory frame
    internal: tuple[np.ndarray, ...]  # positions in the Eckart frame, else empty
    masses: np.ndarray
    elements: tuple[str, ...]
    periodic: bool
    cell: np.ndarray | None  # Å


def prepare(
    trajectory: Trajectory, frame: str, harmonic: Harmonic | None
) -> tuple[Prepared, tuple[str, ...]]:
    """The segments as spectra need them, and a note on the frame."""
    masses = trajectory.masses
    segments = tuple(_without_momentum(s, masses) for s in trajectory.segments)
    internal: tuple[np.ndarray, ...] = ()
    notes: tuple[str, ...] = ()
    if frame == "eckart":
        reference, where = _reference(trajectory, harmonic)
        _check_not_linear(reference, trajectory)
        notes = (f"Eckart frame of {where}",)
        pairs = [_in_eckart_frame(s, reference, masses) for s in segments]
        segments, internal = tuple(s for s, _ in pairs), tuple(x for _, x in pairs)
    elements = tuple(chemical_symbols[z] for z in trajectory.numbers)
    prepared = Prepared(
        segments=segments,
        internal=internal,
        masses=masses,
        elements=elements,
        periodic=trajectory.periodic,
        cell=trajectory.cell,
    )
    return prepared, notes


def _reference(trajectory: Trajectory, harmonic: Harmonic | None) -> tuple[np.ndarray, str]:
    if harmonic is None:
        return trajectory.segments[0].positions[0], "the first frame"
    if not np.array_equal(harmonic.numbers, trajectory.numbers):
        raise ValueError(
            f"{trajectory.source}: the harmonic geometry has other atoms, or another order, than the "
            "trajectory."
        )
    return harmonic.positions, "the harmonic minimum"


def _check_not_linear(reference: np.ndarray, trajectory: Trajectory) -> None:
    spread = np.linalg.svd(reference - reference.mean(axis=0), compute_uv=False)
    if len(spread) < 2 or spread[1] < _LINEAR * spread[0]:
        raise ValueError(
            f"{trajectory.source}: a linear molecule may turn about its axis, so it has no Eckart frame. "
            "Use frame='lab'."
        )


def _without_momentum(segment: Segment, masses: np.ndarray) -> Segment:
    drift = np.einsum("i,tia->a", masses, segment.velocities) / masses.sum() / len(segment)
    return replace(segment, velocities=segment.velocities - drift)


def _in_eckart_frame(
    segment: Segment, reference: np.ndarray, masses: np.ndarray
) -> tuple[Segment, np.ndarray]:
    rotations = eckart_rotations(segment.positions, reference, masses)
    dipole, alpha = segment.dipole, segment.polarizability
    turned = replace(
        segment,
        dipole=None if dipole is None else rotate_vectors(rotations, dipole),
        polarizability=None if alpha is None else rotate_tensors(rotations, alpha),
    )
    return turned, rotate_vectors(rotations, centered(segment.positions, masses))


def degrees_of_freedom(trajectory: Trajectory, prepared: Prepared, frame: str, temperature: float) -> int:
    """Expected integral of the power spectrum.

    Three less than 3N without total momentum; without rotation too (6, or 5 if linear) in the
    Eckart frame, or where the run has no angular momentum.
    """
    count = 3 * len(trajectory.masses)
    if trajectory.periodic:
        return count - 3
    if frame == "eckart" or _rotational_energy(prepared) < _FROZEN * BOLTZMANN * temperature:
        motions = rigid_motions(trajectory.segments[0].positions[0], trajectory.masses)
        singular = np.linalg.svd(motions, compute_uv=False)
        return count - int(np.sum(singular > 1e-4 * singular[0]))
    return count - 3


def _rotational_energy(prepared: Prepared) -> float:
    """Mean kinetic energy of rigid rotation, amu Å²/fs²; zero for an atom."""
    energies = []
    for segment in prepared.segments:
        r = centered(segment.positions, prepared.masses)
        spin = np.einsum("i,tia->ta", prepared.masses, np.cross(r, segment.velocities))
        second = np.einsum("i,tia,tib->tab", prepared.masses, r, r)
        inertia = np.trace(second, axis1=1, axis2=2)[:, None, None] * np.eye(3) - second
        inverse = np.linalg.pinv(inertia, rcond=1e-6, hermitian=True)
        energies.append(0.5 * np.einsum("ta,tab,tb->t", spin, inverse, spin).mean())
    return float(np.mean(energies))
