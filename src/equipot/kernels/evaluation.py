"""Which back end evaluates a polynomial, and the proof that it may.

C++ on a CPU with a compiler, Triton on CUDA (and where TRITON_INTERPRET=1 asks for its interpreter). A program is
compared with the definition on numbers without symmetry before it is used; one that disagrees is refused, loudly, and
the definition is interpreted instead.
"""

import logging
import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from equipot.batch import readable
from equipot.kernels.agreement import TOLERANCE, compilable, largest_difference
from equipot.kernels.autograd import Evaluate
from equipot.kernels.cpu import polynomial as cpu
from equipot.kernels.cpu.build import NoCompiler, library
from equipot.kernels.cpu.vectors import VECTOR_BYTES
from equipot.kernels.gpu import polynomial as gpu
from equipot.kernels.gpu.build import installed, on_triton
from equipot.kernels.polynomial import Polynomial, interpret

log = logging.getLogger("equipot")


class Decided(NamedTuple):
    """What a decision is about; programs in C++ are those of all numbers of channels."""

    polynomial: Polynomial
    dtype: torch.dtype
    device: torch.device
    channels: int | None


#: what was decided, and why: None, or what is wrong with a program
decisions: dict[Decided, str | None] = {}


def _run(polynomial: Polynomial, row: Tensor | None, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    run: Callable[..., tuple[Tensor, ...]] = gpu.run if on_triton(inputs[0].device) else cpu.run
    return run(polynomial, row, inputs)


def _checked(polynomial: Polynomial, row: Tensor | None, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """By the program, once it is known to be right."""
    like = inputs[0]
    channels = like.shape[-1] if on_triton(like.device) else None
    key = Decided(polynomial, like.dtype, like.device, channels)
    if key not in decisions:
        decisions[key] = _reason_against(key)
        if decisions[key] is not None:
            log.warning(
                "A compiled polynomial was refused and is interpreted instead, slowly: %s. Please report this.",
                decisions[key],
            )
    return _run(polynomial, row, inputs) if decisions[key] is None else interpret(polynomial, inputs, row)


def _reason_against(key: Decided) -> str | None:
    try:
        error = disagreement(*key)
    except NoCompiler as failure:
        return str(failure)
    agrees = error < TOLERANCE[key.dtype]  # false for NaN, too
    return None if agrees else f"it differs from its definition by {error:.1e} (relative)"


def disagreement(
    polynomial: Polynomial, dtype: torch.dtype, device: torch.device, channels: int | None = None
) -> float:
    """Largest relative difference of the program from the definition, on five rows in three groups."""
    pointer = torch.tensor([0, 2, 2, 5], device=device)
    numbers, width = {"row": 5, "group": 3, "shared": 1}, channels or 2 * VECTOR_BYTES // dtype.itemsize
    inputs = []
    for n, slot in enumerate(polynomial.inputs):
        shape = (numbers[slot.kind], slot.components, width)
        steps = torch.arange(math.prod(shape), dtype=torch.float64, device=device)
        inputs.append(torch.sin(0.7 + n + 1.3 * steps).to(dtype).reshape(shape))
    row = pointer if polynomial.grouped else None
    with torch.no_grad():
        return largest_difference(_run(polynomial, row, tuple(inputs)), interpret(polynomial, inputs, row))


def compiles(like: Tensor) -> bool:
    """Whether polynomials of such numbers run compiled on this machine."""
    if not compilable(like, like.shape[-1]):
        return False
    return installed() if on_triton(like.device) else like.device.type == "cpu" and _compiler_works()


@cache
def _compiler_works() -> bool:
    try:
        library('extern "C" void nothing() {}')
    except NoCompiler as failure:
        log.warning("The slower reference computes products of features: %s", failure)
        return False
    return True


def _check(polynomial: Polynomial, inputs: tuple[Tensor, ...], row_pointer: Tensor | None) -> None:
    """ValueError for what a program, which trusts its pointers, would read beyond."""
    if row_pointer is None and polynomial.grouped:
        raise ValueError("polynomial: it has groups of rows; expected row_pointer")
    like = inputs[0]
    rows = inputs[polynomial.rows].shape[0]
    numbers = {"row": rows, "group": 0 if row_pointer is None else len(row_pointer) - 1, "shared": 1}
    expected = [(numbers[slot.kind], slot.components, like.shape[-1]) for slot in polynomial.inputs]
    if [tuple(t.shape) for t in inputs] != expected or any(t.dtype != like.dtype for t in inputs):
        found = ", ".join(f"{list(t.shape)} {t.dtype}" for t in inputs)
        raise ValueError(f"polynomial: found {found}; expected {expected}, all of {like.dtype}")
    if row_pointer is None or row_pointer.device.type != "cpu" or not readable(row_pointer):
        return  # a GPU would have to be waited for
    if row_pointer.dtype != torch.int64 or int(row_pointer[-1]) != rows:
        raise ValueError(f"polynomial: row_pointer ends with {row_pointer[-1]}; expected int64 up to {rows}")


def evaluate(
    polynomial: Polynomial, *inputs: Tensor, row_pointer: Tensor | None = None
) -> tuple[Tensor, ...]:
    """The outputs, [rows, components, channels] each, where `compiles` says so; differentiable any number of times.

    `row_pointer`, [groups + 1], where there are groups of rows, which lie behind one another.
    """
    channels = inputs[0].shape[-1]
    _check(polynomial, inputs, row_pointer)
    missing = 0 if on_triton(inputs[0].device) else -channels % (VECTOR_BYTES // inputs[0].element_size())
    if missing:  # whole vectors only
        inputs = tuple(pad(t, (0, missing)) for t in inputs)
    row = row_pointer.contiguous() if row_pointer is not None else None
    found = Evaluate.apply(_checked, polynomial, row, *(t.contiguous() for t in inputs))
    return tuple(t[..., :channels] for t in found) if missing else found
