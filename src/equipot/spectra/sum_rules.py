"""What a translation of all atoms must not change: Σ_j Φ_ij = 0, and Σ_i Z*_i = Q 1."""

from dataclasses import replace

import numpy as np

from equipot.spectra.derivatives import Derivatives


def violations(derivatives: Derivatives, charge: float = 0.0) -> tuple[float, float | None]:
    """The largest component of Σ_j Φ_ij, eV/Å², and of Σ_i Z*_i − Q 1, e; None where there are no Born charges."""
    forces = float(np.abs(derivatives.hessian.sum(axis=2)).max())
    if derivatives.dipole is None:
        return forces, None
    return forces, float(np.abs(derivatives.dipole.sum(axis=0) - charge * np.eye(3)).max())


def enforced(derivatives: Derivatives, charge: float = 0.0) -> Derivatives:
    """Derivatives that obey both rules, nearest to the given ones.

    The Hessian is projected off the translations on both sides, which keeps it symmetric; each Born charge, and
    likewise each derivative of the polarizability, is shifted by the same amount.
    """
    atoms = len(derivatives.hessian)
    off = np.eye(atoms) - 1 / atoms
    hessian = np.einsum("ik,kalb,lj->iajb", off, derivatives.hessian, off)
    dipole, alpha = derivatives.dipole, derivatives.polarizability
    if dipole is not None:
        dipole = dipole - (dipole.sum(axis=0) - charge * np.eye(3)) / atoms
    if alpha is not None:
        alpha = alpha - alpha.mean(axis=0)
    return replace(derivatives, hessian=hessian, dipole=dipole, polarizability=alpha)
