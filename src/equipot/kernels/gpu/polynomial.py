"""Polynomials of features by Triton kernels, as `equipot.kernels.cpu.polynomial` by C++."""

import torch
from torch import Tensor

from equipot.kernels.gpu.program import Graph
from equipot.kernels.gpu.program import run as run_on_graph
from equipot.kernels.polynomial import Polynomial


def run(polynomial: Polynomial, row: Tensor | None, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The outputs; inputs are contiguous. Rows are walked as edges are, and groups of them as receivers."""
    rows = inputs[polynomial.rows].shape[0]
    group = torch.repeat_interleave(row.diff(), output_size=rows) if row is not None else None
    found = run_on_graph(polynomial, Graph(row=row, receiver=group), inputs)
    return tuple(
        t.sum(0, keepdim=True) if slot.kind == "shared" else t  # of the sums of some rows each
        for t, slot in zip(found, polynomial.outputs, strict=True)
    )
