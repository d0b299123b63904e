"""Quantum correction factors Q(ω): S_quantum ≈ Q S_classical, of a dipole or a polarizability.

With x = ħω/k_BT all obey detailed balance, Q(−x) = e^(−x) Q(x), and Q → 1 as T → ∞. Only the harmonic one
obeys the fluctuation-dissipation theorem too; it is contained in the line density already, so another
factor enters as the ratio to it. No factor moves a line. They do not apply to velocities.

Ramírez et al., J. Chem. Phys. 121, 3973 (2004).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from equipot import units
from equipot.config import nearest


def _harmonic(x: np.ndarray) -> np.ndarray:
    safe = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 1.0, safe / -np.expm1(-safe))


#: name -> Q(x). "kubo" is exact for the Kubo-transformed function and equals the harmonic one.
FACTORS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType(
    {
        "standard": lambda x: 2 / (1 + np.exp(-x)),
        "harmonic": _harmonic,
        "schofield": lambda x: np.exp(x / 2),
        "kubo": _harmonic,
    }
)


def quantum_factor(
    name: str, wavenumber: Float[np.ndarray, " bins"], temperature: float
) -> Float[np.ndarray, " bins"]:
    """Q by name at wavenumbers (cm⁻¹; negative ones allowed) and a temperature (K)."""
    if name not in FACTORS:
        raise ValueError(f"quantum correction {name!r} is not known.{nearest(name, list(FACTORS))}")
    return FACTORS[name](units.inverse_cm / units.kB * wavenumber / temperature)


def over_harmonic(
    name: str, wavenumber: Float[np.ndarray, " bins"], temperature: float
) -> Float[np.ndarray, " bins"]:
    """Q/Q_harmonic, by which a line density is multiplied; one for the default."""
    chosen = quantum_factor(name, wavenumber, temperature)
    return chosen / quantum_factor("harmonic", wavenumber, temperature)
