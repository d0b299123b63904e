"""Spectra of other runs over those of one: what quantum nuclei, an isotope or another temperature change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from equipot.spectra.checks import choose_lags
from equipot.spectra.line import Method
from equipot.spectra.peaks import Peak
from equipot.spectra.result import Spectra, Spectrum
from equipot.spectra.spectrum import spectrum
from equipot.spectra.trajectory import Trajectory, read_run

_REACH = 0.08  # of a wavenumber: how far a peak may shift, as from a harmonic line


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A peak, and the one of another run that it became."""

    peak: Peak
    other: Peak

    @property
    def shift(self) -> float:
        """From the other run to this one, cm⁻¹."""
        return self.peak.position - self.other.position

    @property
    def error(self) -> float:
        """One standard error of the shift, cm⁻¹."""
        return float(np.hypot(self.peak.position_error, self.other.position_error))


@dataclass(frozen=True, kw_only=True)
class Beside:
    """The same spectrum of another run, in the same unit and at the same resolution."""

    name: str  # of the other run
    spectrum: Spectrum
    shifts: tuple[Shift, ...]

    def document(self) -> dict[str, Any]:
        """Plain values, without the curve."""
        columns = ("position_cm-1", "other_cm-1", "shift_cm-1", "error_cm-1")
        rows = ((s.peak.position, s.other.position, s.shift, s.error) for s in self.shifts)
        return {"run": self.name, "shifts": [dict(zip(columns, row, strict=True)) for row in rows]}


def spectrum_beside(
    run: str | Path | Trajectory,
    others: Sequence[str | Path | Trajectory],
    *,
    resolution: float | int | None = None,
    **options: Any,
) -> Spectra:
    """Spectra of a run as `spectrum` makes them, with those of other runs in the same figures.

    All have one resolution: the coarsest that one of them needs, unless one is given (cm⁻¹). Other options are those of
    `spectrum` and go for all; harmonic lines are drawn once. Raises ValueError where two runs have no spectrum in the
    same unit.
    """
    runs = [t if isinstance(t, Trajectory) else read_run(t) for t in (run, *others)]
    common = (
        max(_finest(t, options.get("window", "hann")) for t in runs) if resolution is None else resolution
    )
    found = spectrum(runs[0], resolution=common, **options)
    theirs = {**options, "reference": None}
    if options.get("frame", "lab") == "lab":
        theirs["harmonic"] = None
    names = _names(runs)
    for name, other in zip(names[1:], runs[1:], strict=True):
        found = with_beside(found, names[0], name, spectrum(other, resolution=common, **theirs))
    return found


def with_beside(spectra: Spectra, own: str, name: str, other: Spectra) -> Spectra:
    """The spectra, with those of another run in each figure where both have the kind; `own` names the first run."""
    kinds = {kind: one for kind, one in spectra.kinds.items() if _alike(one, other.kinds.get(kind))}
    if not kinds:
        raise ValueError(
            f"{other.header.source} has {_listed(other)}; {spectra.header.source} has {_listed(spectra)}:"
            " nothing of one kind and unit to draw in one figure."
        )
    added = {
        kind: Beside(name=name, spectrum=other[kind], shifts=_shifts(one.peaks, other[kind].peaks))
        for kind, one in kinds.items()
    }
    return replace(
        spectra,
        kinds={
            kind: replace(one, run=own, beside=(*one.beside, added[kind])) if kind in added else one
            for kind, one in spectra.kinds.items()
        },
    )


def _finest(trajectory: Trajectory, window: str) -> float:
    """The resolution that a run has when none is asked for, cm⁻¹."""
    lags, _ = choose_lags(trajectory, window, None)
    return Method(
        stride=trajectory.stride,
        temperature=trajectory.temperature,
        lags=lags,
        window=window,
        derivative="forward",
        step=None,
    ).resolution


def _names(runs: Sequence[Trajectory]) -> list[str]:
    """The names of the folders, or their paths where two have the same name; and what kind of nuclei."""
    places = [Path(t.source) for t in runs]
    short = [p.name for p in places]
    chosen = short if len(set(short)) == len(short) else [str(p) for p in places]
    return [
        f"{name} ({'classical' if t.rings is None else t.rings.short})"
        for name, t in zip(chosen, runs, strict=True)
    ]


def _alike(one: Spectrum, other: Spectrum | None) -> bool:
    return other is not None and one.unit == other.unit


def _listed(spectra: Spectra) -> str:
    return ", ".join(f"{kind} in {one.unit}" for kind, one in spectra.kinds.items())


def _shifts(peaks: Sequence[Peak], others: Sequence[Peak]) -> tuple[Shift, ...]:
    """Peaks that are each other's nearest."""
    if not peaks or not others:
        return ()
    mine, theirs = (np.array([p.position for p in row]) for row in (peaks, others))
    distance = np.abs(mine[:, None] - theirs)
    pairs = enumerate(distance.argmin(1).tolist())
    return tuple(
        Shift(peak=peaks[k], other=others[n])
        for k, n in pairs
        if int(distance[:, n].argmin()) == k and distance[k, n] <= _REACH * theirs[n]
    )
