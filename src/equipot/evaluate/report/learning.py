"""How the training went."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from equipot.evaluate.readable import of_errors
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Drawing, Section, drawings, paragraph
from equipot.evaluate.report.style import BLACK, GREY, color, styled

Record = Mapping[str, Any]


def section(material: Material) -> Section | None:
    """Loss, errors and learning rate over time and over steps."""
    if not material.log:
        return None
    last = material.log[-1]
    words = (
        f"{last['step']:,} steps, {last['epoch']:.1f} epochs, {last['seconds']:.0f} s. "
        f"{100 * last.get('clipped', 0):.0f} % of the gradients were clipped, {last.get('skipped', 0)} steps skipped."
    )
    figures = [_loss(material.log)]
    if any(r.get("valid") for r in material.log):
        figures.append(_errors(material.log))
    return Section("learning", "Learning curves", [paragraph(words, "note"), drawings(figures)])


def _loss(log: Sequence[Record]) -> Drawing:
    parts = [n for n in log[-1]["train"] if n != "loss"]
    data: dict[str, list] = {
        **_axes(log),
        **{f"train {n}": [r["train"].get(n) for r in log] for n in ("loss", *parts)},
        "validation loss": [r["valid_loss"] for r in log],
        "learning rate": [r["learning_rate"] for r in log],
    }
    plot = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.76, 0.24], vertical_spacing=0.06)
    curves = {"training": ("train loss", BLACK, "solid"), "validation": ("validation loss", BLACK, "dash")}
    curves |= {n: (f"train {n}", color(k), "solid") for k, n in enumerate(parts)}
    for name, (column, shade, dash) in curves.items():
        plot.add_scatter(
            x=data["time (s)"], y=data[column], name=name, line={"color": shade, "dash": dash}, row=1, col=1
        )
    rate = {"x": data["time (s)"], "y": data["learning rate"], "line": {"color": GREY}, "showlegend": False}
    plot.add_scatter(**rate, name="learning rate", row=2, col=1)
    losses = [value for name in data if "loss" in name for value in data[name]]
    plot.update_yaxes(title_text="loss", row=1, col=1, **_scale(losses))
    plot.update_yaxes(title_text="learning<br>rate", rangemode="tozero", row=2, col=1)
    caption = (
        "Loss, its parts by target, and the learning rate. Training is the mean since the last validation."
    )
    return Drawing(name="loss", caption=caption, plot=_switched(plot, log, 510), data=data)


def _errors(log: Sequence[Record]) -> Drawing:
    names = list(next(r["valid"] for r in reversed(log) if r["valid"]))
    plot = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.2 / len(names))
    data: dict[str, list] = _axes(log)
    for k, name in enumerate(names):
        readable = of_errors(next(r["valid"][name]["unit"] for r in log if name in r["valid"]))
        column = f"{name} MAE ({readable.unit})"
        data[column] = [r["valid"].get(name, {}).get("mae", np.nan) * readable.factor for r in log]
        plot.add_scatter(
            x=data["time (s)"],
            y=data[column],
            name=name,
            line={"color": color(k)},
            showlegend=False,
            row=k + 1,
            col=1,
        )
        plot.update_yaxes(title_text=f"{name}<br>{readable.unit}", row=k + 1, col=1, **_scale(data[column]))
    plot.update_yaxes(tickfont={"size": 11})
    caption = "Mean absolute error on the validation set, of the averaged weights where there are any."
    return Drawing(
        name="validation", caption=caption, plot=_switched(plot, log, max(510, 120 * len(names))), data=data
    )


def _scale(values: Sequence[float | None]) -> dict[str, Any]:
    """Logarithmic where values span enough for ticks at 1, 2, 5; at powers of ten where they span decades."""
    shown = [v for v in values if v is not None and math.isfinite(v) and v > 0]
    span = max(shown) / min(shown) if shown else 1.0
    if span < 5:
        return {"type": "linear", "nticks": 5, "tickformat": "~g"}
    return {"type": "log", "dtick": 1 if span > 300 else "D2", "tickformat": "~g"}


def _axes(log: Sequence[Record]) -> dict[str, list]:
    return {"time (s)": [r["seconds"] for r in log], "step": [r["step"] for r in log]}


def _switched(plot: go.Figure, log: Sequence[Record], height: int) -> go.Figure:
    """Over time, or over steps, at a touch."""
    rows = sum(1 for _ in plot.select_xaxes())
    bottom = "xaxis" if rows == 1 else f"xaxis{rows}"
    buttons = [
        {
            "label": label,
            "method": "update",
            "args": [{"x": [values] * len(list(plot.select_traces()))}, {f"{bottom}.title.text": title}],
        }
        for (label, title), values in zip(
            (("time", "time / s"), ("steps", "steps")), _axes(log).values(), strict=True
        )
    ]
    menu = {
        "type": "buttons",
        "direction": "right",
        "buttons": buttons,
        "x": 1,
        "xanchor": "right",
        "y": -0.02,
        "yanchor": "top",
        "pad": {"t": 44},
        "font": {"size": 11},
    }
    plot.update_xaxes(title_text="time / s", row=rows, col=1)
    return styled(plot, height, updatemenus=[menu], margin={"l": 62, "r": 28, "t": 46, "b": 84})
