"""Products of the 3 × 3 matrices that atoms carry, given by their irreducible parts, and what keeps them small.

Each as a compiled polynomial of the components, or in plain PyTorch where there is none.
"""

from collections.abc import Sequence
from functools import cache

from jaxtyping import Float
from torch import Tensor

from equipot.kernels import Node, Polynomial, Slot, Tape, compiles, evaluate
from equipot.tensor.basis import TensorBasis
from equipot.tensor.matrix import matrix_parts, multiply, to_matrices, to_parts

Parts = Float[Tensor, "rows parts channels"]


def damped(x: Parts) -> Parts:
    """X/(|X|² + 1)."""
    if compiles(x):
        return evaluate(_damped(x.shape[1]), x)[0]
    return x / (x.square().sum(1, keepdim=True) + 1)


def damped_product(x: Parts, y: Parts, basis: TensorBasis, symmetrized: bool) -> Parts:
    """C/(|C|² + 1) with C = X Y + Y X, or 2 X Y."""
    if compiles(x):
        return evaluate(_damped_product(x.shape[1], symmetrized), x, y)[0]
    a, b = to_matrices(x, basis), to_matrices(y, basis)
    return damped(to_parts(multiply(a, b) + multiply(b, a) if symmetrized else 2 * multiply(a, b), basis))


def with_square(x: Parts, y: Parts, basis: TensorBasis) -> Parts:
    """X + Y + Y²."""
    if compiles(x):
        return evaluate(_with_square(x.shape[1]), x, y)[0]
    matrix = to_matrices(y, basis)
    return x + y + to_parts(multiply(matrix, matrix), basis)


@cache
def _damped(parts: int) -> Polynomial:
    tape = Tape()
    x = [tape.input(0, k) for k in range(parts)]
    return _of(tape, 1, _divided(tape, x))


@cache
def _damped_product(parts: int, symmetrized: bool) -> Polynomial:
    tape = Tape()
    x, y = ([tape.input(n, k) for k in range(parts)] for n in range(2))
    return _of(tape, 2, _divided(tape, _product(tape, x, y, symmetrized)))


@cache
def _with_square(parts: int) -> Polynomial:
    tape = Tape()
    x, y = ([tape.input(n, k) for k in range(parts)] for n in range(2))
    square = _product(tape, y, y, symmetrized=True)
    return _of(
        tape,
        2,
        [tape.sum([(1.0, a), (1.0, b), (0.5, c)]) for a, b, c in zip(x, y, square, strict=True)],
    )


def _of(tape: Tape, factors: int, expressions: Sequence[Node]) -> Polynomial:
    slot = Slot(len(expressions))
    return Polynomial(tape, (slot,) * factors, (slot,), (tuple(expressions),))


def _divided(tape: Tape, x: Sequence[Node]) -> list[Node]:
    """X/(|X|² + 1)."""
    inverse = tape.inverse(tape.sum([(1.0, tape.product(a, a)) for a in x], constant=1.0))
    return [tape.product(inverse, a) for a in x]


def _product(tape: Tape, x: Sequence[Node], y: Sequence[Node], symmetrized: bool) -> list[Node]:
    """The parts of X Y + Y X, or 2 X Y."""
    table = matrix_parts(len(x) - 4)  # [entries, parts]

    def entries(parts: Sequence[Node]) -> list[Node]:
        return [tape.sum([(float(f), p) for f, p in zip(row, parts, strict=True) if f]) for row in table]

    a, b = entries(x), entries(y)
    pairs = ((a, b), (b, a)) if symmetrized else ((a, b), (a, b))
    product = [
        tape.sum([(1.0, tape.product(p[3 * i + j], q[3 * j + k])) for p, q in pairs for j in range(3)])
        for i in range(3)
        for k in range(3)
    ]
    return [tape.sum([(float(f), n) for f, n in zip(row, product, strict=True) if f]) for row in table.T]
