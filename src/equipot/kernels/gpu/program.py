"""A polynomial over a graph, run by its Triton kernels and differentiable any number of times."""

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from equipot.batch import AtomicBatch
from equipot.kernels.cpu.build import NoCompiler
from equipot.kernels.gpu.build import module
from equipot.kernels.gpu.generate import Kernel, kernels
from equipot.kernels.polynomial import Polynomial, Slot


class Graph(NamedTuple):
    """Edges sorted by receiver; the edges of atom i are row[i] … row[i + 1]."""

    row: Tensor
    sender: Tensor
    receiver: Tensor
    reverse: Tensor

    @classmethod
    def of(cls, batch: AtomicBatch) -> "Graph":
        """What a batch says, contiguous."""
        graph = (batch.row_pointer, batch.senders, batch.receivers, batch.reverse)
        return cls(*(t.contiguous() for t in graph))


class Tile(NamedTuple):
    """Of one Triton program."""

    edges: int
    channels: int
    warps: int


def tile(kernel: Kernel, channels: int) -> Tile:
    """A warp for an edge, or for a row of many sums, where adding up those of several warps would take longest.

    Fixed by the operation, never by a measurement: two runs of a training add up in the same order.
    """
    lanes = 32 if channels <= 32 or kernel.sums > 16 else 64
    return Tile(4, lanes, 4) if kernel.walk == "edge" or kernel.sums <= 16 else Tile(1, lanes, 1)


@cache
def program(polynomial: Polynomial, dtype: torch.dtype) -> tuple[tuple[Kernel, Any], ...]:
    """Its kernels, with what Triton makes of them; NoCompiler without Triton."""
    return tuple((kernel, module(kernel.text).run) for kernel in kernels(polynomial, dtype))


def run(polynomial: Polynomial, graph: Graph, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """All outputs; inputs are contiguous, and those without channels have no such axis."""
    like, sizes = inputs[0], _sizes(polynomial, graph, inputs)
    outputs = tuple(like.new_empty(_shape(slot, sizes)) for slot in polynomial.outputs)
    for kernel, function in program(polynomial, like.dtype):
        tensors = [
            *(getattr(graph, name) for name in kernel.graph),
            *(inputs[n] for n in kernel.inputs),
            *(outputs[n] for n in kernel.outputs),
        ]
        _launch(kernel, function, tensors, sizes)
    return outputs


def _sizes(polynomial: Polynomial, graph: Graph, inputs: tuple[Tensor, ...]) -> dict[str, int]:
    """Atoms, and what kernels call E, C and KNOTS; a table has the channels of its paths behind one another."""
    found = {"atoms": graph.row.shape[0] - 1, "E": graph.sender.shape[0]}
    for slot, tensor in zip(polynomial.inputs, inputs, strict=True):
        if slot.kind in ("receiver", "sender", "edge"):
            found["C"] = tensor.shape[-1]
        elif slot.kind == "value":
            found |= {"C": tensor.shape[-1] // slot.components, "KNOTS": tensor.shape[0]}
    return found


def _shape(slot: Slot, sizes: dict[str, int]) -> tuple[int, ...]:
    if slot.kind == "direction":
        return sizes["E"], slot.components
    return sizes["E" if slot.kind == "edge" else "atoms"], slot.components, sizes["C"]


def _launch(kernel: Kernel, function: Any, tensors: list[Tensor], sizes: dict[str, int]) -> None:
    """On the device of the tensors; nothing to do is no launch."""
    size = tile(kernel, sizes["C"])
    tiles = -(-sizes["C"] // size.channels)
    grid = (-(-sizes["E"] // size.edges),) if kernel.walk == "edge" else (sizes["atoms"], tiles)
    if grid[0] == 0:
        return
    constants = {"C": sizes["C"], "EDGES": size.edges, "CHANNELS": size.channels}
    arguments = (*tensors, *(sizes[name] for name in kernel.sizes))
    try:
        with torch.cuda.device_of(tensors[0]):
            function[grid](*arguments, **constants, num_warps=size.warps)
    except Exception as failure:  # whatever Triton, its compilers or the driver raise
        raise NoCompiler(f"a Triton kernel does not run: {type(failure).__name__}: {failure}") from failure


class Evaluate(Function):
    """The outputs; their gradient is the evaluation of the derivative.

    Arguments are contiguous: a copy made in here would be no argument, and lost in the next derivative.
    """

    @staticmethod
    def forward(ctx: Any, polynomial: Polynomial, graph: Graph, *inputs: Tensor) -> tuple[Tensor, ...]:
        """As `run`."""
        ctx.polynomial, ctx.graph = polynomial, graph
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        return run(polynomial, graph, inputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
        """Of the inputs that want one."""
        wanted = tuple(ctx.needs_input_grad[2:])
        derivative = ctx.polynomial.derivative(wanted, tuple(c is not None for c in cotangents))
        given = [c.contiguous() for c in cotangents if c is not None]
        found = iter(Evaluate.apply(derivative, ctx.graph, *ctx.saved_tensors, *given) if given else ())
        return None, None, *(next(found, None) if wants else None for wants in wanted)
