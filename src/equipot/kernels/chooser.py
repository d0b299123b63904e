"""Which back end computes an edge operation, and the proof that it may.

On a CPU with a compiler, operations of at least 16 channels run as generated C++. Before the first use of a program its
values and derivatives are compared with the reference on the structure at hand; one that disagrees is refused, loudly,
and the reference computes instead. `EQUIPOT_KERNELS=reference` switches compiled programs off.
"""

import logging
import os
from dataclasses import replace

import torch
from torch import Tensor

from equipot.batch import ATOMIC_VECTORS, AtomicBatch
from equipot.kernels.agreement import MIN_CHANNELS, TOLERANCE, compilable, largest_difference
from equipot.kernels.cpu.build import NoCompiler, compiler
from equipot.kernels.cpu.edge import (
    compiled_edge_product,
    compiled_tabulated_product,
    program,
)
from equipot.kernels.cpu.vectors import whole_vectors
from equipot.kernels.description import EdgeProduct, Path
from equipot.kernels.interpolation import TabulatedWeights, reference_interpolate
from equipot.kernels.reference import reference_edge_product
from equipot.tensor.irreps import SCALAR

log = logging.getLogger("equipot")

CHECKED_ATOMS = 32  # of the first structure that a program sees

#: what was decided, and why: (description, precision) -> None, or the reason for the reference
decisions: dict[tuple[EdgeProduct, torch.dtype], str | None] = {}
tabulated_decisions: dict[tuple[EdgeProduct, torch.dtype], str | None] = {}


def compiled(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: Tensor, batch: AtomicBatch
) -> bool:
    """Whether the compiled program computes this; decides it, once, for every description and precision."""
    if not _possible(weights, weights.shape[-1], harmonics):
        return False
    key = (spec, weights.dtype)
    if key not in decisions:
        decisions[key] = _reason_against(spec, x, harmonics, weights, batch)
        if decisions[key] is not None:
            log.warning("The slower reference computes an edge operation: %s", decisions[key])
    return decisions[key] is None


def compiled_tabulated(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: TabulatedWeights, batch: AtomicBatch
) -> bool:
    """The same for weights from a table, whose program is another one with a check of its own."""
    rows, channels = weights.table.rows, weights.table.channels
    if not (whole_vectors(channels, rows.dtype) and _possible(rows, channels, harmonics)):
        return False
    key = (spec, rows.dtype)
    if key not in tabulated_decisions:
        tabulated_decisions[key] = _reason_against_tabulated(spec, x, harmonics, weights, batch)
        if tabulated_decisions[key] is not None:
            log.warning("Weights are read from their table before: %s", tabulated_decisions[key])
    return tabulated_decisions[key] is None


def _possible(like: Tensor, channels: int, harmonics: Tensor) -> bool:
    """Whether there is anything to compile for, and edges to compare with."""
    return compilable(harmonics, channels) and compilable(like, channels) and len(harmonics) > 0


def _reason_against_tabulated(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: TabulatedWeights, batch: AtomicBatch
) -> str | None:
    x, harmonics, r, part = _excerpt(x, harmonics, weights.r, batch)
    results = []
    try:
        for operation in (compiled_tabulated_product, _values_first):
            with torch.enable_grad():
                given = [t.detach().clone().requires_grad_(True) for t in (x, harmonics, r) if t is not None]
                tabulated = TabulatedWeights(weights.table, given[-1])
                out = operation(spec, given[0] if x is not None else None, given[-2], tabulated, part)
                first = torch.autograd.grad(
                    out, given, _direction(out), allow_unused=True, materialize_grads=True
                )
            results.append([out.detach(), *first])
    except NoCompiler as failure:
        return str(failure)
    error = largest_difference(*results)
    if error < TOLERANCE[r.dtype]:  # false for NaN, too
        return None
    return (
        f"the program that reads it differs from the reference by {error:.1e} (relative). Please report this."
    )


def _values_first(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: TabulatedWeights, batch: AtomicBatch
) -> Tensor:
    values = reference_interpolate(weights.table.rows, weights.r, weights.table.spacing)
    return reference_edge_product(spec, x, harmonics, values.unflatten(-1, (weights.table.paths, -1)), batch)


