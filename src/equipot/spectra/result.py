"""Spectra as results: numbers with their errors, units, and how they were made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from equipot.config import nearest
from equipot.spectra.harmonic import Sticks
from equipot.spectra.peaks import Match, Peak

if TYPE_CHECKING:
    from equipot.spectra.beside import Beside
    from equipot.spectra.comparison import Comparison


@dataclass(frozen=True, kw_only=True)
class Header:
    """How spectra were made: enough to make them again."""

    method: str
    source: str
    model: str | None  # hash of the model file
    engine: str | None
    temperature: float  # K
    kinetic_temperature: float  # K
    dt: float  # fs
    stride: float  # fs
    entries: int  # of all segments
    segments: int
    window: str
    window_time: float  # T_m, fs
    resolution: float  # FWHM of a sharp line, cm⁻¹
    derivative: str
    frame: str
    quantum: str
    step_correction: bool
    laser: float | None  # nm
    degrees_found: float | None  # ∫ power spectrum
    degrees_expected: int
    error: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """One spectrum in absolute units, with one standard error; NaN where it is masked."""

    kind: str
    label: str
    unit: str
    wavenumber: Float[np.ndarray, " bins"]  # cm⁻¹
    value: Float[np.ndarray, " bins"]
    stderr: Float[np.ndarray, " bins"]
    components: Mapping[str, np.ndarray] = field(default_factory=dict)
    peaks: tuple[Peak, ...] = ()
    sticks: Sticks | None = None  # harmonic lines, areas in the unit of the spectrum times cm⁻¹
    reference: Sticks | None = None  # those of another method, drawn beside them
    comparison: "Comparison | None" = None  # with a measured spectrum
    matches: tuple[Match, ...] = ()  # peaks beside the reference, or beside the sticks where there is none
    run: str = "dynamics"  # the name of the curve
    beside: "tuple[Beside, ...]" = ()  # those of other runs, drawn over it


@dataclass(frozen=True, kw_only=True)
class Spectra:
    """Spectra of one trajectory, by kind."""

    header: Header
    kinds: Mapping[str, Spectrum]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader of these spectra should know."""
        return self.header.notes

    def __getitem__(self, kind: str) -> Spectrum:
        if kind not in self.kinds:
            raise ValueError(f"spectrum {kind!r} was not computed.{nearest(kind, list(self.kinds))}")
        return self.kinds[kind]

    def write(self, folder: str | Path) -> list[Path]:
        """CSV, JSON and PNG of every kind; returns the paths."""
        from equipot.spectra.files import write_spectra  # drawing is loaded when wanted

        return write_spectra(self, Path(folder))

    def figure(self, normalize: str | None = None):
        """A matplotlib figure of all kinds; `normalize` may be "area" or "max"."""
        from equipot.spectra.figure import figure

        return figure(self, normalize=normalize)

    def plotly(self, kind: str, normalize: str | None = None):
        """An interactive figure of one kind, for a web page."""
        from equipot.spectra.figure import plotly_figure

        return plotly_figure(self, kind, normalize=normalize)
