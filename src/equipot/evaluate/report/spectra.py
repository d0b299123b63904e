"""Spectra from dynamics, with the harmonic lines where they are known."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from equipot.evaluate.report.material import Material, SpectraLike
from equipot.evaluate.report.page import Drawing, Section, drawings, facts, paragraph, table, text
from equipot.evaluate.report.style import styled

_NAMES = {"ir": "Infrared spectrum", "raman": "Raman spectrum", "power": "Power spectrum"}


def section(material: Material) -> Section | None:
    """Spectra of the dynamics that the model was used for."""
    return None if material.spectra is None else shown(material.spectra)


def shown(spectra: SpectraLike) -> Section:
    """Every kind with its peaks."""
    notes = (paragraph(text(f"{n[:1].upper()}{n[1:]}."), "note") for n in spectra.header.notes)
    parts = [facts(_method(spectra.header)), *notes]
    for kind, one in spectra.kinds.items():
        parts += [f"<h3>{text(_NAMES.get(kind, kind))}</h3>", drawings([_drawing(spectra, kind, one)])]
        parts += [_peaks(one)] if one.peaks or one.matches else []
        parts += [_measured(one.comparison)] if one.comparison is not None else []
        parts += [_beside(one, other) for other in one.beside]
    return Section("spectra", "Spectra", parts)


def _method(header: Any) -> Mapping[str, object]:
    return {
        "from": f"{header.method}, {header.entries * header.stride / 1000:.3g} ps in {header.segments} segments",
        "temperature": f"{header.temperature:g} K (kinetic {header.kinetic_temperature:.1f} K)",
        "resolution": f"{header.resolution:.3g} cm⁻¹, {header.window} window",
        "frame": header.frame,
        "quantum factor": header.quantum,
        "laser": "" if header.laser is None else f"{header.laser:g} nm",
        "errors": header.error,
    }


def _drawing(spectra: SpectraLike, kind: str, one: Any) -> Drawing:
    plot = styled(spectra.plotly(kind), 460)
    plot.update_layout(title_text="", margin={"t": 56})
    data = {
        "wavenumber (cm-1)": one.wavenumber,
        f"{kind} ({one.unit})": one.value,
        "standard error": one.stderr,
    }
    data |= {name: np.asarray(values) for name, values in one.components.items()}
    if one.sticks is not None:
        data |= {"harmonic (cm-1)": one.sticks.wavenumber, "harmonic intensity": one.sticks.value}
    if one.reference is not None:
        theirs = {"reference (cm-1)": one.reference.wavenumber, "reference intensity": one.reference.value}
        data |= theirs
    for other in one.beside:
        theirs = other.spectrum
        data |= {f"{other.name} (cm-1)": theirs.wavenumber, f"{other.name} ({theirs.unit})": theirs.value}
    if one.comparison is not None:
        data |= {"measured (cm-1)": one.comparison.wavenumber, "measured, scaled": one.comparison.value}
    caption = f"{text(one.label[:1].upper() + one.label[1:])}. Band: one standard error."
    if one.sticks is not None and len(one.sticks.value):
        caption += " Below: harmonic lines."
    return Drawing(name=f"spectrum-{kind}", caption=caption, plot=plot, data=data, wide=True)


def _peaks(one: Any) -> str:
    """Peaks beside the harmonic lines that fall to them."""
    if one.matches:
        pairs = [(m.peak, m.harmonic, m.intensity, m.lines) for m in one.matches]
    else:
        pairs = [(p, None, None, 0) for p in one.peaks]
    columns = ["position / cm⁻¹", "FWHM / cm⁻¹", "area"]
    if one.matches:
        lines = one.sticks if one.reference is None else one.reference
        of = f" ({lines.source})" if lines.source else ""
        columns += [f"harmonic{of} / cm⁻¹", "intensity", "lines", "shift / cm⁻¹"]
    rows = [_row(*pair, wide=bool(one.matches)) for pair in pairs]
    return table(columns, rows, words=())


def _measured(comparison: Any) -> str:
    """Scores of the measured spectrum that is drawn over the calculated one."""
    first, *others = comparison.lines()
    return paragraph(text(f"{first}: {'; '.join(line.strip() for line in others)}."), "note")


def _beside(one: Any, other: Any) -> str:
    """By how much peaks are shifted from those of another run."""
    if not other.shifts:
        return paragraph(text(f"No peak of {one.run} is near one of {other.name}."), "note")
    columns = [f"{one.run} / cm⁻¹", f"{other.name} / cm⁻¹", "shift / cm⁻¹"]
    rows = [
        (
            f"{s.peak.position:.1f}",
            f"{s.other.position:.1f}",
            f"{s.shift:+.1f} ± {s.error:.1f}".replace("-", "−"),
        )
        for s in other.shifts
    ]
    return table(columns, rows, words=())


def _row(peak: Any, harmonic: float | None, intensity: float | None, lines: int, *, wide: bool) -> list[str]:
    row = ["none", "", ""]
    if peak is not None:
        row = [
            f"{peak.position:.1f} ± {peak.position_error:.1f}",
            f"{peak.fwhm:.1f}",
            f"{peak.area:.3g} ± {peak.area_error:.2g}",
        ]
    if not wide:
        return row
    row += ["", "", ""] if harmonic is None else [f"{harmonic:.1f}", f"{intensity:.3g}", str(lines)]
    return [
        *row,
        "" if peak is None or harmonic is None else f"{peak.position - harmonic:+.0f}".replace("-", "−"),
    ]
