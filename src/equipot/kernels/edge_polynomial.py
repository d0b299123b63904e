"""The edge operation on a tape, from which all its derivatives follow.

    out[i] = Σ_{edges i ← j} f(x[j], Y[ij], W[ij])

f is a polynomial of an edge. A gradient is one more, of the same arguments and the gradient g[i], and is summed where
its argument lives: over the edges of a receiver, over those of a sender, or over channels. So whatever evaluates
polynomials over a graph is closed under differentiation, and energies, forces and training on forces are the same few
programs.
"""

from functools import cache

from equipot.kernels.coupling import Coupling
from equipot.kernels.description import EdgeProduct
from equipot.kernels.packing import offsets
from equipot.kernels.polynomial import Kind, Node, Polynomial, Slot, Tape


@cache
def edge_polynomial(spec: EdgeProduct, features: bool) -> Polynomial:
    """Of x, where there are features, of Y and of W; spherical components."""
    return _product(spec, features, (Slot(len(spec.paths), "edge"),))


@cache
def tabulated_polynomial(spec: EdgeProduct, features: bool) -> Polynomial:
    """Of x, Y, the distance, and the values and slopes of a table at it; only the slope does not occur."""
    kinds: tuple[Kind, ...] = ("value", "slope")
    return _product(spec, features, (*(Slot(len(spec.paths), kind) for kind in kinds), Slot(1, "distance")))


@cache
def tabulated_gradient(spec: EdgeProduct, features: bool, wants_x: bool) -> Polynomial:
    """Gradients of x, if it is wanted, of Y and of the distance, ∂S/∂r = Σ_p ∂S/∂W[p] W'[p]."""
    forward = tabulated_polynomial(spec, features)
    first = forward.derivative((*[wants_x] * features, True, True, False, False), (True,))
    *found, of_weights = first.expressions
    tape, slope = first.tape, int(features) + 2
    along = [(1.0, tape.product(node, tape.input(slope, p))) for p, node in enumerate(of_weights)]
    outputs = (*first.outputs[:-1], Slot(1, "direction"))
    return Polynomial(tape, first.inputs, outputs, (*found, (tape.sum(along),)))


def _product(spec: EdgeProduct, features: bool, weights: tuple[Slot, ...]) -> Polynomial:
    tape, at = Tape(), [offsets(slots) for slots in (spec.inputs, spec.edge, spec.outputs)]
    y = [tape.input(int(features), b) for b in range(at[1][-1])]
    terms: list[list[tuple[float, Node]]] = [[] for _ in range(at[2][-1])]
    for number, path in enumerate(spec.paths):
        c = Coupling(spec.degrees(path))
        scale = path.scale * spec.tensor_basis.coupling_gain(*c.degrees)
        weight = tape.sum([(scale, tape.input(int(features) + 1, number))])
        messages: list[list[tuple[float, Node]]] = [[] for _ in range(c.dims[2])]
        for (k, a), form in c.entries.items():
            x = tape.input(0, at[0][path.input] + a) if features else tape.sum([], 1.0)
            if c.constant:  # the number one, which is not read
                messages[k].append((form[0], x))
            else:
                m = tape.sum([(value, y[at[1][path.edge] + b]) for b, value in form.items()])
                messages[k].append((1.0, tape.product(m, x)))
        for k, message in enumerate(messages):
            terms[at[2][path.output] + k].append((1.0, tape.product(weight, tape.sum(message))))
    slots = (Slot(at[0][-1], "sender"),) * features + (Slot(at[1][-1], "direction"), *weights)
    outputs = (Slot(at[2][-1], "receiver"),)
    return Polynomial(tape, slots, outputs, (tuple(tape.sum(t) for t in terms),))
