"""The gate of `tensor/gate.py` as one compiled pass."""

from functools import cache

from equipot.kernels import Node, Polynomial, Slot, Tape, compiles, evaluate
from equipot.tensor.activation import SIGMOID_FACTOR, SILU_FACTOR, TANH_FACTOR
from equipot.tensor.features import Features
from equipot.tensor.gate import Gate
from equipot.tensor.irreps import SCALAR, Irrep


class FusedGate(Gate):
    """The same gate; with equal channels of every irrep, one program where there is one."""

    def forward(self, features: Features) -> Features:
        """Features `irreps_out` from `irreps_in`."""
        channels = {n for n, _ in self.irreps_out}
        if len(channels) > 1 or not compiles(features[self.irreps_out.labels[-1]]):
            return super().forward(features)
        blocks = [features[irrep] for irrep in self.irreps_in.labels]
        # the gates lie behind the scalars; not one reshape, which could not tell the number where there are no atoms
        given = [b.flatten(1).unflatten(1, (-1, *channels)) for b in blocks]
        dims = tuple(t.shape[1] for t in given)
        polynomial = _written(self.irreps_in.labels, self.irreps_out.labels, dims, self.sigmoid_gates)
        return Features(self.irreps_out, evaluate(polynomial, *given))


@cache
def _written(
    given: tuple[Irrep, ...], made: tuple[Irrep, ...], dims: tuple[int, ...], sigmoid: bool
) -> Polynomial:
    """From blocks with so many components; those of 0e are the scalars and the gates of the tensors."""
    tape = Tape()
    x = {irrep: [tape.input(n, k) for k in range(dims[n])] for n, irrep in enumerate(given)}
    gates = iter(x.get(SCALAR, [])[SCALAR in made :])
    expressions: list[tuple[Node, ...]] = []
    for irrep in made:
        if irrep == SCALAR:
            expressions.append((tape.sum([(SILU_FACTOR, tape.silu(x[SCALAR][0]))]),))
        elif irrep.l == 0:
            expressions.append((_tanh(tape, x[irrep][0]),))
        else:
            gate = _gate(tape, next(gates), sigmoid)
            expressions.append(tuple(tape.product(gate, component) for component in x[irrep]))
    outputs = tuple(Slot(len(components)) for components in expressions)
    return Polynomial(tape, tuple(map(Slot, dims)), outputs, tuple(expressions))


def _gate(tape: Tape, x: Node, sigmoid: bool) -> Node:
    if sigmoid:
        return tape.sum([(SIGMOID_FACTOR, tape.logistic(x))])
    return tape.sum([(SILU_FACTOR, tape.silu(x))])


def _tanh(tape: Tape, x: Node) -> Node:
    """Times its factor, tanh x = 2 σ(2x) − 1."""
    twice = tape.logistic(tape.sum([(2.0, x)]))
    return tape.sum([(2 * TANH_FACTOR, twice)], constant=-TANH_FACTOR)
