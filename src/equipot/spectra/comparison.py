"""A spectrum beside a measured one: similarity, the best uniform scale, and peaks side by side."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from equipot.spectra.harmonic import Sticks
from equipot.spectra.measured import Measured
from equipot.spectra.peaks import Match, find_peaks, match
from equipot.spectra.result import Spectra, Spectrum
from equipot.spectra.scores import SPACING, Scores, broadened, compare

_SUSPECT = 0.03  # of one: a uniform scale beyond it is no anharmonicity
_LEAST = 5 * SPACING


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How alike two spectra of one quantity are, in one range, with the same broadening, each of area one."""

    source: str
    quantity: str  # of the measured spectrum
    broadening: float  # cm⁻¹, FWHM given to both
    scores: Scores
    wavenumber: Float[np.ndarray, " bins"]  # cm⁻¹
    value: Float[
        np.ndarray, " bins"
    ]  # the measured spectrum with the area of the calculated one in the range
    intensity: float  # factor that gave it that area; near one where both are absolute and alike
    matches: tuple[Match, ...]  # peaks of the calculated one beside those measured: areas scaled like `value`
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Plain values, without the curve."""
        return {
            "source": self.source,
            "quantity": self.quantity,
            "intensity_factor": self.intensity,
            "broadening_cm-1": self.broadening,
            **asdict(self.scores),
            "peaks": [asdict(row) for row in self.matches],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """For a terminal."""
        s = self.scores
        return [
            f"{self.source}, {self.quantity}, {s.low:g} to {s.high:g} cm⁻¹, times {self.intensity:.3g} for equal areas",
            f"  Pearson {s.pearson:.3f}   SIS {s.sis:.3f}   W1 {s.w1:.1f} cm⁻¹   best uniform scale {s.scale:.3f}",
            *(f"  {note}" for note in self.notes),
        ]


def with_measured(
    spectra: Spectra,
    measured: Measured,
    kind: str | None = None,
    limits: tuple[float, float] | None = None,
    broadening: float = 0.0,
) -> Spectra:
    """The spectra, one of them compared with a measured one and with that in its figure.

    Args:
        spectra: of a trajectory.
        measured: absorption or scattering.
        kind: which spectrum is meant; None: what the file says, else the infrared one.
        limits: range, cm⁻¹; None: where both are known.
        broadening: FWHM of a Gaussian, cm⁻¹, that both are convolved with.
    """
    chosen = (
        kind
        or measured.kind
        or ("ir" if "ir" in spectra.kinds or len(spectra.kinds) > 1 else next(iter(spectra.kinds)))
    )
    if chosen not in spectra.kinds:
        raise ValueError(
            f"{measured.source}: to be compared with a spectrum of kind {chosen!r}, and there is only "
            f"{', '.join(spectra.kinds)}. Name the kind that it shows."
        )
    found = comparison(spectra[chosen], measured, spectra.header.resolution, limits, broadening)
    one = replace(spectra[chosen], comparison=found)
    return replace(spectra, kinds={**spectra.kinds, chosen: one})


def comparison(
    spectrum: Spectrum,
    measured: Measured,
    resolution: float,
    limits: tuple[float, float] | None = None,
    broadening: float = 0.0,
) -> Comparison:
    """Scores, scale and peaks of one spectrum; the arguments are those of `with_measured`."""
    low, high = _range(spectrum.wavenumber[np.isfinite(spectrum.value)], measured, limits)
    a = broadened((spectrum.wavenumber, spectrum.value), broadening)
    b = broadened((measured.wavenumber, measured.value), broadening)
    scores = compare(a, b, low, high)
    inside = [(x >= low) & (x <= high) for x, _ in (a, b)]
    areas = [float(np.trapezoid(y[i], x[i])) for (x, y), i in zip((a, b), inside, strict=True)]
    scale = areas[0] / areas[1]
    shown = inside[1]
    return Comparison(
        source=measured.source,
        quantity=measured.quantity,
        broadening=broadening,
        scores=scores,
        wavenumber=b[0][shown],
        value=scale * b[1][shown],
        intensity=scale,
        matches=_matches(
            (a[0][inside[0]], a[1][inside[0]]), (b[0][shown], scale * b[1][shown]), measured, resolution
        ),
        notes=(*measured.notes, *_suspicion(scores)),
    )


def _range(
    wavenumber: np.ndarray, measured: Measured, limits: tuple[float, float] | None
) -> tuple[float, float]:
    known = np.isfinite(measured.value)
    low = max(float(wavenumber[0]), float(measured.wavenumber[known][0]))
    high = min(float(wavenumber[-1]), float(measured.wavenumber[known][-1]))
    if limits is not None:
        low, high = max(low, limits[0]), min(high, limits[1])
    if high - low < _LEAST:
        raise ValueError(
            f"{measured.source}: {measured.wavenumber[0]:g} to {measured.wavenumber[-1]:g} cm⁻¹ and the spectrum, "
            f"{wavenumber[0]:g} to {wavenumber[-1]:g} cm⁻¹, have no range in common"
            f"{'' if limits is None else f' within {limits[0]:g} to {limits[1]:g}'}."
        )
    return low, high


def _suspicion(scores: Scores) -> tuple[str, ...]:
    if abs(scores.scale - 1) <= _SUSPECT:
        return ()
    return (
        f"a uniform scale of {scores.scale:.3f} would fit better: look at units, masses and the time step",
    )


def _matches(
    ours: tuple[np.ndarray, np.ndarray],
    theirs: tuple[np.ndarray, np.ndarray],
    measured: Measured,
    resolution: float,
) -> tuple[Match, ...]:
    """Peaks of both without errors: those of the calculated spectrum stand in its own table."""
    mine, other = (find_peaks(x, y, np.zeros_like(y), resolution) for x, y in (ours, theirs))
    if not other:
        return ()
    lines: Mapping[str, np.ndarray] = {
        "wavenumber": np.array([p.position for p in other]),
        "value": np.array([p.area for p in other]),
    }
    return match(mine, Sticks(**lines, source=measured.source))
