"""Power spectrum: the density of vibrational states as the velocities show it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from equipot.spectra.line import BOLTZMANN, Line, Method, rate_density


def power(
    velocities: Sequence[Float[np.ndarray, "_ atoms 3"]], masses: Float[np.ndarray, " atoms"], method: Method
) -> Line:
    """g(ν) = (2c/k_B T) Σ_i m_i ∫ ⟨v_i(0)·v_i(t)⟩ cos(ωt) dt, per cm⁻¹.

    Its integral is Σ m⟨v²⟩/k_B T, the number of degrees of freedom. The atoms are weighted by their
    masses and never normalised one by one, so the parts of `power_by_element` add up to the whole.
    Velocities in Å/fs, masses in amu. No quantum factor applies.
    """
    root = np.sqrt(masses)[:, None]
    return rate_density([root * v for v in velocities], method)


def power_by_element(
    velocities: Sequence[Float[np.ndarray, "_ atoms 3"]],
    masses: Float[np.ndarray, " atoms"],
    elements: Sequence[str],
    method: Method,
) -> dict[str, Line]:
    """The power spectrum of the atoms of each element."""
    parts = {}
    for element in sorted(set(elements)):
        chosen = np.array([e == element for e in elements])
        parts[element] = power([v[:, chosen] for v in velocities], masses[chosen], method)
    return parts


def kinetic_temperature(
    velocities: Sequence[Float[np.ndarray, "_ atoms 3"]],
    masses: Float[np.ndarray, " atoms"],
    degrees: int,
) -> float:
    """Σ m⟨v²⟩/(f k_B), K, averaged over all steps of all trajectories."""
    twice = sum(np.einsum("tia,tia,i->", v, v, masses) for v in velocities)
    return float(twice / sum(len(v) for v in velocities) / (degrees * BOLTZMANN))
