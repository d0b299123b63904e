"""Figures of spectra: a static one for paper and an interactive one for the report."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from equipot.spectra.harmonic import Sticks
from equipot.spectra.result import Spectra, Spectrum

#: distinguishable without colour vision (Okabe and Ito)
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"
OTHERS = ("#CC79A7", "#E69F00", "#56B4E9")  # of other runs

_RANGES = {"ir": (4000.0, 400.0), "raman": (0.0, 4000.0), "power": (0.0, 4000.0)}
_UNITS = {
    "km/mol per cm-1": "km mol⁻¹ / cm⁻¹",
    "cm-1": "cm⁻¹",
    "A^4/amu per cm-1": "Å⁴ amu⁻¹ / cm⁻¹",
    "cm2/sr per cm-1": "cm² sr⁻¹ / cm⁻¹",
    "modes per cm-1": "modes / cm⁻¹",
}
_STICK_UNITS = {
    "km/mol per cm-1": "km mol⁻¹",
    "cm-1": "cm⁻²",
    "A^4/amu per cm-1": "Å⁴ amu⁻¹",
    "cm2/sr per cm-1": "cm² sr⁻¹",
    "modes per cm-1": "modes",
}

#: name -> wavenumbers and values, drawn over the spectrum at its own height
Overlay = Mapping[str, tuple[np.ndarray, np.ndarray]]


def figure(
    spectra: Spectra,
    kinds: Sequence[str] | None = None,
    normalize: str | None = None,
    overlay: Overlay | None = None,
) -> Figure:
    """All kinds under each other, harmonic sticks in a strip below each, one standard error as a band.

    `normalize` is "area" or "max", of the range shown; the axis then says arbitrary units. An `overlay`
    is scaled to the area of the spectrum.
    """
    chosen = [spectra[kind] for kind in (kinds or spectra.kinds)]
    out = Figure(figsize=(8.0, 3.4 * len(chosen)), layout="constrained")
    grid = out.add_gridspec(2 * len(chosen), 1, height_ratios=[3, 1] * len(chosen))
    for row, one in enumerate(chosen):
        sticks = _has_sticks(one)
        axes = out.add_subplot(grid[2 * row if sticks else slice(2 * row, 2 * row + 2), 0])
        _draw(axes, one, normalize, overlay)
        axes.set_xlim(*_range(one))
        if sticks:
            axes.tick_params(labelbottom=False)
            axes = out.add_subplot(grid[2 * row + 1, 0], sharex=axes)
            _draw_sticks(axes, one)
        axes.set_xlabel("wavenumber / cm⁻¹")
    out.suptitle(_title(spectra), fontsize=9, color=GREY)
    return out


def plotly_figure(
    spectra: Spectra,
    kind: str,
    normalize: str | None = None,
    overlay: Overlay | None = None,
) -> go.Figure:
    """One kind as an interactive figure; components can be switched on in the legend."""
    one = spectra[kind]
    factor, unit = _scale(one, normalize)
    sticks = _has_sticks(one)
    out = make_subplots(
        rows=2 if sticks else 1,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.04,
        row_heights=[0.75, 0.25] if sticks else [1.0],
    )
    for trace in _traces(one, factor, overlay):
        out.add_trace(trace, row=1, col=1)
    out.update_yaxes(title_text=f"{one.label}<br>{unit}", row=1, col=1)
    last = 1
    if sticks:
        last = 2
        for trace in _stick_traces(one):
            out.add_trace(trace, row=2, col=1)
        out.update_yaxes(
            title_text=f"harmonic<br>{_STICK_UNITS[one.unit]}", autorange="reversed", row=2, col=1
        )
    out.update_xaxes(range=list(_range(one)))
    out.update_xaxes(title_text="wavenumber / cm⁻¹", row=last, col=1)
    out.update_layout(
        template="plotly_white",
        title={"text": _title(spectra), "font": {"size": 12, "color": GREY}},
        height=480,
        margin={"l": 80, "r": 20, "t": 50, "b": 90},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "traceorder": "normal"},
    )
    return out


def _draw(axes: Axes, one: Spectrum, normalize: str | None, overlay: Overlay | None) -> None:
    factor, unit = _scale(one, normalize)
    overlay = _overlay(one, overlay)
    value, error = factor * one.value, factor * one.stderr
    axes.fill_between(one.wavenumber, value - error, value + error, color=BLUE, alpha=0.3, linewidth=0)
    axes.plot(one.wavenumber, value, color=BLUE, linewidth=1.0, label=one.run)
    for color, other in zip(cycle(OTHERS), one.beside, strict=False):
        nu, y, dy = other.spectrum.wavenumber, factor * other.spectrum.value, factor * other.spectrum.stderr
        axes.fill_between(nu, y - dy, y + dy, color=color, alpha=0.3, linewidth=0)
        axes.plot(nu, y, color=color, linewidth=1.0, label=other.name)
    drawn = {name: (x, _matched(one, x, y) * factor) for name, (x, y) in overlay.items()}
    for name, (x, y) in drawn.items():
        axes.plot(x, y, color=ORANGE, linewidth=1.0, label=name)
    if drawn or one.beside:
        axes.legend(frameon=False, fontsize=8)
    axes.axhline(0.0, color=GREY, linewidth=0.5)
    axes.set_ylabel(f"{one.label}\n{unit}", fontsize=8)
    low, high = sorted(_range(one))
    shown = (one.wavenumber >= low) & (one.wavenumber <= high) & np.isfinite(value)
    if shown.any():
        top, bottom = float(np.max(value[shown] + error[shown])), float(np.min(value[shown]))
        others = [o.spectrum for o in one.beside]
        over = [*drawn.values(), *((o.wavenumber, factor * (o.value + o.stderr)) for o in others)]
        top = max([top, *(float(np.nanmax(y[(x >= low) & (x <= high)], initial=0.0)) for x, y in over)])
        axes.set_ylim(min(0.0, bottom) - 0.03 * top, 1.05 * top)


def _draw_sticks(axes: Axes, one: Spectrum) -> None:
    highest = 0.0
    for sticks, color, name in _sets(one):
        axes.vlines(sticks.wavenumber, 0.0, sticks.value, color=color, linewidth=1.2, label=name)
        highest = max(highest, float(sticks.value.max(initial=0.0)))
    axes.set_ylim(1.1 * highest or 1.0, 0.0)  # hanging down from the spectrum
    if one.reference is not None:
        axes.legend(frameon=False, fontsize=7, loc="lower center", ncols=2)
    axes.set_ylabel(f"harmonic\n{_STICK_UNITS[one.unit]}", fontsize=8)


def _traces(one: Spectrum, factor: float, overlay: Overlay | None) -> list[go.Scatter]:
    overlay = _overlay(one, overlay)
    traces = _band(one, one.run, factor, BLUE)
    for color, other in zip(cycle(OTHERS), one.beside, strict=False):
        traces += _band(other.spectrum, other.name, factor, color)
    x = one.wavenumber
    for name, values in one.components.items():
        if name != "depolarization" and "dielectric" not in name:  # on another scale
            traces.append(
                go.Scatter(x=x, y=factor * values, name=name, visible="legendonly", line={"width": 1.2})
            )
    for name, (nu, values) in (overlay or {}).items():
        scaled = factor * _matched(one, nu, values)
        traces.append(go.Scatter(x=nu, y=scaled, name=name, line={"color": ORANGE, "width": 1.2}))
    return traces


def _band(one: Spectrum, name: str, factor: float, color: str) -> list[go.Scatter]:
    """A curve with one standard error."""
    x, y, error = one.wavenumber, factor * one.value, factor * one.stderr
    hidden = {"line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return [
        go.Scatter(x=x, y=y - error, **hidden),
        go.Scatter(x=x, y=y + error, fill="tonexty", fillcolor=f"rgba({red},{green},{blue},0.3)", **hidden),
        go.Scatter(x=x, y=y, name=name, line={"color": color, "width": 1.4}),
    ]


def _sets(one: Spectrum) -> list[tuple[Sticks, str, str]]:
    """The lines to draw, each with its color and name."""
    found = [(one.sticks, ORANGE, "harmonic"), (one.reference, GREEN, "harmonic reference")]
    return [
        (s, color, f"{name}, {s.source}" if s.source else name) for s, color, name in found if s is not None
    ]


def _stick_traces(one: Spectrum) -> list[go.Scatter]:
    traces = []
    for sticks, color, name in _sets(one):
        nu, value = sticks.wavenumber, sticks.value
        gaps = np.full(len(nu), np.nan)
        traces.append(
            go.Scatter(
                x=np.stack([nu, nu, gaps], axis=1).ravel(),
                y=np.stack([np.zeros(len(nu)), value, gaps], axis=1).ravel(),
                customdata=np.repeat(value, 3),
                name=name,
                mode="lines",
                line={"color": color, "width": 2},
                hovertemplate="%{x:.0f} cm⁻¹: %{customdata:.3g}<extra>harmonic</extra>",
            )
        )
    return traces


def _scale(one: Spectrum, normalize: str | None) -> tuple[float, str]:
    """Factor on the values, and the unit of the axis."""
    if normalize is None:
        return 1.0, _UNITS[one.unit]
    low, high = sorted(_range(one))
    shown = (one.wavenumber >= low) & (one.wavenumber <= high) & np.isfinite(one.value)
    if normalize == "area":
        return 1 / float(np.trapezoid(one.value[shown], one.wavenumber[shown])), "arb. units"
    if normalize == "max":
        return 1 / float(one.value[shown].max()), "arb. units"
    raise ValueError(f"normalize {normalize!r} is not known. Known: area, max.")


def _matched(one: Spectrum, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """An overlay brought to the area of the spectrum over the range both have."""
    common = (one.wavenumber >= x.min()) & (one.wavenumber <= x.max()) & np.isfinite(one.value)
    area = np.trapezoid(one.value[common], one.wavenumber[common])
    return y * (area / np.trapezoid(y, x))


def _overlay(one: Spectrum, overlay: Overlay | None) -> Overlay:
    """What is drawn over a spectrum: what was asked for, and the measured one that it is compared with."""
    measured = one.comparison
    if measured is None:
        return overlay or {}
    name = f"{measured.source}, {measured.quantity}, × {measured.intensity:.3g}"
    return {**(overlay or {}), name: (measured.wavenumber, measured.value)}


def _range(one: Spectrum) -> tuple[float, float]:
    """Left and right end of the axis; wider than usual where a line lies above it."""
    left, right = (1000.0, 0.0) if one.unit == "cm-1" else _RANGES[one.kind]
    lines = [p.position for p in one.peaks]
    if _has_sticks(one) and one.sticks is not None:
        lines += one.sticks.wavenumber.tolist()
    highest = max([left, right, *(500.0 * np.ceil((nu + 50) / 500) for nu in lines)])
    return (highest, right) if left > right else (left, highest)


def _has_sticks(one: Spectrum) -> bool:
    return one.sticks is not None and len(one.sticks.value) > 0


def _title(spectra: Spectra) -> str:
    h = spectra.header
    laser = "" if h.laser is None else f", laser {h.laser:g} nm"
    return (
        f"{h.temperature:g} K, {h.entries * h.stride / 1000:.3g} ps in {h.segments} segments, "
        f"resolution {h.resolution:.3g} cm⁻¹ ({h.window}), {h.frame} frame, {h.quantum} quantum factor{laser}"
    )
