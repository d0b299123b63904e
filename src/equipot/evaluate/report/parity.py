"""Predictions against labels."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from ase.data import chemical_symbols

from equipot.evaluate.metrics import Comparison, Errors, Evaluation
from equipot.evaluate.readable import number, of_errors, of_values
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Drawing, Section, drawings, table
from equipot.evaluate.report.relative import r_squared, relative_error
from equipot.evaluate.report.style import BLUE, GREY, color, styled, translucent

MOST_GROUPS = 30
DRAWN = 4000  # points of a target; more slow a browser down and show nothing new


def section(material: Material) -> Section | None:
    """Table of errors, and a parity plot for every target."""
    if material.part is None:
        return None
    figures = [
        _plot(name, comparison, material.part)
        for name, comparison in material.judged.items()
        if np.isfinite(comparison.predicted).all()
    ]
    elements = _elements(material.judged)
    parts = [_errors(material.evaluations), *elements, drawings(figures), *_groups(material)]
    return Section("parity", "Predictions against labels", parts)


def _errors(evaluations: Mapping[str, Evaluation]) -> str:
    rows = []
    for part, evaluation in evaluations.items():
        for name, comparison in evaluation.items():
            readable, relative = of_errors(comparison.unit), relative_error(comparison)
            rows.append(
                (
                    part,
                    name,
                    *_pair(comparison.errors, readable.factor),
                    readable.unit,
                    _r_squared(comparison),
                    "" if relative is None else f"{number(100 * relative, 2)} %",
                    f"{comparison.errors.count:,}",
                )
            )
    columns = ("part", "target", "MAE", "RMSE", "unit", "R²", "RMSE / spread", "labels")
    return table(columns, rows, words=(0, 1, 4))


def _elements(evaluation: Evaluation) -> list[str]:
    """Errors by element, for targets of atoms."""
    rows = []
    for name, comparison in evaluation.items():
        readable = of_errors(comparison.unit)
        for symbol, errors in comparison.per_element().items():
            rows.append((name, symbol, *_pair(errors, readable.factor), readable.unit, f"{errors.count:,}"))
    if not rows:
        return []
    columns = ("target", "element", "MAE", "RMSE", "unit", "labels")
    return ["<h3>By element</h3>", table(columns, rows, words=(0, 1, 4))]


def _groups(material: Material) -> list[str]:
    """Errors by group, where the data has groups."""
    frames, judged = material.frames, material.judged
    names = sorted({f.group for f in frames if f.group is not None})
    if len(names) < 2:
        return []
    rows = []
    for group in names[:MOST_GROUPS]:
        chosen = np.array([f.group == group for f in frames])
        errors = [Errors.of((c.predicted - c.label)[chosen[c.frame]]) for c in judged.values()]
        factors = [of_errors(c.unit).factor for c in judged.values()]
        maes = [number(e.mae * f) if e.count else "" for e, f in zip(errors, factors, strict=True)]
        rows.append((group, int(chosen.sum()), *maes))
    columns = ("group", "frames", *(f"{n} MAE / {of_errors(c.unit).unit}" for n, c in judged.items()))
    return ["<h3>By group</h3>", table(columns, rows)]


def _pair(errors: Errors, factor: float) -> tuple[str, str]:
    return number(errors.mae * factor), number(errors.rmse * factor)


def _r_squared(comparison: Comparison) -> str:
    value = r_squared(comparison)
    return "not defined" if np.isnan(value) else f"{value:.4f}"


def _plot(name: str, comparison: Comparison, part: str) -> Drawing:
    axes, readable = of_values(comparison.unit), of_errors(comparison.unit)
    size = comparison.label.shape[1]
    label, predicted = comparison.label.ravel(), comparison.predicted.ravel()
    chosen = np.unique(np.linspace(0, len(label) - 1, min(len(label), DRAWN)).astype(int))
    x, y = label[chosen] * axes.factor, predicted[chosen] * axes.factor
    element = None if comparison.element is None else np.repeat(comparison.element, size)[chosen]
    plot = go.Figure()
    for title, shade, mask in _series(element, len(chosen)):
        dots = {"size": 5, "color": translucent(shade, 0.55)}
        plot.add_scatter(
            x=x[mask], y=y[mask], mode="markers", name=title, marker=dots, showlegend=element is not None
        )
    _diagonal(plot, x, y)
    error = (predicted - label) * readable.factor
    _inset(plot, error, readable.unit)
    lines = [
        f"MAE {number(comparison.errors.mae * readable.factor)} {readable.unit}",
        f"RMSE {number(comparison.errors.rmse * readable.factor)} {readable.unit}",
    ]
    _legend_of_errors(plot, [*lines, f"R² {_r_squared(comparison)}"])
    plot.update_layout(xaxis_title=f"label / {axes.unit}", yaxis_title=f"predicted / {axes.unit}")
    few = (
        ""
        if len(chosen) == len(label)
        else f" {len(chosen):,} of {len(label):,} numbers are drawn, all are counted."
    )
    data = {
        "frame": np.repeat(comparison.frame, size)[chosen],
        **({} if element is None else {"element": [chemical_symbols[z] for z in element]}),
        f"label ({axes.unit})": x,
        f"predicted ({axes.unit})": y,
    }
    counted = ", without the reference energies of the atoms" if name == "energy" else ""
    caption = f"<b>{name.capitalize()}</b>{counted}, {part} set. Inset: errors / {readable.unit}.{few}"
    return Drawing(name=f"parity-{name}", caption=caption, plot=styled(plot, 440), data=data)


def _series(element: np.ndarray | None, count: int) -> list[tuple[str, str, np.ndarray]]:
    if element is None:
        return [("all", BLUE, np.ones(count, dtype=bool))]
    return [(chemical_symbols[z], color(k), element == z) for k, z in enumerate(np.unique(element))]


def _diagonal(plot: go.Figure, x: np.ndarray, y: np.ndarray) -> None:
    """The line of no error, over the range of both axes."""
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    margin = 0.04 * (high - low) or 1.0
    ends = [low - margin, high + margin]
    line = {"color": GREY, "width": 1}
    plot.add_scatter(x=ends, y=ends, mode="lines", line=line, showlegend=False, hoverinfo="skip")
    plot.update_layout(xaxis_range=ends, yaxis_range=ends)


def _inset(plot: go.Figure, error: np.ndarray, unit: str) -> None:
    """Histogram of the errors in the lower right corner, where no point of a good model lies."""
    reach = float(np.quantile(np.abs(error), 0.99)) * 1.2 or 1.0
    counts, edges = np.histogram(error, np.linspace(-reach, reach, 41))
    middle = (edges[1:] + edges[:-1]) / 2
    tick = float(f"{0.6 * reach:.0e}")  # one digit
    plot.add_bar(
        x=middle, y=counts, xaxis="x2", yaxis="y2", marker_color=GREY, showlegend=False, name="errors",
        hovertemplate=f"%{{x:.3g}} {unit}: %{{y}}<extra></extra>",
    )  # fmt: skip
    plot.update_layout(
        bargap=0,
        xaxis2={
            "domain": [0.63, 0.97],
            "anchor": "y2",
            "tickvals": [-tick, 0, tick],
            "tickfont": {"size": 10},
            "zeroline": False,
        },
        yaxis2={"domain": [0.12, 0.36], "anchor": "x2", "showticklabels": False, "showgrid": False},
    )


def _legend_of_errors(plot: go.Figure, lines: Sequence[str]) -> None:
    plot.add_annotation(
        text="<br>".join(lines), xref="x domain", yref="y domain", x=0.03, y=0.97, xanchor="left", yanchor="top",
        align="left", showarrow=False, bgcolor="rgba(255,255,255,0.85)", font={"size": 13},
    )  # fmt: skip
