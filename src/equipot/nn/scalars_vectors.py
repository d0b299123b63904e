"""Scalars s and vectors v of an atom that change each other: what stands between the dense layers of PaiNN.

Scalars are [atoms, 1, channels], vectors [atoms, 3, channels]. Each function is one compiled pass over the atoms, or
plain PyTorch where there is none.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from equipot.kernels import Node, Polynomial, Slot, Tape, compiles, evaluate
from equipot.tensor.norm import NORM_EPSILON, safe_norm

Scalars = Float[Tensor, "atoms 1 channels"]
Vectors = Float[Tensor, "atoms 3 channels"]
Three = Float[Tensor, "atoms 3 channels"]  # numbers that are no vector


def sent(factors: Three, v: Vectors) -> Float[Tensor, "atoms 5 channels"]:
    """(a, b, c ∘ v) for the factors a, b, c."""
    if compiles(v):
        return evaluate(_sent(), factors, v)[0]
    return torch.cat([factors[:, :2], factors[:, 2:] * v], dim=1)


def received(s: Scalars, v: Vectors, change: Float[Tensor, "atoms 4 channels"]) -> tuple[Scalars, Vectors]:
    """The sums with a change of both, packed as (Δs, Δv)."""
    if compiles(v):
        s, v = evaluate(_received(), s, v, change)
        return s, v
    return s + change[:, :1], v + change[:, 1:]


def invariants(s: Scalars, uw: Float[Tensor, "atoms 6 channels"]) -> Float[Tensor, "atoms 2 channels"]:
    """(s, |w|) of the vectors u and w, (u_x, w_x, u_y, …)."""
    if compiles(uw):
        return evaluate(_invariants(), s, uw)[0]
    return torch.cat([s, safe_norm(uw[:, 1::2], dim=1, keepdim=True)], dim=1)


def exchanged(
    s: Scalars, v: Vectors, uw: Float[Tensor, "atoms 6 channels"], factors: Three
) -> tuple[Scalars, Vectors]:
    """The new s + a + c ⟨u, w⟩ and v + b u for the factors a, b, c."""
    if compiles(uw):
        s, v = evaluate(_exchanged(), s, v, uw, factors)
        return s, v
    a, b, c = factors.split(1, dim=1)
    u, w = uw[:, ::2], uw[:, 1::2]
    return s + a + c * (u * w).sum(1, keepdim=True), v + b * u


@cache
def _sent() -> Polynomial:
    tape = Tape()
    factors, v = _inputs(tape, 3, 3)
    scaled = (tape.product(factors[2], x) for x in v)
    return Polynomial(tape, (Slot(3), Slot(3)), (Slot(5),), ((*factors[:2], *scaled),))


@cache
def _received() -> Polynomial:
    tape = Tape()
    s, v, change = _inputs(tape, 1, 3, 4)
    both = [_sum(tape, a, b) for a, b in zip((*s, *v), change, strict=True)]
    slots = (Slot(1), Slot(3))
    return Polynomial(tape, (*slots, Slot(4)), slots, (tuple(both[:1]), tuple(both[1:])))


@cache
def _invariants() -> Polynomial:
    tape = Tape()
    s, uw = _inputs(tape, 1, 6)
    squared = tape.sum([(1.0, tape.product(w, w)) for w in uw[1::2]], constant=NORM_EPSILON)
    return Polynomial(tape, (Slot(1), Slot(6)), (Slot(2),), ((*s, tape.root(squared)),))


@cache
def _exchanged() -> Polynomial:
    tape = Tape()
    (s,), v, uw, (a, b, c) = _inputs(tape, 1, 3, 6, 3)
    u, w = uw[::2], uw[1::2]
    dot = tape.sum([(1.0, tape.product(x, y)) for x, y in zip(u, w, strict=True)])
    scalars = (_sum(tape, s, a, tape.product(c, dot)),)
    vectors = tuple(_sum(tape, x, tape.product(b, y)) for x, y in zip(v, u, strict=True))
    slots = (Slot(1), Slot(3))
    return Polynomial(tape, (*slots, Slot(6), Slot(3)), slots, (scalars, vectors))


def _inputs(tape: Tape, *components: int) -> list[list[Node]]:
    return [[tape.input(slot, k) for k in range(n)] for slot, n in enumerate(components)]


def _sum(tape: Tape, *nodes: Node) -> Node:
    return tape.sum([(1.0, node) for node in nodes])
