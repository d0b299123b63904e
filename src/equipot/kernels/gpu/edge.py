"""The edge operation by Triton kernels, as `equipot.kernels.cpu.edge` by C++."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from equipot.batch import AtomicBatch
from equipot.kernels.autograd import Evaluate
from equipot.kernels.description import EdgeProduct
from equipot.kernels.edge_polynomial import edge_polynomial, tabulated_gradient, tabulated_polynomial
from equipot.kernels.gpu.program import Graph, run
from equipot.kernels.interpolation import Table, TabulatedWeights
from equipot.kernels.packing import from_spherical, to_spherical


def triton_edge_product(
    spec: EdgeProduct,
    x: Float[Tensor, "atoms inputs channels"] | None,
    harmonics: Float[Tensor, "edges harmonics"],
    weights: Float[Tensor, "edges paths channels"],
    batch: AtomicBatch,
) -> Float[Tensor, "atoms outputs channels"]:
    """As `reference_edge_product`."""
    given = (*_spherical(spec, x, harmonics), weights.contiguous())
    (out,) = Evaluate.apply(run, edge_polynomial(spec, x is not None), Graph.of(batch), *given)
    return from_spherical(spec, spec.outputs, out)


def triton_tabulated_product(
    spec: EdgeProduct,
    x: Float[Tensor, "atoms inputs channels"] | None,
    harmonics: Float[Tensor, "edges harmonics"],
    weights: TabulatedWeights,
    batch: AtomicBatch,
) -> Float[Tensor, "atoms outputs channels"]:
    """As `triton_edge_product` with the values of the weights, which are not made."""
    given = _spherical(spec, x, harmonics)
    out = Tabulated.apply(spec, Graph.of(batch), weights.table, weights.r, *given)
    return from_spherical(spec, spec.outputs, out)


def _spherical(spec: EdgeProduct, x: Tensor | None, harmonics: Tensor) -> tuple[Tensor, ...]:
    """Contiguous before they become arguments: see `Evaluate`."""
    y = to_spherical(spec, spec.edge, harmonics.unsqueeze(-1)).squeeze(-1).contiguous()
    return (y,) if x is None else (to_spherical(spec, spec.inputs, x).contiguous(), y)


class Tabulated(Function):
    """The sums with weights from a table, read where they are used."""

    @staticmethod
    def forward(ctx: Any, spec: EdgeProduct, graph: Graph, table: Table, r: Tensor, *given: Tensor) -> Tensor:
        """`given`: x, if there is any, and Y."""
        ctx.spec, ctx.graph, ctx.table = spec, graph, table
        ctx.save_for_backward(r, *given)
        polynomial = tabulated_polynomial(spec, len(given) > 1)
        return run(polynomial, graph, (*given, *_looked_up(table, r)))[0]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients of r, x and Y; where they are to be differentiated again, through the weights themselves."""
        r, *given = ctx.saved_tensors
        spec, graph, table = ctx.spec, ctx.graph, ctx.table
        features, g = len(given) > 1, g.contiguous()
        wants_x = features and ctx.needs_input_grad[4]
        if torch.is_grad_enabled():
            w = table.at(r).contiguous()
            derivative = edge_polynomial(spec, features).derivative(
                (*[wants_x] * features, True, True), (True,)
            )
            *found, gw = Evaluate.apply(run, derivative, graph, *given, w, g)
            (gr,) = torch.autograd.grad(w, r, gw, create_graph=True) if r.requires_grad else (None,)
        else:
            derivative = tabulated_gradient(spec, features, wants_x)
            *found, gr = run(derivative, graph, (*given, *_looked_up(table, r), g))
            gr = gr[:, 0] / table.spacing
        return None, None, None, gr, *[None] * (features and not wants_x), *found


def _looked_up(table: Table, r: Tensor) -> tuple[Tensor, ...]:
    """Rows for values and for slopes, and the distance in units of their spacing."""
    rows = table.rows.contiguous()
    return rows, rows, (r / table.spacing)[:, None].contiguous()
