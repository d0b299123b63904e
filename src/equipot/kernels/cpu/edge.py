"""The edge operation through its compiled program, differentiable any number of times.

Spherical components only; the caller converts. Every derivative is again one of the generated functions:

    forward F(x, Y, W);   backward B(x, Y, W, g) = (∂/∂x, ∂/∂Y, ∂/∂W), or without ∂/∂x

and each of them is linear in every argument.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import pad

from equipot.batch import AtomicBatch
from equipot.kernels.cpu.build import library
from equipot.kernels.cpu.calls import called, threads_for
from equipot.kernels.cpu.generate import source
from equipot.kernels.cpu.routines import Source
from equipot.kernels.cpu.vectors import SERIAL_EDGES, VECTOR_BYTES
from equipot.kernels.description import EdgeProduct
from equipot.kernels.interpolation import Table, TabulatedWeights
from equipot.kernels.packing import from_spherical, to_spherical


class Program:
    """The compiled functions of one description and precision, called with tensors."""

    def __init__(self, spec: EdgeProduct, dtype: torch.dtype, weights: Source = "edges") -> None:
        self.dtype = dtype
        self.components = tuple(sum(i.dim for i in slots) for slots in (spec.inputs, spec.edge, spec.outputs))
        self.library = library(source(spec, dtype, weights))
        self.functions: dict[str, Callable[..., None]] = {}
        self.number = ctypes.c_double if dtype == torch.float64 else ctypes.c_float

    def call(
        self,
        name: str,
        graph: tuple[Tensor, ...],
        channels: int,
        *tensors: Tensor | None,
        table: tuple[int, float] | None = None,
        out: tuple[Tensor, ...] = (),
    ) -> None:
        """Run a function on contiguous tensors into `out`; None is a null pointer; `table`: knots, and knots per Å."""
        pointers = [t.data_ptr() if t is not None else None for t in (*graph, *tensors)]
        results = [t.data_ptr() for t in out]
        if name not in self.functions:
            self.functions[name] = self._function(name, len(pointers), len(results), table is not None)
        sizes = graph[0].shape[0] - 1, channels, _threads(graph)
        words = (*sizes, *pointers, *(table or ()), *results)
        self.functions[name](*words)
        called(self.library, name, words, out)

    def _function(self, name: str, pointers: int, results: int, tabulated: bool) -> Callable[..., None]:
        """Of sizes, threads, addresses, what belongs to a table, and addresses."""
        found = getattr(self.library, name)
        address, spaced = ctypes.c_void_p, (ctypes.c_int64, self.number) if tabulated else ()
        sizes = (ctypes.c_int64, ctypes.c_int64, ctypes.c_int)
        found.argtypes = [*sizes, *(address,) * pointers, *spaced, *(address,) * results]
        found.restype = None
        return found

    def backward(
        self,
        graph: tuple[Tensor, ...],
        channels: int,
        wants_x: bool,
        given: tuple[Tensor | None, ...],
        out: tuple[Tensor, ...],
        table: tuple[int, float] | None = None,
    ) -> Tensor | None:
        """Fill the gradients of Y and of the weights, and return that of x if it is wanted; `given`: x … g."""
        x = given[0]
        if not wants_x or x is None:
            self.call("edges", graph[:2], channels, *given, table=table, out=out)
            return None
        sums = x.new_zeros(_threads(graph), *x.shape)
        self.call("backward", graph[:2], channels, *given, table=table, out=(sums, *out))
        return sums[0] if len(sums) == 1 else sums.sum(0)


def _threads(graph: tuple[Tensor, ...]) -> int:
    return threads_for(graph[1].shape[0], SERIAL_EDGES)


@cache
def program(spec: EdgeProduct, dtype: torch.dtype, weights: Source = "edges") -> Program:
    """Compiled once per process."""
    return Program(spec, dtype, weights)


class Forward(Function):
    """out[i] = Σ_j W C x_j Y."""

    @staticmethod
    def forward(
        ctx: Any, spec: EdgeProduct, graph: tuple[Tensor, ...], x: Tensor | None, y: Tensor, w: Tensor
    ) -> Tensor:
        """The sums."""
        ctx.spec, ctx.graph = spec, graph
        ctx.save_for_backward(x, y, w)
        return _forward(spec, graph, x, y, w)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients, as an operation with gradients of its own."""
        x, y, w = ctx.saved_tensors
        wants_x = x is not None and ctx.needs_input_grad[2]
        # contiguous here: a copy made in there would be no argument, and lost in the next derivative
        gx, gy, gw = Backward.apply(ctx.spec, ctx.graph, wants_x, x, y, w, g.contiguous())
        return None, None, gx, gy, gw


