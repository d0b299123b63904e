"""The dielectric response of a crystal from its phonons at Γ, and what optics makes of it.

    ε_ab(ν) = ε∞_ab + K/V Σ_p Z̃_pa Z̃_pb / (ν_p² − ν² − i g ν),    Z̃_pa = Σ_ib Z*[i, a, b] e_ib,p /√m_i
    ν_p² δ_pq + K/V (q·Z̃_p)(q·Z̃_q)/(q·ε∞·q)                       whose eigenvalues are the LO frequencies squared

Gonze, Lee, Phys. Rev. B 55, 10355 (1997), with frequencies as wavenumbers; K = e²/(4π²c²ε₀). Phonons without a
macroscopic field, as those of a learned potential, are transverse (TO); the second line adds the field that a
longitudinal wave along q carries, in the basis of the modes.
"""

from math import pi

import numpy as np
from jaxtyping import Complex, Float

from equipot import units
from equipot.spectra.harmonic import Harmonic

#: cm⁻² of 1 e²/(ε₀ Å³ amu)
FIELD = (
    units.ELEMENTARY_CHARGE**2
    / (units.VACUUM_PERMITTIVITY * 1e-30 * units.AMU)
    / (2 * pi * units.LIGHT * 100) ** 2
)


def permittivity(
    crystal: Harmonic, wavenumber: Float[np.ndarray, " bins"], damping: float = 5.0
) -> Complex[np.ndarray, "bins 3 3"]:
    """ε(ν) of every wavenumber (cm⁻¹) with one damping (cm⁻¹, the width of a line) for all modes.

    Imaginary modes are left out. At ν = 0 it is the static permittivity.
    """
    charges, infinite, volume = _known(crystal)
    real = crystal.wavenumbers > 0
    resonance = crystal.wavenumbers[real] ** 2 - wavenumber[:, None] ** 2 - 1j * damping * wavenumber[:, None]
    pairs = charges[real, :, None] * charges[real, None, :]
    return infinite + FIELD / volume * np.einsum("np,pab->nab", 1 / resonance, pairs)


def longitudinal(crystal: Harmonic, direction: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " modes"]:
    """Wavenumbers (cm⁻¹, ascending) of phonons that travel along `direction`, with the field that they carry.

    Modes without charge along the direction are those at Γ, unchanged; the others are longitudinal. Only frequencies:
    Raman intensities of longitudinal modes need the derivative of ε∞ by a field.
    """
    charges, infinite, volume = _known(crystal)
    length = float(np.linalg.norm(direction))
    if not length > 0:
        raise ValueError(
            "the direction of a longitudinal wave has no length. Give a vector such as (0, 0, 1)."
        )
    q = np.asarray(direction, dtype=float) / length
    along = charges @ q
    squares = np.diag(np.sign(crystal.wavenumbers) * crystal.wavenumbers**2)
    squares = squares + FIELD / volume / (q @ infinite @ q) * np.outer(along, along)
    found = np.linalg.eigvalsh(squares)
    return np.sign(found) * np.sqrt(np.abs(found))


def kramers_kronig(
    wavenumber: Float[np.ndarray, " bins"], loss: Float[np.ndarray, " bins"]
) -> Float[np.ndarray, " bins"]:
    """ε′(ν) − ε∞ = (2/π) P∫ ν′ε″(ν′)/(ν′² − ν²) dν′ of a loss on an even grid that covers all of it.

    The principal value by Maclaurin's rule: at each point the sum over every second neighbor (Ohta, Ishida, Appl.
    Spectrosc. 42, 952 (1988)).
    """
    spacing = np.diff(wavenumber)
    if len(spacing) == 0 or not np.allclose(spacing, spacing[0], rtol=1e-6):
        raise ValueError("the grid of a Kramers-Kronig transform must be evenly spaced.")
    squares = wavenumber[None, :] ** 2 - wavenumber[:, None] ** 2
    other = (np.arange(len(wavenumber))[None, :] - np.arange(len(wavenumber))[:, None]) % 2 == 1
    kernel = np.where(other, wavenumber[None, :] / np.where(other, squares, 1.0), 0.0)
    return 4 / pi * spacing[0] * kernel @ loss


def energy_loss(
    epsilon: Complex[np.ndarray, "bins 3 3"], direction: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, " bins"]:
    """−Im 1/(q·ε·q): its peaks are the longitudinal lines along q."""
    q = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
    return -np.imag(1 / np.einsum("a,nab,b->n", q, epsilon, q))


def refraction(epsilon: Complex[np.ndarray, " bins"]) -> Complex[np.ndarray, " bins"]:
    """√ε = n + ik, both parts positive."""
    return np.sqrt(epsilon)


def reflectivity(epsilon: Complex[np.ndarray, " bins"]) -> Float[np.ndarray, " bins"]:
    """|(√ε − 1)/(√ε + 1)|², of light that falls straight onto a surface."""
    root = np.sqrt(epsilon)
    return np.abs((root - 1) / (root + 1)) ** 2


def absorption(
    epsilon: Complex[np.ndarray, " bins"], wavenumber: Float[np.ndarray, " bins"]
) -> Float[np.ndarray, " bins"]:
    """α = 4πνk, cm⁻¹: without the refractive index that n·α carries."""
    return 4 * pi * wavenumber * np.imag(np.sqrt(epsilon))


def _known(crystal: Harmonic) -> tuple[np.ndarray, np.ndarray, float]:
    lacking = {
        "a cell": crystal.cell,
        "mode charges (targets.born_charges)": crystal.charges,
        "a polarizability (targets.polarizability)": crystal.permittivity,
    }
    missing = [name for name, value in lacking.items() if value is None]
    if missing:
        raise ValueError(
            f"the dielectric response of {crystal.source or 'these modes'} needs {', '.join(missing)}."
        )
    assert crystal.charges is not None and crystal.permittivity is not None and crystal.cell is not None
    return crystal.charges, crystal.permittivity, float(abs(np.linalg.det(crystal.cell)))
