"""A bent three-atom molecule of springs and point charges, with everything known."""

import json

import ase.io
import numpy as np
from ase import Atoms

from equipot import units
from equipot.spectra.derivatives import Response, central_differences
from equipot.spectra.harmonic import harmonic
from equipot.spectra.line import BOLTZMANN
from equipot.spectra.trajectory import VELOCITY, Segment, Trajectory

NUMBERS = np.array([8, 1, 1])
MASSES = np.array([15.999, 1.008, 1.008])
CHARGES = np.array([-0.7, 0.35, 0.35])
ANGLE = np.deg2rad(104.5)
POSITIONS = 0.96 * np.array(
    [
        [0.0, 0.0, 0.0],
        [np.sin(ANGLE / 2), np.cos(ANGLE / 2), 0.0],
        [-np.sin(ANGLE / 2), np.cos(ANGLE / 2), 0.0],
    ]
)
POSITIONS = POSITIONS - MASSES @ POSITIONS / MASSES.sum()
PAIRS = ((0, 1), (0, 2), (1, 2))
SPRINGS = (48.5, 48.5, 9.3)  # eV/Å²
LENGTHS = tuple(float(np.linalg.norm(POSITIONS[i] - POSITIONS[j])) for i, j in PAIRS)
BONDS = ((1.2, 0.9), (1.2, 0.9), (0.3, 0.1))  # Å³ along the pair, and its slope, Å²


def forces(positions):
    """Of positions [..., 3, 3], eV/Å."""
    out = np.zeros_like(positions)
    for (i, j), k, length in zip(PAIRS, SPRINGS, LENGTHS, strict=True):
        bond = positions[..., j, :] - positions[..., i, :]
        r = np.sqrt(np.sum(bond**2, axis=-1, keepdims=True))
        pull = k * (r - length) * bond / r
        out[..., i, :] += pull
        out[..., j, :] -= pull
    return out


def dipole(positions):
    return np.einsum("i,...ia->...a", CHARGES, positions)


def polarizability(positions):
    alpha = np.broadcast_to(0.8 * np.eye(3), (*positions.shape[:-2], 3, 3)).copy()
    for (i, j), (value, slope), length in zip(PAIRS, BONDS, LENGTHS, strict=True):
        bond = positions[..., j, :] - positions[..., i, :]
        r = np.sqrt(np.sum(bond**2, axis=-1))[..., None, None]
        n = bond[..., :, None] * bond[..., None, :] / r**2
        alpha += (value + slope * (r - length)) * n + 0.3 * slope * (r - length) * np.eye(3)
    return alpha


def response(positions):
    return Response(
        forces=forces(positions), dipole=dipole(positions), polarizability=polarizability(positions)
    )


def modes():
    """Normal modes at the minimum."""
    return harmonic(central_differences(POSITIONS, response, step=1e-3), NUMBERS, POSITIONS, MASSES)


def starts(temperature, replicas, rng):
    """Positions and velocities (Å/fs) with k_BT in every mode, phases evenly spread; no rotation."""
    found = modes()
    turns = np.stack([rng.permutation(replicas) for _ in range(3)], axis=1) + rng.uniform(size=3)
    phases = 2 * np.pi * turns / replicas
    omega = 2 * np.pi * units.light * found.wavenumbers
    amplitude = np.sqrt(2 * BOLTZMANN * temperature)
    vectors = found.modes / np.sqrt(MASSES)[:, None]
    x = POSITIONS + np.einsum("rp,pia->ria", amplitude / omega * np.cos(phases), vectors)
    return x, np.einsum("rp,pia->ria", -amplitude * np.sin(phases), vectors)


def dynamics(x, v, step, steps, every=1):
    """Velocity Verlet of all replicas at once: positions and velocities [replicas, entries, 3, 3]."""
    scale = units.acceleration / MASSES[:, None]
    xs, vs = [], []
    a = forces(x) * scale
    for t in range(steps):
        if t % every == 0:
            xs.append(x)
            vs.append(v)
        half = v + 0.5 * step * a
        x = x + step * half
        a = forces(x) * scale
        v = half + 0.5 * step * a
    return np.stack(xs, axis=1), np.stack(vs, axis=1)


def trajectory(temperature, replicas, steps, step=0.5, every=2, seed=1, **changes):
    """Dynamics of the molecule with everything a spectrum needs."""
    rng = np.random.default_rng(seed)
    xs, vs = dynamics(*starts(temperature, replicas, rng), step, steps, every)
    segments = tuple(
        Segment(positions=x, velocities=v, dipole=dipole(x), polarizability=polarizability(x))
        for x, v in zip(xs, vs, strict=True)
    )
    known = {"temperature": temperature, "step": step, "every": every, "source": "bent"}
    return Trajectory(segments=segments, numbers=NUMBERS, masses=MASSES, **(known | changes))


def write_run(folder, made, **changes):
    """A trajectory as the folder that a run leaves."""
    folder.mkdir(exist_ok=True)
    document = {
        "engine": "test",
        "model_hash": "abc",
        "ensemble": "nve",
        "temperature": made.temperature,
        "dt": made.step,
        "stride": made.every,
        "masses": MASSES.tolist(),
        "phases": [{"name": "nvt", "steps": 100}, {"name": "nve", "steps": 1000}],
    }
    (folder / "md.json").write_text(json.dumps(document | changes))
    for index, segment in enumerate(made.segments):
        frames = []
        for t in range(len(segment)):
            atoms = Atoms(NUMBERS, segment.positions[t])
            atoms.arrays["momenta"] = segment.velocities[t] * MASSES[:, None] / VELOCITY
            atoms.info = {
                "step": t * made.every,
                "time": t * made.every * made.step,
                "energy": 0.0,
                "dipole": segment.dipole[t],
                "polarizability": segment.polarizability[t].ravel(),
            }
            frames.append(atoms)
        ase.io.write(folder / f"trajectory-{index:03d}.extxyz", frames, format="extxyz")
    return folder


def verlet_area(wavenumber, step, velocities):
    """Area of a mode started as `starts` does, relative to its stick, with x = ω·step/2.

    Verlet moves it with the amplitude q₀² = A²(cos²φ + sin²φ/(1−x²)) at the frequency arcsin(x)/x ω,
    and its velocities are central differences, too small by √(1−x²).
    """
    x = np.pi * units.light * wavenumber * step
    amplitude = 0.5 + 0.5 / (1 - x**2)
    return amplitude * (1 - x**2 if velocities else (np.arcsin(x) / x) ** 2)