class Backward(Function):
    """The gradients of x, Y and W in one operation; its own gradient in three passes over the edges."""

    @staticmethod
    def forward(
        ctx: Any,
        spec: EdgeProduct,
        graph: tuple[Tensor, ...],
        wants_x: bool,
        x: Tensor | None,
        y: Tensor,
        w: Tensor,
        g: Tensor,
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """Gradients of x, unless it is not wanted, of Y and of W."""
        ctx.spec, ctx.graph = spec, graph
        ctx.save_for_backward(x, y, w, g)
        ctx.set_materialize_grads(False)
        gy, gw = torch.empty_like(y), torch.empty_like(w)
        gx = program(spec, w.dtype).backward(graph, g.shape[-1], wants_x, (x, y, w, g), (gy, gw))
        return gx, gy, gw

    @staticmethod
    def backward(ctx: Any, tx: Tensor | None, ty: Tensor | None, tw: Tensor | None) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Second derivatives, along the cotangents of the first."""
        x, y, w, g = ctx.saved_tensors
        tx, ty, tw = (t.contiguous() if t is not None else None for t in (tx, ty, tw))
        return None, None, None, *Tangent.apply(ctx.spec, ctx.graph, x, y, w, g, tx, ty, tw)


class Tangent(Function):
    """The gradients of ⟨tx, ∂S/∂x⟩ + ⟨ty, ∂S/∂Y⟩ + ⟨tw, ∂S/∂W⟩ with respect to x, Y, W and g.

    A third derivative, which nothing needs often, is put together from first ones of the three terms.
    """

    @staticmethod
    def forward(
        ctx: Any,
        spec: EdgeProduct,
        graph: tuple[Tensor, ...],
        x: Tensor | None,
        y: Tensor,
        w: Tensor,
        g: Tensor,
        tx: Tensor | None,
        ty: Tensor | None,
        tw: Tensor | None,
    ) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:
        """Gradients of x, Y, W and g."""
        ctx.spec, ctx.graph = spec, graph
        ctx.save_for_backward(x, y, w, g, tx, ty, tw)
        run, channels = program(spec, w.dtype), w.shape[-1]
        gx = torch.empty_like(x) if x is not None else None
        if gx is not None:
            run.call("senders_tangent", graph, channels, y, w, g, ty, tw, out=(gx,))
        gy, gw, gg = torch.empty_like(y), torch.empty_like(w), torch.empty_like(g)
        run.call("edges_tangent", graph[:2], channels, x, y, w, g, tx, ty, tw, out=(gy, gw))
        run.call("forward_tangent", graph, channels, x, y, w, tx, ty, tw, out=(gg,))
        return gx, gy, gw, gg

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Third derivatives."""
        by_parts = partial(_tangent_by_parts, ctx.spec, ctx.graph)
        return None, None, *gradients_through(by_parts, ctx.saved_tensors, cotangents)


def gradients_through(
    outputs_of: Callable[..., Sequence[Tensor | None]],
    given: Sequence[Tensor | None],
    cotangents: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Of every argument of a function that is put together from others, along the cotangents of its outputs."""
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # aliases: derivatives with respect to these arguments alone, whatever they were computed from
        args = [t.view_as(t) if t is not None else None for t in given]
        args = [t.requires_grad_(True) if t is not None and not t.requires_grad else t for t in args]
        outputs = outputs_of(*args)
        pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o is not None and c is not None]
        found = torch.autograd.grad(
            [o for o, _ in pairs],
            [t for t in args if t is not None],
            [c for _, c in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )
    gradients = iter(found)
    return [next(gradients) if t is not None else None for t in args]


def _tangent_by_parts(
    spec: EdgeProduct,
    graph: tuple[Tensor, ...],
    x: Tensor | None,
    y: Tensor,
    w: Tensor,
    g: Tensor,
    tx: Tensor | None,
    ty: Tensor | None,
    tw: Tensor | None,
) -> list[Tensor | None]:
    """What `Tangent` computes, from operations that can be differentiated further."""
    # a path through Y_0 = 1 does not answer to a change of Y
    turning = w.new_tensor([float(spec.edge[path.edge].l > 0) for path in spec.paths])[:, None]
    sums: list[Tensor | None] = [None] * 4
    for replaced, arguments in ((0, (tx, y, w)), (1, (x, ty, w * turning)), (2, (x, y, tw))):
        if (tx, ty, tw)[replaced] is None:
            continue
        parts = list(Backward.apply(spec, graph, x is not None and replaced > 0, *arguments, g))
        parts[replaced] = None  # the slot of the tangent itself
        if replaced == 1 and parts[2] is not None:
            parts[2] = parts[2] * turning
        parts.append(Forward.apply(spec, graph, *arguments))
        sums = [s if p is None else p if s is None else s + p for s, p in zip(sums, parts, strict=True)]
    return sums


class Tabulated(Function):
    """out[i] = Σ_j W(r) C x_j Y with W from a table, read where it is used."""

    @staticmethod
    def forward(
        ctx: Any,
        spec: EdgeProduct,
        graph: tuple[Tensor, ...],
        x: Tensor | None,
        y: Tensor,
        weights: Table,
        r: Tensor,
    ) -> Tensor:
        """The sums."""
        ctx.spec, ctx.graph, ctx.weights = spec, graph, weights
        ctx.save_for_backward(x, y, r)
        run, channels = program(spec, r.dtype, "table"), weights.channels
        out = r.new_empty(graph[0].shape[0] - 1, run.components[2], channels)
        run.call("forward", graph, channels, x, y, r, weights.rows, table=weights.spaced, out=(out,))
        return out

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The gradients of x, Y and r; where they are to be differentiated again, through the weights themselves."""
        x, y, r = ctx.saved_tensors
        spec, graph, weights = ctx.spec, ctx.graph, ctx.weights
        wants_x, g = x is not None and ctx.needs_input_grad[2], g.contiguous()
        if torch.is_grad_enabled():
            w = weights.at(r)
            gx, gy, gw = Backward.apply(spec, graph, wants_x, x, y, w, g)
            (gr,) = torch.autograd.grad(w, r, gw, create_graph=True) if r.requires_grad else (None,)
            return None, None, gx, gy, None, gr
        gy, gr = torch.empty_like(y), torch.empty_like(r)
        given = (x, y, r, weights.rows, g)
        run = program(spec, r.dtype, "table")
        gx = run.backward(graph, g.shape[-1], wants_x, given, (gy, gr), weights.spaced)
        return None, None, gx, gy, None, gr


def _forward(spec: EdgeProduct, graph: tuple[Tensor, ...], x: Tensor | None, y: Tensor, w: Tensor) -> Tensor:
    run = program(spec, w.dtype)
    out = w.new_empty(graph[0].shape[0] - 1, run.components[2], w.shape[-1])
    run.call("forward", graph, w.shape[-1], x, y, w, out=(out,))
    return out


def compiled_edge_product(
    spec: EdgeProduct,
    x: Float[Tensor, "senders inputs channels"] | None,
    harmonics: Float[Tensor, "edges harmonics"],
    weights: Float[Tensor, "edges paths channels"],
    batch: AtomicBatch,
) -> Float[Tensor, "atoms outputs channels"]:
    """As `reference_edge_product`."""
    graph = graph_of(batch)
    x = to_spherical(spec, spec.inputs, x).contiguous() if x is not None else None
    y = harmonics_of(spec, harmonics)
    channels = weights.shape[-1]
    missing = -channels % (VECTOR_BYTES // weights.element_size())
    if missing:  # whole vectors only
        x = pad(x, (0, missing)) if x is not None else None
        weights = pad(weights, (0, missing))
    out = Forward.apply(spec, graph, x, y, weights.contiguous())
    return from_spherical(spec, spec.outputs, out[..., :channels] if missing else out)


def compiled_tabulated_product(
    spec: EdgeProduct,
    x: Float[Tensor, "senders inputs channels"] | None,
    harmonics: Float[Tensor, "edges harmonics"],
    weights: TabulatedWeights,
    batch: AtomicBatch,
) -> Float[Tensor, "atoms outputs channels"]:
    """As `compiled_edge_product` with the values of the weights; their channels are whole vectors."""
    graph = graph_of(batch)
    x = to_spherical(spec, spec.inputs, x).contiguous() if x is not None else None
    y = harmonics_of(spec, harmonics)
    out = Tabulated.apply(spec, graph, x, y, weights.table, weights.r.contiguous())
    return from_spherical(spec, spec.outputs, out)


def graph_of(batch: AtomicBatch) -> tuple[Tensor, ...]:
    """Rows, senders and mirrored edges, as programs take them."""
    return tuple(t.contiguous() for t in (batch.row_pointer, batch.senders, batch.reverse))


def harmonics_of(spec: EdgeProduct, harmonics: Float[Tensor, "edges harmonics"]) -> Tensor:
    """Packed slots of the edge with 2l+1 components each."""
    if all(spec.tensor_basis.dim(irrep.l) == irrep.dim for irrep in spec.edge):
        return harmonics.contiguous()
    return to_spherical(spec, spec.edge, harmonics.unsqueeze(-1)).squeeze(-1).contiguous()
