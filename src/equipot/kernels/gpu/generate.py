"""Triton kernels of a polynomial over a graph: straight-line code for some edges and some channels at once.

What is summed over the edges of a receiver, or of a sender, is one program for every row and tile of channels: it walks
along the row, with the sums in registers; the edges of a sender are the mirrored ones of its own row. What edges have
of their own is one program for some edges, which walks along the channels. No two programs write to one place: sums
have one order, and no atomic additions. Everything else is read where it is, and no array of edges × channels is made
but those that are asked for.

Kernels are masked at the end of rows and of channels, where all factors read as zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from equipot.kernels.expressions import Language, definitions
from equipot.kernels.polynomial import Kind, Node, Polynomial

NUMBERS = {torch.float32: "tl.float32", torch.float64: "tl.float64"}
MAX_SUMS = 64  # in the registers of one program; more are made by several

#: output -> the walk that makes it
WALKS: dict[Kind, Kind] = {
    "receiver": "receiver",
    "sender": "sender",
    "edge": "edge",
    "direction": "edge",
}
#: walk -> where the edge, its receiver and its sender are, at the places e of the walk
PLACES: dict[Kind, dict[str, str]] = {
    "receiver": {"edge": "e", "receiver": "i + 0 * e", "sender": "{sender}"},
    "sender": {"edge": "{reverse}", "receiver": "{sender}", "sender": "i + 0 * e"},
    "edge": {"edge": "e", "receiver": "{receiver}", "sender": "{sender}"},
}
CONSTANTS = ("C", "EDGES", "CHANNELS")  # of a compiled kernel: channels, and the tile of a program
AT: dict[Kind, str] = {"receiver": "receiver", "sender": "sender"}  # everything else is at the edge


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
    """One function: its text, and which tensors it takes."""

    walk: Kind
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
    def name(self) -> str:
        return f"s{self.output}_{self.component}"


def kernels(polynomial: Polynomial, dtype: torch.dtype) -> list[Kernel]:
    """That make all outputs together."""
    made = []
    for walk in dict.fromkeys(WALKS[slot.kind] for slot in polynomial.outputs):
        results = [
            _Result(n, slot.kind, slot.components, k, node)
            for n, slot in enumerate(polynomial.outputs)
            if WALKS[slot.kind] == walk
            for k, node in enumerate(polynomial.expressions[n])
        ]
        parts = -(-len(results) // MAX_SUMS) if walk != "edge" else 1
        size = -(-len(results) // parts)
        for first in range(0, len(results), size):
            made.append(_Writer(polynomial, dtype, walk, results[first : first + size]).kernel())
    return made


class _Writer:
    """Of one kernel."""

    def __init__(
        self, polynomial: Polynomial, dtype: torch.dtype, walk: Kind, results: list[_Result]
    ) -> None:
        self.polynomial, self.walk, self.results = polynomial, walk, results
        self.zero = f"tl.full((EDGES, CHANNELS), 0, {NUMBERS[dtype]})"
        self.number = NUMBERS[dtype]
        self.read: dict[int, None] = {}  # in the order of first use
        self.language = Language("{name} = {text}", self._load, repr, repr)
        self.sums = [r for r in results if r.kind != "edge"]
        self.place = {slot.kind: n for n, slot in enumerate(polynomial.inputs)}

    def kernel(self) -> Kernel:
        """The whole function; what is computed says what is read."""
        computed = self._computed()
        inputs = tuple(sorted(self.read))
        places = self._places(inputs)
        graph = tuple(g for g in ("row", "sender", "receiver", "reverse") if self._needs(g, places))
        outputs = tuple(dict.fromkeys(r.output for r in self.results))
        sizes = (*("E",) * (self.walk == "edge"), *("KNOTS",) * (self.place.get("value") in inputs))
        tensors = (*graph, *(f"in{n}" for n in inputs), *(f"out{n}" for n in outputs))
        parameters = ", ".join((*tensors, *sizes, *(f"{name}: tl.constexpr" for name in CONSTANTS)))
        loop = [*places, *self._pointers(inputs), *computed]
        text = "\n".join(
            [
                "import triton",
                "import triton.language as tl",
                "",
                "",
                f"@triton.jit(do_not_specialize={list(sizes)})",
                f"def run({parameters}):",
                *_indented(self._begin()),
                *_indented(loop, 8),
                *_indented(self._end()),
                "",
            ]
        )
        return Kernel(self.walk, graph, inputs, outputs, sizes, len(self.sums), text)

    def _needs(self, name: str, places: list[str]) -> bool:
        if name == "row":
            return self.walk != "edge"
        return any(f"tl.load({name} + e" in line for line in places)

    def _begin(self) -> list[str]:
        """Up to the loop over edges or channels."""
        zeros = [f"{r.name} = {self.zero}" for r in self.sums]
        if self.walk == "edge":
            return [
                "e = tl.program_id(0).to(tl.int64) * EDGES + tl.arange(0, EDGES)[:, None]",
                "there = e < E",
                *zeros,
                "for channel in range(0, C, CHANNELS):",
            ]
        return [
            "i = tl.program_id(0).to(tl.int64)",
            "channel = tl.program_id(1) * CHANNELS",
            "end = tl.load(row + i + 1)",
            *zeros,
            "for first in range(tl.load(row + i), end, EDGES):",
        ]

    def _places(self, inputs: tuple[int, ...]) -> list[str]:
        """Where the edge and its atoms are, as far as anybody asks."""
        lines = ["c = channel + tl.arange(0, CHANNELS)[None, :]"]
        if self.walk != "edge":
            lines += ["e = first + tl.arange(0, EDGES)[:, None]", "there = e < end"]
        lines.append("inside = there & (c < C)")
        asked = {AT.get(self.polynomial.inputs[n].kind, "edge") for n in inputs}
        asked |= {"edge"} if self.walk == "edge" else set()
        loads = {g: f"tl.load({g} + e, mask=there, other=0)" for g in ("sender", "receiver", "reverse")}
        return lines + [
            f"at_{what} = {text.format(**loads)}" for what, text in PLACES[self.walk].items() if what in asked
        ]

    def _pointers(self, inputs: tuple[int, ...]) -> list[str]:
        lines = []
        for n in inputs:
            slot = self.polynomial.inputs[n]
            if slot.kind == "direction":
                lines.append(f"p{n} = in{n} + at_edge * {slot.components}")
            elif slot.kind in AT or slot.kind == "edge":
                lines.append(f"p{n} = in{n} + at_{AT.get(slot.kind, 'edge')} * ({slot.components} * C) + c")
        if (table := self.place.get("value")) in inputs:
            names = {"distance": f"in{self.place['distance']}", "table": f"in{table}", "number": self.number}
            lines += TABLE.format(paths=self.polynomial.inputs[table].components, **names).splitlines()
        stored = dict.fromkeys((r.output, r.components) for r in self.results if r.kind == "edge")
        return lines + [f"q{n} = out{n} + at_edge * ({components} * C) + c" for n, components in stored]

    def _load(self, slot: int, component: int) -> str:
        kind, components = self.polynomial.inputs[slot].kind, self.polynomial.inputs[slot].components
        if kind in ("value", "slope"):  # of one table
            self.read |= dict.fromkeys((self.place["value"], self.place["distance"]))
            rows = (
                f"tl.load(rows + {q * components + component} * C, mask=inside, other=0)" for q in range(4)
            )
            return " + ".join(f"{kind}{q} * {row}" for q, row in enumerate(rows))
        self.read[slot] = None
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
            if r.kind == "edge":
                value = self.zero if r.node is None else f"v{r.node}"
                yield r.node, f"tl.store(q{r.output} + {r.component} * C, {value}, mask=inside)"
            elif r.node is not None:
                what, *arguments = self.polynomial.tape.nodes[r.node]
                terms = arguments[1] if what == "sum" and not arguments[0] else ((1.0, r.node),)
                for factor, node in terms:
                    yield node, f"{r.name} += {'' if factor == 1 else f'{factor!r} * '}v{node}"

    def _end(self) -> list[str]:
        """After the loop: the sums are added up and stored."""
        if self.walk == "edge":
            return [
                f"tl.store(out{r.output} + e * {r.components} + {r.component}, tl.sum({r.name}, 1)[:, None], mask=there)"
                for r in self.sums
            ]
        place = "(i * {0} + {1}) * C + c"
        return [
            "c = channel + tl.arange(0, CHANNELS)",
            *(
                f"tl.store(out{r.output} + {place.format(r.components, r.component)}, tl.sum({r.name}, 0), mask=c < C)"
                for r in self.sums
            ),
        ]


def _indented(lines: list[str], by: int = 4) -> list[str]:
    return [" " * by + line for line in lines]
