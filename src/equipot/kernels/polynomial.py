"""Functions of the components of features, row by row and channel by channel: written once, differentiated exactly.

A `Polynomial` says how the components of some outputs follow from those of some inputs; a row is an atom or an edge.
Its derivative is one again, so a single generator serves energies, forces and training on forces. What many-body
products, matrix products and products of pairs are made of; with inverses, roots and logistic functions, also what
stands between them: norms, gates, activations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from equipot.tensor import tables

Node = int | None  # None: zero, which takes part in nothing
Kind = Literal[
    "row", "group", "shared", "receiver", "sender", "edge", "direction", "distance", "value", "slope"
]
_ONE = ("sum", 1.0, ())


class Tape:
    """Expressions by number; equal ones have one number."""

    def __init__(self) -> None:
        self.nodes: list[tuple] = []
        self._known: dict[tuple, int] = {}

    def _number(self, node: tuple) -> int:
        if node not in self._known:
            self._known[node] = len(self.nodes)
            self.nodes.append(node)
        return self._known[node]

    def input(self, slot: int, component: int) -> int:
        """A component of an input."""
        return self._number(("input", slot, component))

    def product(self, a: Node, b: Node) -> Node:
        """Of two, a b."""
        if a is None or b is None:
            return None
        if _ONE in (self.nodes[a], self.nodes[b]):
            return b if self.nodes[a] == _ONE else a
        return self._number(("product", min(a, b), max(a, b)))

    def inverse(self, a: Node) -> int:
        """1/a."""
        if a is None:
            raise ZeroDivisionError("the inverse of zero")
        return self._number(("inverse", a))

    def root(self, a: Node) -> int:
        """√a; its derivative is that at a > 0."""
        if a is None:
            raise ZeroDivisionError("the root of zero has no derivative")
        return self._number(("root", a))

    def logistic(self, a: Node) -> Node:
        """σ(a) = 1/(1 + e^(−a))."""
        return self.sum([], constant=0.5) if a is None else self._number(("logistic", a))

    def silu(self, a: Node) -> Node:
        """The product a σ(a)."""
        return self.product(a, self.logistic(a))

    def sum(self, terms: Sequence[tuple[float, Node]], constant: float = 0.0) -> Node:
        """Of terms, constant + Σ factor · node."""
        factors: dict[int, float] = {}
        for factor, node in terms:
            if node is not None:
                factors[node] = factors.get(node, 0.0) + factor
        found = tuple((factor, node) for node, factor in factors.items() if factor != 0.0)
        if constant == 0.0 and (not found or (len(found) == 1 and found[0][0] == 1.0)):
            return found[0][1] if found else None
        return self._number(("sum", constant, found))

    def couple(
        self, x: Sequence[Node], l1: int, y: Sequence[Node], l2: int, l3: int, scale: float = 1.0
    ) -> list[Node]:
        """Their part of degree l3, scale √(2l3+1) Σ_ab w3j_abk x_a y_b of spherical components."""
        table = scale * tables.coupling(l1, l2, l3)
        terms: list[list[tuple[float, Node]]] = [[] for _ in range(2 * l3 + 1)]
        for k, a, b in zip(*table.nonzero(), strict=True):
            terms[k].append((float(table[k, a, b]), self.product(x[a], y[b])))
        return [self.sum(t) for t in terms]


@dataclass(frozen=True)
class Slot:
    """An input or output: [rows, components, channels], a row per atom or edge, per group of them, or for all.

    In a graph (`equipot.kernels.edge_polynomial`) there are others: what receivers or senders have; what edges have,
    for every channel ("edge") or, without an axis of channels, for all ("direction", "distance"); and what is read from
    a table at the distance ("value", "slope").
    """

    components: int
    kind: Kind = "row"


@dataclass(frozen=True, eq=False)
class Polynomial:
    """Outputs as expressions of inputs. "group" and "shared" outputs are sums over the rows that they belong to."""

    tape: Tape
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    expressions: tuple[tuple[Node, ...], ...]  # of the components of every output
    _derivatives: dict[tuple, "Polynomial"] = field(default_factory=dict)

    # derived once, so that a call costs no more than its tensors
    rows: int = field(init=False)  # the first input that has a row for each row
    grouped: bool = field(init=False)

    def __post_init__(self) -> None:
        kinds = [slot.kind for slot in self.inputs]
        rows = kinds.index("row") if "row" in kinds else 0  # those of an edge operation have edges instead
        object.__setattr__(self, "rows", rows)  # the way into a frozen dataclass
        object.__setattr__(self, "grouped", "group" in (*kinds, *(slot.kind for slot in self.outputs)))

    def __deepcopy__(self, memo: dict) -> "Polynomial":
        return self  # never changes

    def derivative(self, wanted: tuple[bool, ...], given: tuple[bool, ...]) -> "Polynomial":
        """Gradients of the wanted inputs as functions of all inputs and the gradients of the given outputs.

        Reverse accumulation on the tape: what follows later in it depends on what is before.
        """
        key = (wanted, given)
        if key not in self._derivatives:
            self._derivatives[key] = self._differentiated(wanted, given)
        return self._derivatives[key]

    def _differentiated(self, wanted: tuple[bool, ...], given: tuple[bool, ...]) -> "Polynomial":
        tape = self.tape
        cotangents = [slot for slot, there in zip(self.outputs, given, strict=True) if there]
        terms: dict[int, list[tuple[float, Node]]] = {}
        number = len(self.inputs)
        for expressions, there in zip(self.expressions, given, strict=True):
            if there:
                for component, node in enumerate(expressions):
                    if node is not None:
                        terms.setdefault(node, []).append((1.0, tape.input(number, component)))
                number += 1
        gradients: dict[tuple[int, int], Node] = {}
        for node in range(max(terms, default=-1), -1, -1):
            if node not in terms:
                continue
            adjoint, (what, *arguments) = tape.sum(terms.pop(node)), tape.nodes[node]
            if what == "input":
                gradients[arguments[0], arguments[1]] = adjoint
            elif what == "product":
                for a, b in (arguments, arguments[::-1]):
                    terms.setdefault(a, []).append((1.0, tape.product(adjoint, b)))
            elif what == "inverse":
                squared = tape.product(tape.product(adjoint, node), node)
                terms.setdefault(arguments[0], []).append((-1.0, squared))
            elif what == "root":
                terms.setdefault(arguments[0], []).append((0.5, tape.product(adjoint, tape.inverse(node))))
            elif what == "logistic":
                slope = tape.sum([(1.0, node), (-1.0, tape.product(node, node))])
                terms.setdefault(arguments[0], []).append((1.0, tape.product(adjoint, slope)))
            else:
                for factor, a in arguments[1]:
                    terms.setdefault(a, []).append((factor, adjoint))
        outputs = [(n, slot) for n, slot in enumerate(self.inputs) if wanted[n]]
        return Polynomial(
            tape,
            (*self.inputs, *cotangents),
            tuple(slot for _, slot in outputs),
            tuple(tuple(gradients.get((n, k)) for k in range(slot.components)) for n, slot in outputs),
        )


def interpret(
    polynomial: Polynomial, inputs: Sequence[Tensor], row_pointer: Tensor | None = None
) -> tuple[Tensor, ...]:
    """The outputs, [rows, components, channels] each, one operation after the other: the definition, and slow.

    `row_pointer`, [groups + 1], says which rows belong to a group, where there are groups.
    """
    rows = inputs[polynomial.rows].shape[0]
    like = inputs[0].new_zeros(rows, inputs[0].shape[-1])
    group = None
    if row_pointer is not None:
        group = torch.repeat_interleave(row_pointer.diff(), output_size=rows)
    values: dict[int, Tensor] = {}
    needed = _ancestors(polynomial)
    for number, (what, *arguments) in enumerate(polynomial.tape.nodes):
        if number not in needed:
            continue
        if what == "input":
            slot, component = arguments
            column = inputs[slot][:, component]
            kind = polynomial.inputs[slot].kind
            values[number] = column.index_select(0, group) if kind == "group" else column.expand_as(like)
        elif what == "product":
            values[number] = values[arguments[0]] * values[arguments[1]]
        elif what == "inverse":
            values[number] = 1 / values[arguments[0]]
        elif what in ("root", "logistic"):
            values[number] = {"root": torch.sqrt, "logistic": torch.sigmoid}[what](values[arguments[0]])
        else:
            constant, terms = arguments
            value = like + constant
            for factor, n in terms:
                value = value + factor * values[n]
            values[number] = value
    outputs = []
    for slot, nodes in zip(polynomial.outputs, polynomial.expressions, strict=True):
        out = torch.stack([like if n is None else values[n] for n in nodes], dim=1)
        if slot.kind == "shared":
            out = out.sum(0, keepdim=True)
        elif slot.kind == "group":
            assert row_pointer is not None and group is not None
            out = out.new_zeros(row_pointer.shape[0] - 1, *out.shape[1:]).index_add(0, group, out)
        outputs.append(out)
    return tuple(outputs)


def _ancestors(polynomial: Polynomial) -> set[int]:
    """The nodes that the outputs depend on."""
    found: set[int] = set()
    waiting = [n for nodes in polynomial.expressions for n in nodes if n is not None]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += arguments_of(polynomial.tape.nodes[node])
    return found


def arguments_of(node: tuple) -> list[int]:
    """The nodes that one is made of."""
    what, *arguments = node
    if what == "input":
        return []
    return [n for _, n in arguments[1]] if what == "sum" else arguments
