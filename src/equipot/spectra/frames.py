"""Laboratory and Eckart frames.

In the Eckart frame of a reference geometry a molecule vibrates but does not turn, so dipole and
polarizability there change as those of the normal modes do, and lines compare with harmonic sticks. In
the laboratory frame rotation adds its envelopes, as in the spectrum of a gas.
"""

import numpy as np
from jaxtyping import Float


def eckart_rotations(
    positions: Float[np.ndarray, "steps atoms 3"],
    reference: Float[np.ndarray, "atoms 3"],
    masses: Float[np.ndarray, " atoms"],
) -> Float[np.ndarray, "steps 3 3"]:
    """Proper rotations R(t) for which Σ m_i r⁰_i × R r_i = 0 (Eckart's second condition).

    They minimize Σ m_i |R r_i − r⁰_i|², both measured from the center of mass: the solution is in
    the singular value decomposition of Σ m_i r⁰_i r_iᵀ.
    """
    covariance = np.einsum(
        "i,ia,tib->tab", masses, centered(reference[None], masses)[0], centered(positions, masses)
    )
    left, _, right = np.linalg.svd(covariance)
    handed = np.linalg.det(left @ right)  # −1 would be a reflection
    left[:, :, 2] *= handed[:, None]
    return left @ right


def centered(
    positions: Float[np.ndarray, "steps atoms 3"], masses: Float[np.ndarray, " atoms"]
) -> Float[np.ndarray, "steps atoms 3"]:
    """Positions from the center of mass of each step."""
    center = np.einsum("i,tia->ta", masses, positions) / masses.sum()
    return positions - center[:, None, :]


def rotate_vectors(
    rotations: Float[np.ndarray, "steps 3 3"], vectors: Float[np.ndarray, "steps *items 3"]
) -> Float[np.ndarray, "steps *items 3"]:
    """R v at every step."""
    return np.einsum("tab,t...b->t...a", rotations, vectors)


def rotate_tensors(
    rotations: Float[np.ndarray, "steps 3 3"], tensors: Float[np.ndarray, "steps 3 3"]
) -> Float[np.ndarray, "steps 3 3"]:
    """R α Rᵀ at every step."""
    return rotations @ tensors @ rotations.transpose(0, 2, 1)
