"""Crystals whose phonons are known: two ions on springs, and a cell without any symmetry."""

import numpy as np

from equipot.spectra.derivatives import Derivatives
from equipot.spectra.harmonic import harmonic
from equipot.spectra.infrared import per_volume
from equipot.spectra.trajectory import Segment, Trajectory

CELL = np.array([[4.0, 0.0, 0.0], [0.5, 4.5, 0.0], [0.2, -0.3, 5.0]])
VOLUME = float(np.linalg.det(CELL))
NUMBERS, MASSES = np.array([14, 8, 8]), np.array([28.085, 15.999, 15.999])


def diatomic(spring=8.0, charge=2.0, infinite=2.5, masses=(23.0, 35.5)):
    """Cubic: one threefold mode, isotropic in everything."""
    pair = np.array([[1.0, -1.0], [-1.0, 1.0]])
    derivatives = Derivatives(
        hessian=spring * np.einsum("ij,ab->iajb", pair, np.eye(3)),
        dipole=charge * np.array([np.eye(3), -np.eye(3)]),
        static=(infinite - 1) * 100.0 / (4 * np.pi) * np.eye(3),
    )
    cell = 100.0 ** (1 / 3) * np.eye(3)
    return harmonic(
        derivatives, np.array([11, 17]), np.zeros((2, 3)), np.array(masses), rotations=False, cell=cell
    )


def irregular(seed=1, violated=0.0):
    """Three atoms whose derivatives have no symmetry but those that every crystal has."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(9, 9)) + 4 * np.eye(9)
    off = np.kron(np.eye(3) - 1 / 3, np.eye(3))
    hessian = off @ root @ root.T @ off
    charges = rng.normal(size=(3, 3, 3)) + np.array([3.0, -1.5, -1.5])[:, None, None] * np.eye(3)
    charges -= charges.mean(axis=0)
    slope = rng.normal(size=(3, 3, 3, 3))
    slope = slope + slope.transpose(0, 2, 1, 3)
    extra = rng.normal(size=(9, 9))
    alpha = np.diag([10.0, 11.0, 12.0]) + 0.5
    return Derivatives(
        hessian=(hessian + violated * (extra + extra.T)).reshape(3, 3, 3, 3),
        dipole=charges + violated * rng.normal(size=(3, 3, 3)),
        polarizability=slope - slope.mean(axis=0),
        static=alpha,
    )


def modes(derivatives):
    return harmonic(
        derivatives, NUMBERS, np.zeros((3, 3)), MASSES, rotations=False, cell=CELL, source="model"
    )


def vibrations(temperature=300.0, replicas=8, entries=4000, stride=0.5, seed=2):
    """Exact harmonic motion of the irregular crystal with k_BT in each mode, its dipole, and the rate of that."""
    from equipot import units
    from equipot.spectra.line import BOLTZMANN

    derivatives = irregular()
    found, rng = modes(derivatives), np.random.default_rng(seed)
    omega = 2 * np.pi * units.light * found.wavenumbers
    vectors = found.modes / np.sqrt(MASSES)[:, None]
    time = stride * np.arange(entries)
    amplitude = np.sqrt(2 * BOLTZMANN * temperature)
    segments = []
    for _ in range(replicas):
        phase = omega * time[:, None] + rng.uniform(0, 2 * np.pi, len(omega))
        x = np.einsum("tp,pia->tia", amplitude / omega * np.cos(phase), vectors)
        v = np.einsum("tp,pia->tia", -amplitude * np.sin(phase), vectors)
        dipole, rate = (np.einsum("iab,tib->ta", derivatives.dipole, y) for y in (x, v))
        segments.append(Segment(positions=x, velocities=v, dipole=dipole, dipole_rate=rate))
    return Trajectory(
        segments=tuple(segments),
        numbers=NUMBERS,
        masses=MASSES,
        temperature=temperature,
        step=stride,
        every=1,
        periodic=True,
        cell=CELL,
        source="lattice",
    )


def stick_area(found):
    """∫ n·α dν of all modes, cm⁻²."""
    return per_volume(VOLUME) * found.infrared.sum()