def status() -> str:
    """In words, what computes the edge operations on this machine; compiles a small one to find out."""
    if os.environ.get("EQUIPOT_KERNELS", "auto") == "reference":
        return "reference (plain PyTorch), because EQUIPOT_KERNELS=reference"
    scalar = EdgeProduct((SCALAR,), (SCALAR,), (SCALAR,), (Path(0, 0, 0),))
    try:
        program(scalar, torch.float32)
    except NoCompiler as failure:
        return f"reference (plain PyTorch): {failure}"
    return f"C++ by {compiler()} from {MIN_CHANNELS} channels on, each checked against the reference at first use"


def _reason_against(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: Tensor, batch: AtomicBatch
) -> str | None:
    try:
        error = disagreement(spec, *_excerpt(x, harmonics, weights, batch))
    except NoCompiler as failure:
        return str(failure)
    if error < TOLERANCE[weights.dtype]:  # false for NaN, too
        return None
    return f"its compiled program was refused, since it differs from it by {error:.1e} (relative). Please report this."


def disagreement(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: Tensor, batch: AtomicBatch
) -> float:
    """Largest relative difference between program and reference in values, first and second derivatives."""
    found, expected = (
        _with_derivatives(operation, spec, x, harmonics, weights, batch)
        for operation in (compiled_edge_product, reference_edge_product)
    )
    return largest_difference(found, expected)


def _with_derivatives(
    operation, spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: Tensor, batch: AtomicBatch
) -> list[Tensor]:
    """The result, its gradients along a fixed direction, and the gradients of theirs."""
    with torch.enable_grad():
        given = [t.detach().clone().requires_grad_(True) for t in (x, harmonics, weights) if t is not None]
        out = operation(spec, *([None] * (x is None)), *given, batch)
        direction = _direction(out).requires_grad_(True)
        # a scalar harmonic is the number one, which the reference leaves out: no gradient is zero
        first = torch.autograd.grad(
            out, given, direction, create_graph=True, allow_unused=True, materialize_grads=True
        )
        along = sum(((f * _direction(f)).sum() for f in first), out.new_zeros(()))
        second = torch.autograd.grad(along, [*given, direction], allow_unused=True, materialize_grads=True)
    return [t.detach() for t in (out, *first, *second)]


def _direction(like: Tensor) -> Tensor:
    """Numbers without symmetry, the same every time; no random state is touched."""
    steps = torch.arange(like.numel(), dtype=torch.float64, device=like.device)
    return torch.sin(0.7 + 1.3 * steps).to(like.dtype).reshape(like.shape)


def _excerpt(
    x: Tensor | None, harmonics: Tensor, weights: Tensor, batch: AtomicBatch
) -> tuple[Tensor | None, Tensor, Tensor, AtomicBatch]:
    """The edges among the first atoms that have any: part of the structure that is closed under mirroring."""
    busy = batch.receivers.unique()[:CHECKED_ATOMS]
    if len(busy) == batch.num_atoms:
        return x, harmonics, weights, batch
    place = batch.receivers.new_full((batch.num_atoms,), -1)
    place[busy] = torch.arange(len(busy), device=busy.device)
    kept = ((place[batch.receivers] >= 0) & (place[batch.senders] >= 0)).nonzero()[:, 0]
    new_edge = batch.receivers.new_full((len(batch.receivers),), -1)
    new_edge[kept] = torch.arange(len(kept), device=kept.device)
    receivers = place[batch.receivers[kept]]
    counts = torch.bincount(receivers, minlength=len(busy))
    part = replace(
        batch,
        positions=batch.positions[busy],
        species=batch.species[busy],
        system=batch.system[busy],
        senders=place[batch.senders[kept]],
        receivers=receivers,
        shifts=batch.shifts[kept],
        row_pointer=torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
        reverse=new_edge[batch.reverse[kept]],
        edge_vectors=None,
        **dict.fromkeys(ATOMIC_VECTORS),
    )
    return x[busy] if x is not None else None, harmonics[kept], weights[kept], part
