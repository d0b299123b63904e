"""The three kinds of curve, from segments made ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from equipot.spectra.branches import joined
from equipot.spectra.infrared import bulk, dielectric_loss, infrared, infrared_of_rates
from equipot.spectra.line import Line, Method, line_density
from equipot.spectra.power import power, power_by_element
from equipot.spectra.prepare import Prepared
from equipot.spectra.quantum import over_harmonic
from equipot.spectra.raman import Raman, cross_section, raman

HIGHEST = 5000.0  # cm⁻¹; no vibration lies above, and nothing else should
_NO_MODE = 4500.0  # cm⁻¹; power above it is noise of the forces
_FLOOR = 0.01  # of the whole


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A spectrum before its peaks are looked for."""

    kind: str
    label: str
    unit: str
    line: Line
    components: Mapping[str, Line]
    whole: float | None = None  # integral up to the Nyquist frequency, power only
    notes: tuple[str, ...] = ()


def _infrared(prepared: Prepared, method: Method, frame: str, quantum: str, laser: float | None) -> Curve:
    def absorbed(axes: slice, independent: int) -> Line:
        line = _molar(prepared, method, frame, axes, _count(frame, independent)).below(HIGHEST)
        return line * over_harmonic(quantum, line.wavenumber, method.temperature)

    line = absorbed(slice(None), 3)
    if prepared.cell is None:
        return Curve(kind="ir", label="infrared absorption", unit="km/mol per cm-1", line=line, components={})
    volume = float(abs(np.linalg.det(prepared.cell)))
    # light polarized along one axis meets the whole of its component, isotropic light a third of the sum
    parts = {
        f"dielectric_loss_{a}{a}": 3 * dielectric_loss(absorbed(slice(k, k + 1), 1), volume)
        for k, a in enumerate("xyz")
    }
    return Curve(
        kind="ir",
        label="infrared absorption n(ν)α(ν)",
        unit="cm-1",
        line=bulk(line, volume),
        components={"dielectric_loss": dielectric_loss(line, volume), **parts},
        notes=(
            "peaks of n·α and of the dielectric loss are transverse: the cell carries no macroscopic field",
        ),
    )


def _molar(prepared: Prepared, method: Method, frame: str, axes: slice, independent: int) -> Line:
    """From the rate of the dipole where it is known, else from its differences on one branch.

    In a frame that turns with the molecule only the dipole itself can be differenced.
    """
    rates = [s.dipole_rate for s in prepared.segments if s.dipole_rate is not None]
    if len(rates) == len(prepared.segments) and frame == "lab":
        return infrared_of_rates([x[:, axes] for x in rates], method, independent)
    dipoles = [s.dipole for s in prepared.segments if s.dipole is not None]
    if prepared.cell is not None:
        dipoles = [joined(x, prepared.cell, f"segment {k}") for k, x in enumerate(dipoles)]
    return infrared([x[:, axes] for x in dipoles], method, independent)


def _raman(prepared: Prepared, method: Method, frame: str, quantum: str, laser: float | None) -> Curve:
    series = [s.polarizability for s in prepared.segments if s.polarizability is not None]
    full = raman(series, method, _count(frame, 5))
    found = Raman(a=full.a.below(HIGHEST), gamma=full.gamma.below(HIGHEST))
    factor = over_harmonic(quantum, found.a.wavenumber, method.temperature)
    found = Raman(a=found.a * factor, gamma=found.gamma * factor)

    def absolute(line: Line) -> Line:
        return line if laser is None else cross_section(line, laser, method.temperature)

    parts = {
        "isotropic": absolute(found.isotropic()),
        "anisotropic": absolute(found.anisotropic()),
        "parallel": absolute(found.parallel()),
        "perpendicular": absolute(found.perpendicular()),
    }
    ratio = found.depolarization()
    start = len(ratio.wavenumber) - len(parts["parallel"].wavenumber)
    parts["depolarization"] = replace(
        ratio,
        wavenumber=ratio.wavenumber[start:],
        value=ratio.value[start:],
        deviations=ratio.deviations[:, start:],
    )
    return Curve(
        kind="raman",
        label="Raman activity" if laser is None else f"Raman cross-section at {laser:g} nm",
        unit="A^4/amu per cm-1" if laser is None else "cm2/sr per cm-1",
        line=absolute(found.activity()),
        components=parts,
    )


def _power(prepared: Prepared, method: Method, frame: str, quantum: str, laser: float | None) -> Curve:
    masses, elements = prepared.masses, prepared.elements
    if frame == "eckart":
        root = np.sqrt(masses)[:, None]
        whole = line_density([root * x for x in prepared.internal], method)
        parts = {}
        for element in sorted(set(elements)):
            chosen = np.array([e == element for e in elements])
            parts[element] = line_density([(root * x)[:, chosen] for x in prepared.internal], method)
    else:
        velocities = [s.velocities for s in prepared.segments]
        whole = power(velocities, masses, method)
        parts = power_by_element(velocities, masses, elements, method)
    total, high = whole.area(), whole.area(_NO_MODE)
    notes = ()
    if high > _FLOOR * total:
        notes = (
            f"{high / total:.1%} of the power lies above {_NO_MODE:g} cm⁻¹, where nothing vibrates: "
            "jumps of the forces at the cutoff, or single precision",
        )
    return Curve(
        kind="power",
        label="vibrational density of states",
        unit="modes per cm-1",
        line=whole.below(HIGHEST),
        components={name: part.below(HIGHEST) for name, part in parts.items()},
        whole=total,
        notes=notes,
    )


#: kind -> its maker
MAKERS: Mapping[str, Callable[[Prepared, Method, str, str, float | None], Curve]] = {
    "ir": _infrared,
    "raman": _raman,
    "power": _power,
}


def _count(frame: str, free: int) -> int:
    """Independent components: those of an isotropic sample, one for a molecule that does not turn."""
    return free if frame == "lab" else 1
