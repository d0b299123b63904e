"""The page: sections of text, tables and figures, and everything they need in one file."""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

#: nothing is loaded from anywhere, whatever a data file brings into the text
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src blob:; worker-src blob:"
)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure, what it shows, and its numbers."""

    name: str  # of the CSV file; unique on the page
    caption: str
    plot: go.Figure
    data: Mapping[str, Sequence | np.ndarray]  # column -> values; columns may differ in length
    wide: bool = False  # the whole width of the page


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, each part HTML."""

    anchor: str
    title: str
    parts: Sequence[str]


class Markup(str):
    """A piece of HTML, which a table takes as it is."""


def text(value: object) -> str:
    """Any value as text that cannot be taken for HTML."""
    return html.escape(str(value))


def link(address: str, words: object) -> Markup:
    """Words that lead to another file."""
    return Markup(f'<a href="{text(address)}">{text(words)}</a>')


def paragraph(content: str, kind: str = "") -> str:
    """A paragraph of HTML."""
    return f'<p class="{kind}">{content}</p>' if kind else f"<p>{content}</p>"


def code(content: str) -> str:
    """A listing."""
    return f"<pre><code>{text(content)}</code></pre>"


def folded(title: str, content: str) -> str:
    """What only some readers want to see."""
    return f"<details><summary>{text(title)}</summary>{content}</details>"


def facts(values: Mapping[str, object]) -> str:
    """Names and values; empty ones are left out."""
    rows = (f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in values.items() if v not in (None, ""))
    return f"<dl>{''.join(rows)}</dl>"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], words: Sequence[int] = (0,)) -> str:
    """A table; columns of `words` are set left, numbers right."""
    kinds = ["words" if k in words else "number" for k in range(len(columns))]
    head = "".join(f'<th class="{k}">{text(c)}</th>' for k, c in zip(kinds, columns, strict=True))
    body = "".join(f"<tr>{_cells(kinds, row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def drawings(items: Sequence[Drawing], *, small: bool = False) -> str:
    """Figures beside each other where there is room, two in a row or three small ones."""
    row = "drawings three" if small else "drawings"
    return f'<div class="{row}">{"".join(map(_drawing, items))}</div>' if items else ""


def csv(data: Mapping[str, Sequence | np.ndarray]) -> str:
    """Columns as text, one name each; short columns end early."""
    length = max((len(column) for column in data.values()), default=0)
    rows = [",".join(_cell(c[k]) if k < len(c) else "" for c in data.values()) for k in range(length)]
    return "\n".join([",".join(_cell(name) for name in data), *rows]) + "\n"


def page(title: str, sections: Sequence[Section]) -> str:
    """The whole file."""
    files = resources.files("equipot.evaluate.report")
    style, script = ((files / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    links = " ".join(f'<a href="#{s.anchor}">{text(s.title)}</a>' for s in sections[1:])
    body = "".join(_section(s, links if k == 0 else "") for k, s in enumerate(sections))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{text(title)}</title>\n<style>{style}</style>\n</head>\n'
        f"<body>\n<main>\n{body}</main>\n"
        "<noscript>The figures of this report are drawn by JavaScript, which is switched off.</noscript>\n"
        f"<script>{get_plotlyjs()}</script>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _cells(kinds: Sequence[str], row: Sequence[object]) -> str:
    cells = (v if isinstance(v, Markup) else text(v) for v in row)
    return "".join(f'<td class="{k}">{v}</td>' for k, v in zip(kinds, cells, strict=True))


def _section(section: Section, links: str) -> str:
    level = "h1" if links else "h2"
    contents = f"<nav>{links}</nav>" if links else ""
    return (
        f'<section id="{section.anchor}"><{level}>{text(section.title)}</{level}>'
        f"{''.join(section.parts)}{contents}</section>\n"
    )


def _drawing(item: Drawing) -> str:
    height, width = item.plot.layout.height, "wide" if item.wide else "half"
    return (
        f'<figure class="{width}">'
        f'<div class="plot" data-plot="{item.name}" style="height:{height:.0f}px"></div>'
        f"<figcaption>{item.caption} "
        f'<a class="csv" data-csv="{item.name}" download="{item.name}.csv" href="#">CSV</a></figcaption>'
        f"{_block(f'plot-{item.name}', str(item.plot.to_json()))}"
        f"{_block(f'csv-{item.name}', json.dumps(csv(item.data), ensure_ascii=False))}</figure>"
    )


def _block(identifier: str, content: str) -> str:
    """JSON inside HTML: no text of it can end the block."""
    harmless = content.replace("<", "\\u003c")
    return f'<script type="application/json" id="{identifier}">{harmless}</script>'


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.9g}"
    found = str(value)
    return '"' + found.replace('"', '""') + '"' if any(c in found for c in ',"\n') else found
