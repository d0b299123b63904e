"""Units: eV, Å, fs, e, amu inside; everything else is converted at the border, by name.

Constants are CODATA 2018 (exact where the SI defines them).
"""

from collections.abc import Mapping
from types import MappingProxyType

from equipot.config import nearest

ELEMENTARY_CHARGE = 1.602176634e-19  # C, exact
PLANCK = 6.62607015e-34  # J s, exact
BOLTZMANN = 1.380649e-23  # J/K, exact
AVOGADRO = 6.02214076e23  # 1/mol, exact
LIGHT = 2.99792458e8  # m/s, exact
AMU = 1.66053906660e-27  # kg
ELECTRON_MASS = 9.1093837015e-31  # kg
VACUUM_PERMITTIVITY = 8.8541878128e-12  # F/m

bohr = 0.529177210903  # Å
hartree = 27.211386245988  # eV
kB = BOLTZMANN / ELEMENTARY_CHARGE  # eV/K
coulomb = hartree * bohr  # eV Å/e²: 1/(4πε₀)
acceleration = ELEMENTARY_CHARGE / AMU * 1e-10  # (eV/Å/amu) in Å/fs²
electron_mass = ELECTRON_MASS / AMU  # amu
atomic_time = bohr / (hartree / electron_mass * acceleration) ** 0.5  # fs, ħ/hartree
light = LIGHT * 100 * 1e-15  # cm/fs
debye = 0.20819433442462576  # e·Å: 1e-21 C m²/s / c / e
kcal_mol = 4184.0 / AVOGADRO / ELEMENTARY_CHARGE  # eV
kJ_mol = 1000.0 / AVOGADRO / ELEMENTARY_CHARGE  # eV
inverse_cm = PLANCK * LIGHT * 100 / ELEMENTARY_CHARGE  # eV
GPa = 1e9 * 1e-30 / ELEMENTARY_CHARGE  # eV/Å³

_ENERGY = {
    "eV": 1.0,
    "meV": 1e-3,
    "Ha": hartree,
    "Hartree": hartree,
    "mHa": hartree / 1000,
    "Ry": hartree / 2,
    "kcal/mol": kcal_mol,
    "kJ/mol": kJ_mol,
    "1/cm": inverse_cm,
}
_LENGTH = {"Å": 1.0, "A": 1.0, "Ang": 1.0, "bohr": bohr, "Bohr": bohr, "nm": 10.0}


def _ratios(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {f"{n}/{m}": x / y for n, x in a.items() for m, y in b.items()}


#: unit name -> factor to the internal unit, for every quantity a file may carry
UNITS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "energy": _ENERGY,
        "length": _LENGTH,
        "forces": _ratios(_ENERGY, _LENGTH),
        "stress": {
            "eV/Å^3": 1.0,
            "eV/A^3": 1.0,
            "GPa": GPa,
            "kbar": GPa / 10,
            "bar": GPa * 1e-4,
            "Ha/bohr^3": hartree / bohr**3,
        },
        "charges": {"e": 1.0},
        "born_charges": {"e": 1.0},
        "velocities": {"Å/fs": 1.0, "A/fs": 1.0, "Å/ps": 1e-3, "A/ps": 1e-3, "m/s": 1e-5},
        "magnetic_moments": {"μB": 1.0, "muB": 1.0},
        "dipole": {"e*Å": 1.0, "e*A": 1.0, "D": debye, "Debye": debye, "e*bohr": bohr, "au": bohr},
        "polarizability": {
            "Å^3": 1.0,
            "A^3": 1.0,
            "bohr^3": bohr**3,
            "au": bohr**3,
            "e*Å^2/V": coulomb,
            "e*A^2/V": coulomb,
        },
    }
)

#: the internal unit of every quantity, as it is printed
INTERNAL: Mapping[str, str] = MappingProxyType(
    {
        "energy": "eV",
        "length": "Å",
        "forces": "eV/Å",
        "stress": "eV/Å^3",
        "charges": "e",
        "born_charges": "e",
        "velocities": "Å/fs",
        "magnetic_moments": "μB",
        "dipole": "e*Å",
        "polarizability": "Å^3",
    }
)


def factor(quantity: str, unit: str) -> float:
    """Number by which a value in `unit` is multiplied to become the internal unit of `quantity`."""
    if quantity not in UNITS:
        raise ValueError(f"no units are known for {quantity!r}.{nearest(quantity, list(UNITS))}")
    table = UNITS[quantity]
    if unit not in table:
        raise ValueError(f"unit of {quantity}: found {unit!r}.{nearest(unit, list(table))}")
    return table[unit]
