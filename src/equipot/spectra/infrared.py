"""Infrared absorption from the time derivative of the dipole moment.

Fermi's rule for an isotropic sample, with the classical correlation function in the place of the
Kubo-transformed one (which is the harmonic quantum correction: multiply nothing more):

    σ(ω) = β S_μ̇(ω) / (6 ε₀ c),     N_A ∫ σ dν = N_A |dμ/dQ|² / (12 ε₀ c²) for one mode
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from equipot import units
from equipot.spectra.line import Line, Method, line_density, rate_density

#: km/mol of a mode with |dμ/dQ|² = 1 e²/amu
KM_MOL = (
    units.AVOGADRO
    * units.ELEMENTARY_CHARGE**2
    / (12 * units.VACUUM_PERMITTIVITY * units.LIGHT**2 * units.AMU)
    / 1000
)
#: the same with the dipole in debye, |dμ/dQ|² = 1 D² Å⁻² amu⁻¹
KM_MOL_DEBYE = KM_MOL * units.debye**2
#: molar decadic absorption coefficient (L mol⁻¹ cm⁻¹) of a density of 1 km/mol per cm⁻¹
DECADIC = 100 / np.log(10)


def infrared(dipoles: Sequence[Float[np.ndarray, "_ axes"]], method: Method, independent: int = 3) -> Line:
    """Integrated molar absorption of a gas per wavenumber, A(ν), km/mol per cm⁻¹.

    Areas of its lines are the infrared intensities of quantum-chemistry codes. Dipoles in e·Å;
    a constant in them drops out.
    """
    return KM_MOL * line_density(dipoles, method, independent)


def infrared_of_rates(
    rates: Sequence[Float[np.ndarray, "_ axes"]], method: Method, independent: int = 3
) -> Line:
    """The same from the rate of the dipole, e·Å/fs: Σ_i Z*_i v_i, which needs neither a branch nor a difference."""
    return KM_MOL * rate_density(rates, method, independent)


def per_volume(volume: float) -> float:
    """Number that turns km/mol of a cell of `volume` Å³ into ∫ n(ν)α(ν) dν in cm⁻²: 10⁵/(N_A V), V in cm³."""
    return 1e5 / (units.AVOGADRO * volume * 1e-24)


def bulk(absorption: Line, volume: float) -> Line:
    """n(ν)α(ν), cm⁻¹, of a cell of `volume` Å³ whose dipole gave A(ν): 10⁵ A/(N_A V), V in cm³."""
    return absorption * per_volume(volume)


def dielectric_loss(absorption: Line, volume: float) -> Line:
    """ε″(ν) = n(ν)α(ν)/(2πν), the same absorption as the imaginary part of the permittivity; NaN at ν = 0."""
    with np.errstate(divide="ignore"):
        factor = np.where(absorption.wavenumber > 0, 1 / (2 * np.pi * absorption.wavenumber), np.nan)
    return bulk(absorption, volume) * factor
