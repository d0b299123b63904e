"""How every figure of the report looks."""

from typing import Any

import plotly.graph_objects as go

#: distinguishable without color vision (Okabe and Ito), without the yellow that white paper swallows
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000",
)  # fmt: skip
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, BLACK)
GREY, LINE = "#555555", "#d8dee4"


def color(index: int) -> str:
    """The color of the index-th of several things."""
    return PALETTE[index % len(PALETTE)]


def translucent(hexadecimal: str, opacity: float) -> str:
    """A color that lets through what is under it."""
    red, green, blue = (int(hexadecimal[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def styled(plot: go.Figure, height: int, **layout: Any) -> go.Figure:
    """One look for all: light, quiet, the legend above."""
    plot.update_layout(
        template="plotly_white",
        height=height,
        font={"family": "system-ui, Segoe UI, Roboto, Helvetica, Arial, sans-serif", "size": 13},
        margin={"l": 62, "r": 28, "t": 46, "b": 52},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"},
        hoverlabel={"font_size": 12},
        colorway=PALETTE,
    )
    plot.update_xaxes(
        automargin=True, title_standoff=8, linecolor=LINE, mirror=True, ticks="outside", ticklen=3
    )
    plot.update_yaxes(
        automargin=True, title_standoff=6, linecolor=LINE, mirror=True, ticks="outside", ticklen=3
    )
    plot.update_layout(**layout)
    return plot
