"""A bent three-atom molecule of springs and point charges, with everything known."""

import numpy as np

from equipot.spectra.derivatives import Response

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
