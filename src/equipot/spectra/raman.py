"""Raman scattering from the time derivative of the polarizability (Placzek, far from resonance).

    a = Tr α/3,    β = α − a·1,    γ² = (3/2) Tr β²

    R(ν) = 45 L[a] + 7 L[γ],   L[γ] = (3/2) L[β]      Å⁴/amu per cm⁻¹

Averages over the orientations of an isotropic sample: ⟨α_ZZ²⟩ = a² + 4γ²/45, ⟨α_ZX²⟩ = γ²/15.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi

import numpy as np
from jaxtyping import Float

from equipot import units
from equipot.spectra.line import Line, Method, line_density

#: cm²/sr of the absolute cross-section per Å⁴/amu and (cm⁻¹)³: h/(8ε₀²c), with α = 4πε₀ × Å³
CROSS_SECTION = (
    units.PLANCK / (8 * units.LIGHT) * (4 * pi) ** 2 * 1e-40 / units.AMU * 1e6 * 1e4  # Å⁴, cm⁻³, m² -> cm²
)
#: second radiation constant, hc/k_B in cm K
HC_K = units.inverse_cm / units.kB
LOWEST = 10.0  # cm⁻¹; the temperature factor diverges below
_FAINT = 0.01  # of the strongest parallel intensity: below it a depolarization ratio is noise


def isotropic(
    polarizability: Float[np.ndarray, "steps 3 3"],
) -> Float[np.ndarray, " steps"]:
    """Isotropic part, a = Tr α/3."""
    return np.trace(polarizability, axis1=1, axis2=2) / 3


def anisotropic(
    polarizability: Float[np.ndarray, "steps 3 3"],
) -> Float[np.ndarray, "steps 3 3"]:
    """β = α − a·1, the symmetric traceless part; an antisymmetric part is no Placzek scattering."""
    symmetric = (polarizability + polarizability.transpose(0, 2, 1)) / 2
    return symmetric - isotropic(polarizability)[:, None, None] * np.eye(3)


@dataclass(frozen=True, kw_only=True)
class Raman:
    """The two invariants of the scattering, and what an experiment makes of them. All in Å⁴/amu per cm⁻¹."""

    a: Line  # L[a], isotropic
    gamma: Line  # L[γ], anisotropic

    def activity(self) -> Line:
        """45 L[a] + 7 L[γ]: polarized laser, 90°, no analyser; the activity of quantum-chemistry codes."""
        return 45 * self.a + 7 * self.gamma

    def isotropic(self) -> Line:
        """45 L[a] = parallel − (4/3) perpendicular."""
        return 45 * self.a

    def anisotropic(self) -> Line:
        """7 L[γ], the rest of the activity."""
        return 7 * self.gamma

    def parallel(self) -> Line:
        """45 L[a] + 4 L[γ]: analyser along the polarization of the laser (VV, polarized)."""
        return 45 * self.a + 4 * self.gamma

    def perpendicular(self) -> Line:
        """3 L[γ]: analyser across it (VH, depolarized)."""
        return 3 * self.gamma

    def natural(self) -> Line:
        """(45 L[a] + 13 L[γ])/2: natural light, 90°, no analyser."""
        return 0.5 * (45 * self.a + 13 * self.gamma)

    def depolarization(self) -> Line:
        """ρ = 3 L[γ]/(45 L[a] + 4 L[γ]), 0 to 3/4.

        NaN where the parallel intensity is below 1% of its maximum.
        """
        return _ratio(self.perpendicular(), self.parallel(), self.parallel())

    def depolarization_natural(self) -> Line:
        """ρ = 6 L[γ]/(45 L[a] + 7 L[γ]), 0 to 6/7, for natural light; masked likewise."""
        return _ratio(6 * self.gamma, self.activity(), self.parallel())


def raman(
    polarizabilities: Sequence[Float[np.ndarray, "_ 3 3"]], method: Method, independent: int = 5
) -> Raman:
    """Both invariants of one or more trajectories of the polarizability, Å³.

    `independent` counts the components of β that are statistically independent, for the expected error.
    """
    a = line_density([isotropic(p) for p in polarizabilities], method)
    beta = line_density([anisotropic(p) for p in polarizabilities], method, independent)
    a, gamma = _independent(a, 1.5 * beta)
    return Raman(a=a, gamma=gamma)


def cross_section(activity: Line, laser: float, temperature: float, photons: bool = False) -> Line:
    """Absolute Stokes cross-section per molecule, cm²/sr per cm⁻¹, from an activity (Å⁴/amu per cm⁻¹).

        d²σ/dΩdν = h/(8ε₀²c) · (ν₀−ν)⁴ / (ν (1−exp(−hcν/k_BT))) · R(ν)/45

    Args:
        activity: any of the combinations of `Raman`.
        laser: wavelength, nm.
        temperature: K.
        photons: count photons instead of energy, ν₀(ν₀−ν)³ in the place of (ν₀−ν)⁴.

    Begins at 10 cm⁻¹: the factor diverges as 1/ν².
    """
    keep = activity.wavenumber >= LOWEST
    part = Line(
        wavenumber=activity.wavenumber[keep],
        value=activity.value[keep],
        deviations=activity.deviations[:, keep],
        blocks=activity.blocks,
    )
    return part * (scattering_factor(part.wavenumber, laser, temperature, photons) / 45)


def scattering_factor(
    wavenumber: Float[np.ndarray, " bins"], laser: float, temperature: float, photons: bool = False
) -> Float[np.ndarray, " bins"]:
    """cm²/sr per (45a′² + 7γ′²)/45 in Å⁴/amu of a Stokes line at ν > 0, or an anti-Stokes line at ν < 0."""
    if not 100 <= laser <= 20000:
        raise ValueError(f"laser {laser}: expected a wavelength in nm, for example 532.")
    incident = 1e7 / laser
    scattered = incident - wavenumber
    if np.any(scattered <= 0):
        raise ValueError(
            f"laser {laser} nm is {incident:.0f} cm⁻¹, below shifts of the spectrum: take a shorter wave."
        )
    power = incident * scattered**3 if photons else scattered**4
    return CROSS_SECTION * power / (wavenumber * -np.expm1(-HC_K * wavenumber / temperature))


def _ratio(numerator: Line, denominator: Line, parallel: Line) -> Line:
    bright = parallel.value > _FAINT * parallel.value.max()
    below = np.where(bright, denominator.value, np.nan)
    value = numerator.value / below
    deviations = (numerator.deviations - value * denominator.deviations) / below
    return replace(numerator, value=value, deviations=deviations)


def _independent(a: Line, gamma: Line) -> tuple[Line, Line]:
    """Rows of their own for two expected errors; measured ones share the blocks they come from."""
    if a.blocks:
        return a, gamma
    none = np.zeros_like(a.deviations)
    return (
        replace(a, deviations=np.concatenate([a.deviations, none])),
        replace(gamma, deviations=np.concatenate([none, gamma.deviations])),
    )
