"""Who visits which edges: the frames of Triton kernels.

A walk along the row of a receiver i passes its edges i ← j; a walk along the row of a sender passes the mirrored edges,
which are those that it sends on. Each is one program for a row and a tile of channels, and holds sums. A walk "edge" is
one program for a few edges and all their channels: what edges have of their own, and sums over channels. A walk "rows"
is one program for some rows of a polynomial, a block of them where they are summed, and a tile of channels.
"""

from typing import Literal

from equipot.kernels.polynomial import Kind

Walk = Literal["receiver", "sender", "edge", "rows"]
#: an output -> the walk that makes it
WALKS: dict[Kind, Walk] = {
    "receiver": "receiver",
    "group": "receiver",
    "sender": "sender",
    "edge": "edge",
    "direction": "edge",
    "row": "rows",
    "shared": "rows",
}
GRAPH = ("row", "sender", "receiver", "reverse")
CONSTANTS = ("C", "EDGES", "CHANNELS")  # of a compiled kernel: channels, and the tile of a program

# where the edge, its receiver and its sender are, at the place e of a walk
_PLACES: dict[Walk, dict[str, str]] = {
    "receiver": {"edge": "e", "receiver": "i + 0 * e", "sender": "{sender}"},
    "sender": {"edge": "{reverse}", "receiver": "{sender}", "sender": "i + 0 * e"},
    "edge": {"edge": "e", "receiver": "{receiver}", "sender": "{sender}"},
    "rows": {"edge": "e", "receiver": "{receiver}"},
}


def opening(walk: Walk) -> list[str]:
    """What a program is about."""
    if walk == "edge":
        return [
            "e = tl.program_id(0).to(tl.int64) * EDGES + tl.arange(0, EDGES)[:, None]",
            "there = e < E",
        ]
    if walk == "rows":
        return [
            "i = tl.program_id(0).to(tl.int64)",
            "channel = tl.program_id(1) * CHANNELS",
            "end = tl.minimum((i + 1) * ROWS, E)",
        ]
    return [
        "i = tl.program_id(0).to(tl.int64)",
        "channel = tl.program_id(1) * CHANNELS",
        "end = tl.load(row + i + 1)",
    ]


def loop(walk: Walk) -> str:
    """Over the channels of some edges, or the edges of a row."""
    if walk == "edge":
        return "for channel in range(0, C, CHANNELS):"
    return f"for first in range({'i * ROWS' if walk == 'rows' else 'tl.load(row + i)'}, end, EDGES):"


def places(walk: Walk, asked: set[str]) -> list[str]:
    """Inside the loop: the channels, and where the edge and its atoms are, as far as anybody asks."""
    lines = ["c = channel + tl.arange(0, CHANNELS)[None, :]"]
    if walk != "edge":
        lines += ["e = first + tl.arange(0, EDGES)[:, None]", "there = e < end"]
    lines.append("inside = there & (c < C)")
    loads = {name: f"tl.load({name} + e, mask=there, other=0)" for name in GRAPH[1:]}
    return lines + [
        f"at_{what} = {text.format(**loads)}" for what, text in _PLACES[walk].items() if what in asked
    ]


def graph_of(walk: Walk, asked: set[str]) -> tuple[str, ...]:
    """The tensors of the graph that a walk reads."""
    read = "".join(text for what, text in _PLACES[walk].items() if what in asked)
    return tuple(
        name for name in GRAPH if (name == "row" and walk in ("receiver", "sender")) or f"{{{name}}}" in read
    )


def sizes_of(walk: Walk) -> tuple[str, ...]:
    """The numbers that a walk needs beside them."""
    return {"edge": ("E",), "rows": ("E", "ROWS")}.get(walk, ())


def closing(walk: Walk, output: int, components: int, component: int, total: str) -> str:
    """After the loop: a sum is added up over its tile, and stored."""
    if walk == "edge":
        return (
            f"tl.store(out{output} + e * {components} + {component}, tl.sum({total}, 1)[:, None], mask=there)"
        )
    place = f"out{output} + (i * {components} + {component}) * C + channel + tl.arange(0, CHANNELS)"
    return f"tl.store({place}, tl.sum({total}, 0), mask=channel + tl.arange(0, CHANNELS) < C)"
