"""A polynomial over a graph, run by its Triton kernels."""

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.kernels.cpu.build import NoCompiler
from equipot.kernels.gpu.build import module
from equipot.kernels.gpu.generate import Kernel, kernels
from equipot.kernels.polynomial import Polynomial, Slot

SUMMED_ROWS = 64  # by one program, where a sum is over all rows


class Graph(NamedTuple):
    """Edges sorted by receiver; the edges of atom i are row[i] … row[i + 1]."""

    row: Tensor | None = None
    sender: Tensor | None = None
    receiver: Tensor | None = None
    reverse: Tensor | None = None

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
    lanes = 32 if channels <= 32 or kernel.sums > 16 or kernel.walk == "rows" else 64
    return Tile(1, lanes, 1) if kernel.sums > 16 and kernel.walk != "edge" else Tile(4, lanes, 4)


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
    found = {"atoms": 0 if graph.row is None else graph.row.shape[0] - 1}
    for slot, tensor in zip(polynomial.inputs, inputs, strict=True):
        if slot.kind in ("row", "edge", "direction"):
            found["E"] = tensor.shape[0]
        if slot.kind == "value":
            found |= {"C": tensor.shape[-1] // slot.components, "KNOTS": tensor.shape[0]}
        elif slot.kind not in ("direction", "distance", "slope"):
            found["C"] = tensor.shape[-1]
    return found


def _shape(slot: Slot, sizes: dict[str, int]) -> tuple[int, ...]:
    if slot.kind == "direction":
        return sizes["E"], slot.components
    blocks = -(-sizes["E"] // SUMMED_ROWS)
    rows = {"edge": sizes["E"], "row": sizes["E"], "shared": blocks}.get(slot.kind, sizes["atoms"])
    return rows, slot.components, sizes["C"]


def _launch(kernel: Kernel, function: Any, tensors: list[Tensor], sizes: dict[str, int]) -> None:
    """On the device of the tensors; nothing to do is no launch."""
    size = tile(kernel, sizes["C"])
    tiles = -(-sizes["C"] // size.channels)
    sizes = sizes | {"ROWS": SUMMED_ROWS if kernel.sums else size.edges}
    grid = {
        "edge": (-(-sizes["E"] // size.edges),),
        "rows": (-(-sizes["E"] // sizes["ROWS"]), tiles),
    }.get(kernel.walk, (sizes["atoms"], tiles))
    if grid[0] == 0:
        return
    constants = {"C": sizes["C"], "EDGES": size.edges, "CHANNELS": size.channels}
    arguments = (*tensors, *(sizes[name] for name in kernel.sizes))
    try:
        with torch.cuda.device_of(tensors[0]):
            function[grid](*arguments, **constants, num_warps=size.warps)
    except Exception as failure:  # whatever Triton, its compilers or the driver raise
        raise NoCompiler(f"a Triton kernel does not run: {type(failure).__name__}: {failure}") from failure
