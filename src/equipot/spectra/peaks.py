"""Peaks of a spectrum, and which harmonic lines they are."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.signal import find_peaks as local_maxima
from scipy.signal import peak_widths

from equipot.spectra.harmonic import Sticks

_FAINT = 0.01  # of the highest peak: what is lower is not tabulated
_SIGNIFICANT = 3.0  # standard errors a peak must stand out by
_LOBE = 0.05  # of a higher peak close by: the sidelobes of the window
_CLOSE = 5.0  # resolutions
_GAUSSIAN = 2 * np.sqrt(2 * np.log(2))  # FWHM of a Gaussian of unit deviation


@dataclass(frozen=True, kw_only=True)
class Peak:
    """A local maximum. Errors are one standard error."""

    position: float  # cm⁻¹
    position_error: float
    height: float
    fwhm: float  # cm⁻¹; includes the width of the window
    area: float  # between the minima on both sides
    area_error: float


@dataclass(frozen=True, kw_only=True)
class Match:
    """A peak beside the harmonic lines that fall to it; either may be missing."""

    peak: Peak | None
    harmonic: float | None  # cm⁻¹, mean of the lines weighted by intensity
    intensity: float | None  # their sum
    lines: int


def find_peaks(
    wavenumber: Float[np.ndarray, " bins"],
    value: Float[np.ndarray, " bins"],
    stderr: Float[np.ndarray, " bins"],
    resolution: float,
) -> tuple[Peak, ...]:
    """Peaks that stand 3 standard errors and 1% of the highest above their surroundings.

    Maxima that may be sidelobes of the window, within 5 resolutions of a peak twenty times as high, are
    left out. The position is that of a parabola through the top. The area is taken between the minima
    on both sides. Errors take values within one `resolution` (cm⁻¹) as fully correlated and others as
    independent; that of the position is the slope of such noise, (height error)/(resolution/2.35), over
    the curvature of the top, height/(FWHM/2.35)².
    """
    inside = np.isfinite(value)
    nu, y, error = wavenumber[inside], value[inside], stderr[inside]
    if len(y) < 3 or y.max() <= 0:
        return ()
    tops, found = local_maxima(y, prominence=_FAINT * y.max())
    if len(tops) == 0:
        return ()
    keep = np.minimum(found["prominences"], y[tops]) > _SIGNIFICANT * error[tops]
    keep &= ~_sidelobes(nu[tops], y[tops], found["prominences"], resolution)
    tops, left, right = tops[keep], found["left_bases"][keep], found["right_bases"][keep]
    if len(tops) == 0:
        return ()
    _, _, low, high = peak_widths(y, tops, rel_height=0.5)
    valleys = _valleys(y, tops, left, right)
    return tuple(
        _peak(nu, y, error, resolution, top, valleys[k], _half_width(nu, y, top, low[k], high[k]))
        for k, top in enumerate(tops.tolist())
    )


def match(peaks: tuple[Peak, ...], sticks: Sticks, reach: float = 0.08) -> tuple[Match, ...]:
    """Each harmonic line given to the nearest peak, at most `reach` times its wavenumber away.

    Lines below 1% of the strongest are left out. Peaks without a line (overtones, combinations, hot
    bands, rotation) and lines without a peak are listed too, in the order of wavenumber.
    """
    strong = np.flatnonzero(sticks.value > _FAINT * sticks.value.max(initial=0.0))
    owned: dict[int, list[int]] = {k: [] for k in range(len(peaks))}
    rows = []
    for line in strong:
        nu = float(sticks.wavenumber[line])
        distance = [abs(p.position - nu) for p in peaks]
        nearest = int(np.argmin(distance)) if distance else None
        if nearest is not None and distance[nearest] <= reach * nu:
            owned[nearest].append(int(line))
        else:
            rows.append(Match(peak=None, harmonic=nu, intensity=float(sticks.value[line]), lines=1))
    for k, peak in enumerate(peaks):
        lines = owned[k]
        total = float(sticks.value[lines].sum()) if lines else None
        mean = float(np.average(sticks.wavenumber[lines], weights=sticks.value[lines])) if lines else None
        rows.append(Match(peak=peak, harmonic=mean, intensity=total, lines=len(lines)))
    return tuple(sorted(rows, key=_place))


def _place(row: Match) -> float:
    if row.peak is not None:
        return row.peak.position
    return row.harmonic if row.harmonic is not None else 0.0


def _sidelobes(nu: np.ndarray, height: np.ndarray, prominence: np.ndarray, resolution: float) -> np.ndarray:
    """Which maxima are so small, so close to a high one, that the window may have made them."""
    close = np.abs(nu[:, None] - nu) < _CLOSE * resolution
    return np.any(close & (prominence[:, None] < _LOBE * height), axis=1)


def _valleys(y: np.ndarray, tops: np.ndarray, left: np.ndarray, right: np.ndarray) -> list[tuple[int, int]]:
    """Indices of the minima around each peak: towards its neighbours, or where it begins."""
    out = []
    for k, top in enumerate(tops.tolist()):
        start = int(tops[k - 1] if k > 0 else left[k])
        stop = int(tops[k + 1] if k + 1 < len(tops) else right[k])
        low = start + int(np.argmin(y[start : top + 1]))
        high = top + int(np.argmin(y[top : stop + 1]))
        out.append((low, high))
    return out


def _half_width(nu: np.ndarray, y: np.ndarray, top: int, low: float, high: float) -> float:
    """Width at half of the height above zero; where a neighbour hides that, half of the prominence."""
    above = y > y[top] / 2
    start, stop = top, top
    while start > 0 and above[start - 1]:
        start -= 1
    while stop < len(y) - 1 and above[stop + 1]:
        stop += 1
    monotone = np.all(np.diff(y[start : top + 1]) >= 0) and np.all(np.diff(y[top : stop + 1]) <= 0)
    if monotone and start > 0 and stop < len(y) - 1:
        return _crossing(nu, y, stop, y[top] / 2) - _crossing(nu, y, start - 1, y[top] / 2)
    grid = np.arange(len(nu))
    return float(np.interp(high, grid, nu) - np.interp(low, grid, nu))


def _crossing(nu: np.ndarray, y: np.ndarray, index: int, level: float) -> float:
    """Where the line between two neighbouring points passes the level."""
    fraction = (level - y[index]) / (y[index + 1] - y[index])
    return float(nu[index] + fraction * (nu[index + 1] - nu[index]))


def _peak(
    nu: np.ndarray,
    y: np.ndarray,
    error: np.ndarray,
    resolution: float,
    top: int,
    valley: tuple[int, int],
    fwhm: float,
) -> Peak:
    span = slice(valley[0], valley[1] + 1)
    position, height = _parabola(nu[top - 1 : top + 2], y[top - 1 : top + 2])
    variance = float(np.trapezoid(error[span] ** 2, nu[span]))
    return Peak(
        position=position,
        position_error=float(fwhm**2 / (_GAUSSIAN * resolution) * error[top] / height),
        height=height,
        fwhm=fwhm,
        area=float(np.trapezoid(y[span], nu[span])),
        area_error=float(np.sqrt(variance * resolution)),
    )


def _parabola(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Place and height of the top of the parabola through three points."""
    b, c = x[0] - x[1], x[2] - x[1]
    slope_left, slope_right = (y[0] - y[1]) / b, (y[2] - y[1]) / c
    curvature = (slope_right - slope_left) / (c - b)
    if curvature >= 0:  # flat top
        return float(x[1]), float(y[1])
    slope = slope_left - curvature * b
    return float(x[1] - slope / (2 * curvature)), float(y[1] - slope**2 / (4 * curvature))
