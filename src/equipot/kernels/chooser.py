"""Which back end computes an edge operation, and the proof that it may.

Operations of at least 16 channels run as generated programs: C++ on a CPU with a compiler, Triton on CUDA (and on a CPU
where TRITON_INTERPRET=1 asks for its interpreter). Before the first use of a program its values and derivatives are
compared with the reference on the structure at hand; one that disagrees is refused, loudly, and the reference computes
instead. `EQUIPOT_KERNELS=reference` switches programs off.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.kernels.agreement import MIN_CHANNELS, TOLERANCE, compilable, largest_difference
from equipot.kernels.cpu.build import NoCompiler, compiler
from equipot.kernels.cpu.edge import (
    compiled_edge_product,
    compiled_tabulated_product,
    program,
)
from equipot.kernels.cpu.edge_pairs import compiled_pair_product
from equipot.kernels.cpu.vectors import whole_vectors
from equipot.kernels.description import EdgeProduct, Path
from equipot.kernels.gpu.build import installed, on_triton
from equipot.kernels.gpu.edge import triton_edge_product, triton_tabulated_product
from equipot.kernels.interpolation import TabulatedWeights, reference_interpolate
from equipot.kernels.pair_weights import PairWeights, places
from equipot.kernels.proof import argument, direction, excerpt, with_derivatives
from equipot.kernels.reference import reference_edge_product
from equipot.tensor.irreps import SCALAR

log = logging.getLogger("equipot")


@dataclass(frozen=True)
class BackEnd:
    """Who computes, with weights that are given and with those of a table."""

    name: str
    product: Callable[..., Tensor]
    tabulated: Callable[..., Tensor]


#: a description, its channels, their precision, and the back end that was asked
Decided = tuple[EdgeProduct, int, torch.dtype, str]
#: what was decided, and why: None, or the reason for the reference
decisions: dict[Decided, str | None] = {}
tabulated_decisions: dict[Decided, str | None] = {}
pair_decisions: dict[Decided, str | None] = {}


def back_end(device: torch.device) -> BackEnd | None:
    """That has programs for such a device; named anew at every call, so that a test can put others in their place."""
    if on_triton(device):
        return BackEnd("Triton", triton_edge_product, triton_tabulated_product)
    if device.type == "cpu":
        return BackEnd("C++", compiled_edge_product, compiled_tabulated_product)
    return None


ROUNDING = 4  # times that of PyTorch itself in the same precision


def compiled(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: Tensor, batch: AtomicBatch
) -> BackEnd | None:
    """Whose program computes this, if any; decides it, once, for every description, width and precision."""
    channels = weights.shape[-1]
    if not _possible(weights, channels, harmonics) or (chosen := back_end(weights.device)) is None:
        return None
    key = (spec, channels, weights.dtype, chosen.name)
    if batch.halo is not None:  # without mirrored edges nothing can be checked, and Triton needs them
        return chosen if chosen.name == "C++" and decisions.get(key, "unchecked") is None else None
    if key not in decisions:
        decisions[key] = _reason_against(spec, x, harmonics, weights, batch)
        if decisions[key] is not None:
            log.warning("The slower reference computes an edge operation: %s", decisions[key])
    return chosen if decisions[key] is None else None


def compiled_tabulated(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: TabulatedWeights, batch: AtomicBatch
) -> BackEnd | None:
    """The same for weights from a table, whose program is another one with a check of its own."""
    rows, channels = weights.table.rows, weights.table.channels
    if not _possible(rows, channels, harmonics) or (chosen := back_end(rows.device)) is None:
        return None
    if chosen.name == "C++" and not whole_vectors(channels, rows.dtype):
        return None
    key = (spec, channels, rows.dtype, chosen.name)
    if batch.halo is not None:
        return chosen if chosen.name == "C++" and tabulated_decisions.get(key, "unchecked") is None else None
    if key not in tabulated_decisions:
        tabulated_decisions[key] = _reason_against_tabulated(spec, x, harmonics, weights, batch)
        if tabulated_decisions[key] is not None:
            log.warning("Weights are read from their table before: %s", tabulated_decisions[key])
    return chosen if tabulated_decisions[key] is None else None


def compiled_of_pairs(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: PairWeights, batch: AtomicBatch
) -> Callable[..., Tensor] | None:
    """The same for weights of pairs: a program in C++, which needs the mirrored edges of all."""
    rows, channels = weights.rows, weights.rows.shape[-1]
    if batch.halo is not None or not (
        _possible(rows, channels, harmonics) and whole_vectors(channels, rows.dtype)
    ):
        return None
    chosen = back_end(rows.device)
    if chosen is None or chosen.name != "C++":
        return None
    key = (spec, channels, rows.dtype, chosen.name)
    if key not in pair_decisions:
        pair_decisions[key] = _reason_against_pairs(spec, x, harmonics, weights, batch)
        if pair_decisions[key] is not None:
            log.warning("Weights of pairs are copied to their edges: %s", pair_decisions[key])
    return compiled_pair_product if pair_decisions[key] is None else None


def _possible(like: Tensor, channels: int, harmonics: Tensor) -> bool:
    """Whether there is anything to compile for, and edges to compare with."""
    return compilable(harmonics, channels) and compilable(like, channels) and len(harmonics) > 0


def _reason_against_tabulated(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: TabulatedWeights, batch: AtomicBatch
) -> str | None:
    chosen = back_end(weights.r.device)
    assert chosen is not None
    x, harmonics, r, part = excerpt(x, harmonics, weights.r, batch)
    results = []
    try:
        ways = ((chosen.tabulated, r.dtype), (_values_first, torch.float64), (_values_first, r.dtype))
        for operation, dtype in ways:
            table = replace(weights.table, rows=weights.table.rows.to(dtype))
            with torch.enable_grad():
                given = [argument(t, dtype) for t in (x, harmonics, r) if t is not None]
                tabulated = TabulatedWeights(table, given[-1])
                out = operation(spec, given[0] if x is not None else None, given[-2], tabulated, part)
                first = torch.autograd.grad(
                    out, given, direction(out), allow_unused=True, materialize_grads=True
                )
            results.append([out.detach(), *first])
    except NoCompiler as failure:
        return str(failure)
    error, rounding = (largest_difference(found, results[1]) for found in (results[0], results[2]))
    # slopes between knots lose digits in single precision, whoever computes them
    if error < max(TOLERANCE[r.dtype], ROUNDING * rounding):  # false for NaN, too
        return None
    return (
        f"the program that reads it differs from the reference by {error:.1e} (relative). Please report this."
    )


def _reason_against_pairs(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: PairWeights, batch: AtomicBatch
) -> str | None:
    x, harmonics, old, part = excerpt(x, harmonics, weights.place, batch)
    place, first = places(part.reverse)
    kept = old[first] >> 1

    def of_pairs(product: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def operation(
            spec: EdgeProduct, x: Tensor | None, y: Tensor, w: Tensor, f: Tensor, *rest: Any
        ) -> Tensor:
            return product(spec, x, y, PairWeights(w, f, place), *rest)

        return operation

    given, dtype = (spec, x, harmonics, weights.rows[kept], part, weights.factor[kept]), weights.rows.dtype
    try:
        found, expected = (
            with_derivatives(of_pairs(product), precision, *given)
            for product, precision in ((compiled_pair_product, dtype), (_copied_first, torch.float64))
        )
    except NoCompiler as failure:
        return str(failure)
    error = largest_difference(found, expected)
    if error < TOLERANCE[dtype]:  # false for NaN, too
        return None
    return f"the program that reads them differs from the reference by {error:.1e} (relative). Please report this."


def _copied_first(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: PairWeights, batch: AtomicBatch
) -> Tensor:
    return reference_edge_product(spec, x, harmonics, weights.values(), batch)


def _values_first(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: TabulatedWeights, batch: AtomicBatch
) -> Tensor:
    values = reference_interpolate(weights.table.rows, weights.r, weights.table.spacing)
    return reference_edge_product(spec, x, harmonics, values.unflatten(-1, (weights.table.paths, -1)), batch)


def status() -> str:
    """In words, what computes edge operations on processors; compiles a small one to find out."""
    if os.environ.get("EQUIPOT_KERNELS", "auto") == "reference":
        return "reference (plain PyTorch), because EQUIPOT_KERNELS=reference"
    scalar = EdgeProduct((SCALAR,), (SCALAR,), (SCALAR,), (Path(0, 0, 0),))
    try:
        program(scalar, torch.float32)
    except NoCompiler as failure:
        return f"reference (plain PyTorch): {failure}"
    return f"C++ by {compiler()} from {MIN_CHANNELS} channels on, each checked against the reference at first use"


def status_on_cuda() -> str:
    """In words, what computes edge operations on a GPU, if there is one."""
    if os.environ.get("EQUIPOT_KERNELS", "auto") == "reference":
        return "reference (plain PyTorch), because EQUIPOT_KERNELS=reference"
    if not installed():
        return "reference (plain PyTorch): Triton is not installed"
    return (
        f"Triton from {MIN_CHANNELS} channels on, each checked against the reference at first use; "
        "in progress: tested in the interpreter and compiled for sm_90, not run on a device"
    )


def _reason_against(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: Tensor, batch: AtomicBatch
) -> str | None:
    try:
        error = disagreement(spec, *excerpt(x, harmonics, weights, batch))
    except NoCompiler as failure:
        return str(failure)
    if error < TOLERANCE[weights.dtype]:  # false for NaN, too
        return None
    return f"its compiled program was refused, since it differs from it by {error:.1e} (relative). Please report this."


def disagreement(
    spec: EdgeProduct, x: Tensor | None, harmonics: Tensor, weights: Tensor, batch: AtomicBatch
) -> float:
    """Largest relative difference between program and reference in values, first and second derivatives.

    The reference computes in double precision, whatever products of matrices are rounded to otherwise.
    """
    chosen = back_end(weights.device)
    assert chosen is not None
    found, expected = (
        with_derivatives(operation, dtype, spec, x, harmonics, weights, batch)
        for operation, dtype in ((chosen.product, weights.dtype), (reference_edge_product, torch.float64))
    )
    return largest_difference(found, expected)
