"""What a comparison looks like: accuracy against cost, learning against time, every seed."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from equipot.comparison.columns import MEGA
from equipot.comparison.table import Cost, ModelTable, Row, front
from equipot.evaluate.readable import of_errors
from equipot.evaluate.report.page import Drawing
from equipot.evaluate.report.style import GREY, PALETTE, color, styled, translucent

#: a second sign beside the color, which repeats after seven
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "x")
DASHES = ("solid", "dash", "dot")
PLACES = ("top center", "bottom center")  # of neighboring names, in turn
Record = Mapping[str, Any]
Axis = tuple[str, Callable[[Cost], tuple[float, float]]]  # title; value and where its bar ends


def speed_axis(table: ModelTable, structures: int) -> Axis:
    """µs per atom and step: of the fastest repetition, and of the median."""
    what = "energy and forces" if "energy" in table.targets() else "prediction"

    def value(cost: Cost) -> tuple[float, float]:
        speed = next(s for s in cost.inference if s.structures == structures)
        return speed.per_atom(), speed.per_atom(speed.timing.median)

    words = "one structure" if structures == 1 else f"{structures} structures at once"
    return f"{what}, {words} / µs per atom", value


def memory_axis() -> Axis:
    """Memory of a training step, of the batch that the run took."""

    def value(cost: Cost) -> tuple[float, float]:
        megabytes = cost.training_bytes / MEGA
        return megabytes, megabytes

    return "memory of a training step / MB", value


def pareto(table: ModelTable, target: str, axis: Axis, name: str, *, wide: bool = False) -> Drawing:
    """Error against cost; the line joins those that no other beats in both."""
    title, value = axis
    readable = of_errors(table.targets()[target])
    rows = [row for row in table.rows if row.cost is not None and target in row.scores]
    data: dict[str, list] = {"model": [row.label for row in rows]}
    x = [value(row.cost) for row in rows if row.cost is not None]
    y = [row.scores[target].mae.mean * readable.factor for row in rows]
    scatter = [(row.scores[target].mae.deviation or 0.0) * readable.factor for row in rows]
    data |= {title: [v for v, _ in x], f"{target} MAE ({readable.unit})": y, "standard deviation": scatter}
    plot = go.Figure()
    _join_front(plot, data["model"], data[title], y)
    for k in sorted(range(len(rows)), key=lambda k: x[k][0]):
        best, usual = x[k]
        plot.add_scatter(
            x=[best], y=[y[k]], mode="markers+text", text=[rows[k].label], name=rows[k].label, showlegend=False,
            textposition=PLACES[_rank(k, x) % 2], marker=_marker(table, rows[k], 12), cliponaxis=False,
            error_y={"array": [scatter[k]], "thickness": 1.5, "width": 4},
            error_x={"array": [usual - best], "arrayminus": [0.0], "thickness": 1, "width": 3},
        )  # fmt: skip
    plot.update_layout(xaxis_title=title, yaxis_title=f"{target} MAE / {readable.unit}")
    plot.update_xaxes(**_scale(data[title], [end for _, end in x]))
    plot.update_yaxes(**_scale(y, [v + s * d for v, s in zip(y, scatter, strict=True) for d in (-1, 1)]))
    caption = (
        f"Test error of the <b>{target}</b> against {title.partition(' /')[0]}. Further down and to the left is better;"
        " the dashed line joins those that no other beats in both. Bars: standard deviation of the seeds; from the"
        " fastest repetition to the median."
    )
    return Drawing(name=name, caption=caption, plot=styled(plot, 460 if wide else 400), data=data, wide=wide)


def seeds(table: ModelTable, target: str) -> Drawing:
    """The error of every run."""
    readable = of_errors(table.targets()[target])
    plot = go.Figure()
    data: dict[str, list] = {"model": [], "seed": [], f"{target} MAE ({readable.unit})": []}
    for row in (r for r in table.rows if target in r.scores):
        own = [(r.seed, float(r.errors[target]["mae"]) * readable.factor) for r in row.finished]
        for column, values in zip(
            data.values(), zip(*[(row.label, *v) for v in own], strict=True), strict=True
        ):
            column += values
        plot.add_scatter(
            x=[row.label] * len(own), y=[v for _, v in own], mode="markers", showlegend=False, name=row.label,
            text=[f"seed {s}" for s, _ in own], marker=_marker(table, row, 9),
        )  # fmt: skip
    plot.update_layout(yaxis_title=f"{target} MAE / {readable.unit}")
    plot.update_yaxes(**_scale(data[f"{target} MAE ({readable.unit})"]))
    return Drawing(name=f"seeds-{target}", caption=f"<b>{target.capitalize()}</b>, every run by itself.",
                   plot=styled(plot, 360), data=data)  # fmt: skip


def learning(table: ModelTable, logs: Mapping[str, Sequence[Record]], target: str) -> Drawing | None:
    """Validation error of every run while it trained, over time or over steps."""
    readable = of_errors(table.targets()[target])
    plot = go.Figure()
    data: dict[str, list] = {"run": [], "time (s)": [], "step": [], f"{target} MAE ({readable.unit})": []}
    axes: dict[str, list[list]] = {"seconds": [], "step": []}
    for row in table.rows:
        shade, dash = color(_place(table, row)), DASHES[_place(table, row) // len(PALETTE) % len(DASHES)]
        for k, run in enumerate(row.finished):
            log = [r for r in logs.get(run.name, ()) if (r.get("valid") or {}).get(target)]
            y = [r["valid"][target]["mae"] * readable.factor for r in log]
            for kind, kept in axes.items():
                kept.append([r[kind] for r in log])
            for column, values in zip(
                data.values(), ([run.name] * len(log), axes["seconds"][-1], axes["step"][-1], y), strict=True
            ):
                column += values
            plot.add_scatter(
                x=axes["seconds"][-1], y=y, mode="lines", name=row.label, legendgroup=row.label, showlegend=k == 0,
                line={"color": translucent(shade, 0.85), "width": 1.6, "dash": dash},
            )  # fmt: skip
    if not data["step"]:
        return None
    plot.update_layout(xaxis_title="training time / s", yaxis_title=f"{target} MAE / {readable.unit}")
    plot.update_yaxes(**_scale(data[f"{target} MAE ({readable.unit})"]))
    buttons = [
        {"label": label, "method": "update", "args": [{"x": axes[kind]}, {"xaxis.title.text": title}]}
        for label, kind, title in (("time", "seconds", "training time / s"), ("steps", "step", "steps"))
    ]
    menu = {"type": "buttons", "direction": "right", "buttons": buttons, "x": 1, "xanchor": "right", "y": -0.02,
            "yanchor": "top", "pad": {"t": 44}, "font": {"size": 11}}  # fmt: skip
    caption = (
        f"Validation error of the <b>{target}</b> while training, a line for each run; of the averaged weights where"
        " there are any."
    )
    styled(plot, 460, updatemenus=[menu], margin={"l": 62, "r": 28, "t": 46, "b": 84})
    return Drawing(name=f"learning-{target}", caption=caption, plot=plot, data=data, wide=True)


def _join_front(plot: go.Figure, names: Sequence[str], x: Sequence[float], y: Sequence[float]) -> None:
    points = dict(zip(names, zip(x, y, strict=True), strict=True))
    chosen = sorted(points[name] for name in front(points))
    plot.add_scatter(
        x=[p[0] for p in chosen], y=[p[1] for p in chosen], mode="lines", hoverinfo="skip", showlegend=False,
        line={"color": GREY, "width": 1.2, "dash": "dash"},
    )  # fmt: skip


def _rank(index: int, x: Sequence[tuple[float, float]]) -> int:
    return sorted(range(len(x)), key=lambda k: x[k][0]).index(index)


def _place(table: ModelTable, row: Row) -> int:
    """Of its color: by name, so that an architecture looks alike however accurate it is."""
    return sorted(r.label for r in table.rows).index(row.label)


def _marker(table: ModelTable, row: Row, size: int) -> dict[str, Any]:
    place = _place(table, row)
    return {"size": size, "color": color(place), "symbol": SYMBOLS[place % len(SYMBOLS)]}


def _scale(values: Sequence[float], ends: Sequence[float] = ()) -> dict[str, Any]:
    """Logarithmic where values span more than a factor of three, with room for names above and beside."""
    shown = [v for v in (*values, *ends) if math.isfinite(v) and v > 0]
    if not shown:
        return {}
    low, high = min(shown), max(shown)
    if high / low > 3:
        room = 0.12 * math.log10(high / low)
        span = [math.log10(low) - room, math.log10(high) + room]
        return {"type": "log", "tickformat": "~g", "dtick": 1 if high / low > 300 else "D2", "range": span}
    room = 0.18 * (high - low) or 0.1 * high
    return {"tickformat": "~g", "nticks": 7, "range": [max(low - room, 0.0), high + room]}
