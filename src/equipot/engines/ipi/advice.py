"""How many beads: what of the quantum spread of a vibration a ring polymer of P beads has."""

import numpy as np
from ase import Atoms

from equipot import units

STRETCH = {True: 3700.0, False: 2300.0}  # cm⁻¹; the highest vibration with hydrogen, and without
_ENOUGH = 0.95  # of the exact ⟨q²⟩


def spread(wavenumber: float, temperature: float, beads: int) -> float:
    """⟨q²⟩ of a harmonic mode with P beads over the exact one; kT-like for one bead, 1 for many.

        ⟨q²⟩_P = (kT/m) Σ_k 1/(ω² + ω_k²),   ω_k = 2 (P kT/ħ) sin(kπ/P),
        ⟨q²⟩   = (ħ/2mω) coth(ħω/2kT)

    wavenumber in cm⁻¹, temperature in K.
    """
    x = units.inverse_cm * wavenumber / (units.kB * temperature)  # ħω/kT
    modes = 2 * beads * np.sin(np.pi * np.arange(beads) / beads)  # ħω_k/kT
    return float((1 / (x**2 + modes**2)).sum() * 2 * x * np.tanh(x / 2))


def advice(atoms: Atoms, temperature: float, beads: int) -> str:
    """One line for the user: the spread that these beads give, and how many would do."""
    highest = STRETCH[1 in atoms.numbers]
    found, x = spread(highest, temperature, beads), units.inverse_cm * highest / (units.kB * temperature)
    line = (
        f"{beads} beads at {temperature:g} K: a stretch at {highest:g} 1/cm (ħω/kT = {x:.1f}) has {found:.3f} of its"
        " quantum <q²>"
    )
    if found >= _ENOUGH:
        return f"{line}. Compare with {2 * beads} beads before you trust a digit."
    enough = next(p for p in (2**k for k in range(14)) if spread(highest, temperature, p) >= _ENOUGH)
    return f"{line}: too little. Take {enough}, which give {spread(highest, temperature, enough):.3f}."
