"""Predictions against labels."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from ase.data import chemical_symbols

from equipot.data.frame import Frame
from equipot.evaluate.metrics import Comparison, Errors, Evaluation
from equipot.evaluate.readable import of_errors, of_values
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Drawing, Section, drawings, table
from equipot.evaluate.report.style import BLUE, GREY, color, styled, translucent
from equipot.evaluate.report.verdict import relative_error, spread

DRAWN = 4000  # points of a target; more slow a browser down and show nothing new


def section(material: Material) -> Section | None:
    """Table of errors, and a parity plot for every target."""
    if material.part is None:
        return None
    figures = [
        _plot(name, shifted(name, comparison, material), material.part)
        for name, comparison in material.judged.items()
    ]
    elements = _elements(material.judged)
    parts = [_errors(material.evaluations), *elements, drawings(figures), *_groups(material)]
    return Section("parity", "Predictions against labels", parts)


def r_squared(comparison: Comparison) -> float:
    """R² = 1 − Σ(Δ)²/Σ(label − mean)², over all components about their own means; NaN for labels all alike."""
    wide = spread(comparison)
    return 1 - (comparison.errors.rmse / wide) ** 2 if wide > 0 else float("nan")


def shifted(name: str, comparison: Comparison, material: Material) -> Comparison:
    """Energies relative to the reference energies of the atoms, since totals of eV thousands hide everything."""
    if name != "energy":
        return comparison
    zero = comparison.label.mean(0, keepdims=True)
    frames = material.frames
    if len(frames) and material.judged.get("energy") is comparison:
        statistics = material.document.statistics
        energies = dict(zip(statistics.elements, statistics.reference_energies, strict=True))
        zero = np.array([[sum(energies[z] for z in frames[k].numbers.tolist())] for k in comparison.frame])
    return Comparison(
        comparison.label - zero,
        comparison.predicted - zero,
        comparison.frame,
        comparison.atoms,
        comparison.element,
        comparison.unit,
    )


def _errors(evaluations: dict[str, Evaluation] | object) -> str:
    rows = []
    assert isinstance(evaluations, dict)
    for part, evaluation in evaluations.items():
        for name, comparison in evaluation.items():
            readable, relative = of_errors(comparison.unit), relative_error(comparison)
            rows.append(
                (
                    part,
                    name,
                    *_pair(comparison.errors, readable.factor),
                    readable.unit,
                    f"{r_squared(comparison):.4f}",
                    "" if relative is None else f"{100 * relative:.2g} %",
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
    frames: Sequence[Frame] = material.frames
    names = sorted({f.group for f in frames if f.group is not None})
    if len(names) < 2:
        return []
    rows = []
    for group in names[:30]:
        chosen = np.array([f.group == group for f in frames])
        for name, c in material.judged.items():
            readable, rows_of = of_errors(c.unit), chosen[c.frame]
            errors = Errors.of((c.predicted - c.label)[rows_of])
            rows.append((group, name, *_pair(errors, readable.factor), readable.unit, f"{errors.count:,}"))
    return [
        "<h3>By group</h3>",
        table(("group", "target", "MAE", "RMSE", "unit", "labels"), rows, words=(0, 1, 4)),
    ]


def _pair(errors: Errors, factor: float) -> tuple[str, str]:
    return f"{errors.mae * factor:.4g}", f"{errors.rmse * factor:.4g}"


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
        f"MAE {np.abs(error).mean():.3g} {readable.unit}",
        f"RMSE {np.sqrt((error**2).mean()):.3g} {readable.unit}",
    ]
    _legend_of_errors(plot, [*lines, f"R² {r_squared(comparison):.4f}"])
    what = f"{name} above the reference energies" if name == "energy" else name
    plot.update_layout(xaxis_title=f"{what}, label / {axes.unit}", yaxis_title=f"predicted / {axes.unit}")
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
    caption = f"{name.capitalize()} on the {part} set; inset: errors / {readable.unit}.{few}"
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
    plot.add_bar(
        x=middle, y=counts, xaxis="x2", yaxis="y2", marker_color=GREY, showlegend=False, name="errors",
        hovertemplate=f"%{{x:.3g}} {unit}: %{{y}}<extra></extra>",
    )  # fmt: skip
    plot.update_layout(
        bargap=0,
        xaxis2={
            "domain": [0.63, 0.97],
            "anchor": "y2",
            "nticks": 4,
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
