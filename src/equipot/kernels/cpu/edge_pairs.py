"""The edge operation whose weights belong to pairs of mirrored edges, through its compiled program.

    out[i] = Σ_j C x_j Y f_{ij} w_{ij},   f_{ij} = f_{ji}, w_{ij} = w_{ji}

Both edges read the row of their pair, so that no array of edges × channels is made forward; backward, what the two
give to it lies side by side. Linear in each argument. First derivatives, and second ones while nobody asks for third,
are programs; all others are put together from weights as a tensor.
"""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from equipot.batch import AtomicBatch
from equipot.kernels.cpu import edge
from equipot.kernels.cpu.edge import gradients_through, graph_of, harmonics_of, program
from equipot.kernels.description import EdgeProduct
from equipot.kernels.packing import from_spherical, to_spherical
from equipot.kernels.pair_weights import PairWeights

Graph = tuple[Tensor, ...]  # row pointer, senders, mirrored edges, and the place of every edge in its pair


class Forward(Function):
    """out[i] = Σ_j C x_j Y f w."""

    @staticmethod
    def forward(
        ctx: Any, spec: EdgeProduct, graph: Graph, x: Tensor | None, y: Tensor, w: Tensor, f: Tensor
    ) -> Tensor:
        """The sums."""
        ctx.spec, ctx.graph = spec, graph
        ctx.save_for_backward(x, y, w, f)
        *rows, place = graph
        run = program(spec, w.dtype, "pairs")
        out = w.new_empty(rows[0].shape[0] - 1, run.components[2], w.shape[-1])
        run.call("forward", tuple(rows), w.shape[-1], x, y, w, f, place, out=(out,))
        return out

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients, as an operation with gradients of its own."""
        x, y, w, f = ctx.saved_tensors
        wants_x = x is not None and ctx.needs_input_grad[2]
        return None, None, *Backward.apply(ctx.spec, ctx.graph, wants_x, x, y, w, f, g.contiguous())


class Backward(Function):
    """The gradients of x, Y, w and f in one operation; its own gradient in three passes over the edges."""

    @staticmethod
    def forward(
        ctx: Any,
        spec: EdgeProduct,
        graph: Graph,
        wants_x: bool,
        x: Tensor | None,
        y: Tensor,
        w: Tensor,
        f: Tensor,
        g: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of x, unless it is not wanted, of Y, w and f."""
        ctx.spec, ctx.graph = spec, graph
        ctx.save_for_backward(x, y, w, f, g)
        ctx.set_materialize_grads(False)
        gy, gw, gf = _gradients(y, w, f)
        run, given = program(spec, w.dtype, "pairs"), (x, y, w, f, graph[3], g)
        gx = run.backward(graph[:2], w.shape[-1], wants_x, given, (gy, gw, gf))
        return gx, gy, *_of_pairs(gw, gf)

    @staticmethod
    def backward(ctx: Any, *tangents: Tensor | None) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Second derivatives, along the cotangents of the first."""
        x, y, w, f, g = ctx.saved_tensors
        if torch.is_grad_enabled():
            by_parts = partial(_from_weights, ctx.spec, ctx.graph)
            return None, None, None, *gradients_through(by_parts, ctx.saved_tensors, tangents)
        tx, ty, tw, tf = (t.contiguous() if t is not None else None for t in tangents)
        *rows, place = ctx.graph
        run, channels = program(ctx.spec, w.dtype, "pairs"), w.shape[-1]
        gx, gg = torch.empty_like(x) if x is not None else None, torch.empty_like(g)
        if gx is not None:
            run.call("senders_tangent", tuple(rows), channels, y, w, f, place, g, ty, tw, tf, out=(gx,))
        gy, gw, gf = _gradients(y, w, f)
        given = (x, y, w, f, place, g, tx, ty, tw, tf)
        run.call("edges_tangent", tuple(rows[:2]), channels, *given, out=(gy, gw, gf))
        run.call("forward_tangent", tuple(rows), channels, x, y, w, f, place, tx, ty, tw, tf, out=(gg,))
        return None, None, None, gx, gy, *_of_pairs(gw, gf), gg


def _gradients(y: Tensor, w: Tensor, f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Room for them: what both edges give to a pair lies side by side."""
    pairs, *rest = w.shape
    return torch.empty_like(y), w.new_empty(pairs, 2, *rest), f.new_empty(pairs, 2)


def _of_pairs(gw: Tensor, gf: Tensor) -> tuple[Tensor, Tensor]:
    return gw[:, 0] + gw[:, 1], gf[:, 0] + gf[:, 1]


def _from_weights(
    spec: EdgeProduct,
    graph: Graph,
    x: Tensor | None,
    y: Tensor,
    w: Tensor,
    f: Tensor,
    g: Tensor,
) -> tuple[Tensor | None, ...]:
    """What `Backward` computes, from operations that can be differentiated further."""
    *rows, place = graph
    values = PairWeights(w, f, place).values()
    gx, gy, g_values = edge.Backward.apply(spec, tuple(rows), x is not None, x, y, values, g)
    of_pairs = torch.zeros_like(w).index_add(0, place >> 1, g_values)
    return gx, gy, of_pairs * f[:, None, None], (of_pairs * w).sum((1, 2))


def compiled_pair_product(
    spec: EdgeProduct,
    x: Float[Tensor, "senders inputs channels"] | None,
    harmonics: Float[Tensor, "edges harmonics"],
    weights: PairWeights,
    batch: AtomicBatch,
) -> Float[Tensor, "atoms outputs channels"]:
    """As `compiled_edge_product` with the values of the weights; their channels are whole vectors."""
    x = to_spherical(spec, spec.inputs, x).contiguous() if x is not None else None
    y, graph = harmonics_of(spec, harmonics), (*graph_of(batch), weights.place.contiguous())
    given = weights.rows.contiguous(), weights.factor.contiguous()
    return from_spherical(spec, spec.outputs, Forward.apply(spec, graph, x, y, *given))
