"""Triton kernels of a polynomial over a graph: straight-line code for some edges and some channels at once.

What is summed over the edges of a receiver, or of a sender, is made by one program for every row and tile of channels,
with the sums in registers; what edges have of their own, by one program for some edges (`walks`). No two programs write
to one place: sums have one order, and no addition is atomic. Everything else is read where it is, and no array of
edges × channels is made but those that are asked for.

Kernels are masked at the ends of rows and of channels, where all factors read as zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from equipot.kernels.expressions import Language, definitions
from equipot.kernels.gpu.walks import (
    CONSTANTS,
    WALKS,
    Walk,
    closing,
    graph_of,
    loop,
    opening,
    places,
    sizes_of,
)
from equipot.kernels.polynomial import Kind, Node, Polynomial, Slot

NUMBERS = {torch.float32: "tl.float32", torch.float64: "tl.float64"}
MAX_SUMS = 64  # in the registers of one program; more are made by several

#: from the distance in spacings: the knot below, and the factors of four rows in value and slope
TABLE = """\
x = tl.load({distance} + at_edge, mask=there, other=0)
knot = tl.minimum(tl.maximum(x, 0).to(tl.int64), KNOTS - 2)
t = x - knot.to({number})
s = 1 - t
value0, value1, value2, value3 = (1 + 2 * t) * s * s, t * s * s, t * t * (3 - 2 * t), -t * t * s
slope0, slope1, slope2, slope3 = -6 * t * s, s * (1 - 3 * t), 6 * t * s, t * (3 * t - 2)
rows = {table} + knot * (2 * {paths} * C) + c"""


@dataclass(frozen=True)
class Kernel:
    """One function `run`: its text, and the arguments in their order."""

    walk: Walk
    graph: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    sizes: tuple[str, ...]
    sums: int  # in registers
    text: str


@dataclass(frozen=True)
class _Result:
    """A component of an output."""

    output: int
    kind: Kind
    components: int
    component: int
    node: Node

    @property
    def summed(self) -> bool:
        return self.kind not in ("edge", "row")

    @property
    def sum(self) -> str:
        return f"s{self.output}_{self.component}"


def kernels(polynomial: Polynomial, dtype: torch.dtype) -> list[Kernel]:
    """That make all outputs together."""
    made = []
    walks: list[Walk] = [WALKS[slot.kind] for slot in polynomial.outputs]
    for walk in sorted(set(walks), key=walks.index):
        results = [
            _Result(n, slot.kind, slot.components, k, node)
            for n, slot in enumerate(polynomial.outputs)
            if WALKS[slot.kind] == walk
            for k, node in enumerate(polynomial.expressions[n])
        ]
        for part in [results] if walk == "edge" else _parts(results):
            made.append(_Writer(polynomial, NUMBERS[dtype], walk, part).kernel())
    return made


def _parts(results: list[_Result]) -> Iterator[list[_Result]]:
    """What is stored, and sums as many as fit the registers."""
    sums = [r for r in results if r.summed]
    if len(sums) < len(results):
        yield [r for r in results if not r.summed]
    parts = -(-len(sums) // MAX_SUMS)
    size = -(-len(sums) // max(1, parts))
    yield from (sums[first : first + size] for first in range(0, len(sums), max(1, size)))


class _Writer:
    """Of one kernel."""

    def __init__(self, polynomial: Polynomial, number: str, walk: Walk, results: list[_Result]) -> None:
        self.polynomial, self.number, self.results = polynomial, number, results
        self.walk: Walk = walk
        self.zero = f"tl.full((EDGES, CHANNELS), 0, {number})"
        self.language = Language("{name} = {text}", self._load, repr, repr, "tl.sqrt", "tl.sigmoid")
        self.read: set[int] = set()
        # weights are zero beyond the end of a row of edges; other polynomials may have constants
        self.masked = any(slot.kind == "row" for slot in polynomial.inputs)
        # of a table there is one
        self.place = {slot.kind: n for n, slot in enumerate(polynomial.inputs)}

    def kernel(self) -> Kernel:
        """The whole function; what is computed says what is read."""
        computed, inputs = self._computed(), tuple(sorted(self.read))
        asked = {_place(self.polynomial.inputs[n]) for n in inputs}
        asked |= {"edge"} if self.walk in ("edge", "rows") else set()
        graph, outputs = graph_of(self.walk, asked), tuple(dict.fromkeys(r.output for r in self.results))
        sizes = (*sizes_of(self.walk), *("KNOTS",) * (self.place.get("value") in inputs))
        tensors = (*graph, *(f"in{n}" for n in inputs), *(f"out{n}" for n in outputs))
        constants = (f"{name}: tl.constexpr" for name in CONSTANTS)
        sums = [r for r in self.results if r.summed]
        lines = [
            *opening(self.walk),
            *(f"{r.sum} = {self.zero}" for r in sums),
            loop(self.walk),
            *("    " + line for line in (*places(self.walk, asked), *self._pointers(inputs), *computed)),
            *(closing(self.walk, r.output, r.components, r.component, r.sum) for r in sums),
        ]
        head = f"@triton.jit(do_not_specialize={list(sizes)})\ndef run({', '.join((*tensors, *sizes, *constants))}):"
        text = "\n    ".join([f"import triton\nimport triton.language as tl\n\n\n{head}", *lines]) + "\n"
        return Kernel(self.walk, graph, inputs, outputs, sizes, len(sums), text)

    def _pointers(self, inputs: tuple[int, ...]) -> list[str]:
        """To what is read and stored at this place of the loop, channels included."""
        lines = []
        for n in inputs:
            slot = self.polynomial.inputs[n]
            if slot.kind == "direction":
                lines.append(f"p{n} = in{n} + at_edge * {slot.components}")
            elif slot.kind == "value":
                names = {"distance": f"in{self.place['distance']}", "table": f"in{n}", "number": self.number}
                lines += TABLE.format(paths=slot.components, **names).splitlines()
            elif slot.kind == "shared":
                lines.append(f"p{n} = in{n} + c")
            elif slot.kind != "distance":
                lines.append(f"p{n} = in{n} + at_{_place(slot)} * ({slot.components} * C) + c")
        stored = dict.fromkeys((r.output, r.components) for r in self.results if not r.summed)
        return lines + [f"q{n} = out{n} + at_edge * ({components} * C) + c" for n, components in stored]

    def _load(self, slot: int, component: int) -> str:
        kind, components = self.polynomial.inputs[slot].kind, self.polynomial.inputs[slot].components
        if kind in ("value", "slope"):
            self.read |= {self.place["value"], self.place["distance"]}
            rows = (
                f"tl.load(rows + {q * components + component} * C, mask=inside, other=0)" for q in range(4)
            )
            return " + ".join(f"{kind}{q} * {row}" for q, row in enumerate(rows))
        self.read.add(slot)
        if kind == "direction":
            return f"tl.load(p{slot} + {component}, mask=there, other=0)"
        return f"tl.load(p{slot} + {component} * C, mask=inside, other=0)"

    def _computed(self) -> list[str]:
        """Every result as soon as its last factor is known: few numbers live at once."""
        lines: list[str] = []
        known: set[int] = set()
        for node, statement in sorted(self._statements(), key=lambda s: -1 if s[0] is None else s[0]):
            lines += [*definitions(self.polynomial.tape, node, known, self.language), statement]
        return lines

    def _statements(self) -> Iterator[tuple[Node, str]]:
        for r in self.results:
            if not r.summed:
                value = self.zero if r.node is None else f"v{r.node}"
                yield r.node, f"tl.store(q{r.output} + {r.component} * C, {value}, mask=inside)"
            elif r.node is not None:
                what, *arguments = self.polynomial.tape.nodes[r.node]
                terms = arguments[1] if what == "sum" and not arguments[0] else ((1.0, r.node),)
                for factor, node in terms:
                    value = f"{'' if factor == 1 else f'{factor!r} * '}v{node}"
                    yield node, f"{r.sum} += {f'tl.where(inside, {value}, 0)' if self.masked else value}"


def _place(slot: Slot) -> str:
    """Where an input is read."""
    return {"receiver": "receiver", "group": "receiver", "sender": "sender"}.get(slot.kind, "edge")
