"""Polynomials in C++: straight-line vector code for a row and a vector of channels."""

import ctypes
import logging
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import pad

from equipot.kernels.agreement import TOLERANCE, compilable, largest_difference
from equipot.kernels.cpu.build import NoCompiler, library
from equipot.kernels.cpu.vectors import VECTOR_BYTES, prelude
from equipot.kernels.polynomial import Node, Polynomial, Tape, arguments_of, interpret

log = logging.getLogger("equipot")

#: what was decided, and why: (polynomial, precision) -> None, or what is wrong with its program
decisions: dict[tuple[Polynomial, torch.dtype], str | None] = {}

SERIAL_NUMBERS = 100_000  # of all inputs: below so many one thread is faster than waking others


def source(polynomial: Polynomial, dtype: torch.dtype) -> str:
    """The program: a loop over groups of rows, in it one over their rows, in it one over vectors of channels."""
    given = "".join(f", const T* in{n}" for n in range(len(polynomial.inputs)))
    made = "".join(f", T* out{n}" for n in range(len(polynomial.outputs)))
    index = {"row": "r", "group": "i", "shared": "0"}
    pointers = [
        f"const T* p{n} = in{n} + {index[slot.kind]} * {slot.components} * C + c;"
        for n, slot in enumerate(polynomial.inputs)
    ]
    index["shared"] = "thread"
    pointers += [
        f"T* q{n} = out{n} + {index[slot.kind]} * {slot.components} * C + c;"
        for n, slot in enumerate(polynomial.outputs)
    ]
    zeros = [
        f"memset(out{n} + i * {slot.components} * C, 0, sizeof(T) * {slot.components} * C);"
        for n, slot in enumerate(polynomial.outputs)
        if slot.kind == "group"
    ]
    return "\n".join(
        [
            prelude(dtype),
            f'extern "C" void run(int64_t N, int64_t C, int threads, const int64_t* row{given}{made}) {{',
            "#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)",
            "for (int64_t i = 0; i < N; i++) {",
            "const int64_t thread = omp_get_thread_num(); (void)thread;",
            *zeros,
            "for (int64_t r = row ? row[i] : i; r < (row ? row[i + 1] : i + 1); r++)",
            "for (int64_t c = 0; c < C; c += V) {",
            *pointers,
            *_statements(polynomial),
            "}",
            "}",
            "}",
        ]
    )


def _statements(polynomial: Polynomial) -> list[str]:
    """Each expression before its first use, those of one output component together: short lives, few spills."""
    lines: list[str] = []
    known: set[int] = set()
    for n, (slot, expressions) in enumerate(zip(polynomial.outputs, polynomial.expressions, strict=True)):
        for component, node in enumerate(expressions):
            lines += _needed(polynomial.tape, node, known)
            place, value = f"q{n} + {component} * C", "vec{}" if node is None else f"v{node}"
            if slot.kind == "row":
                lines.append(f"store({place}, {value});")
            elif node is not None:
                lines.append(f"add({place}, {value});")
    return lines


def _needed(tape: Tape, node: Node, known: set[int]) -> list[str]:
    """What defines a node, without recursion: programs are long."""
    lines: list[str] = []
    waiting = [] if node is None else [node]
    while waiting:
        top = waiting[-1]
        before = arguments_of(tape.nodes[top])
        missing = [n for n in before if n not in known] if top not in known else []
        if missing:
            waiting += reversed(missing)
            continue
        waiting.pop()
        if top not in known:
            known.add(top)
            lines.append(f"const vec v{top} = {_text(*tape.nodes[top])};")
    return lines


def _text(what: str, *arguments: Any) -> str:
    if what == "input":
        return f"load(p{arguments[0]} + {arguments[1]} * C)"
    if what == "product":
        return f"v{arguments[0]} * v{arguments[1]}"
    if what == "inverse":
        return f"T(1) / v{arguments[0]}"
    if what in ("root", "logistic"):
        return f"{what}(v{arguments[0]})"
    constant, terms = arguments
    by_size: dict[float, str] = {}  # couplings have few different numbers: one multiplication for each
    for factor, node in terms:
        by_size[abs(factor)] = by_size.get(abs(factor), "") + f" {'-' if factor < 0 else '+'} v{node}"
    sums = []
    for size, text in by_size.items():
        first = text.removeprefix(" + ")
        first = f"-{first.removeprefix(' - ')}" if first.startswith(" - ") else first
        sums.append(first if size == 1.0 else f"T({size!r}) * ({first})")
    if constant:
        sums.append(f"(vec{{}} + T({constant!r}))")
    return " + ".join(sums)


@cache
def program(polynomial: Polynomial, dtype: torch.dtype) -> Callable[..., None]:
    """Compiled once per process: a function of two sizes, the threads and the addresses of all tensors."""
    run = library(source(polynomial, dtype)).run
    addresses = 1 + len(polynomial.inputs) + len(polynomial.outputs)
    run.argtypes = [ctypes.c_int64, ctypes.c_int64, ctypes.c_int, *(ctypes.c_void_p,) * addresses]
    run.restype = None
    return run


def _decided(polynomial: Polynomial, dtype: torch.dtype) -> bool:
    """Whether the program may compute; compiled and compared with the definition once for every precision."""
    key = (polynomial, dtype)
    if key not in decisions:
        error = disagreement(polynomial, dtype)
        agrees = error < TOLERANCE[dtype]  # false for NaN, too
        decisions[key] = None if agrees else f"it differs from its definition by {error:.1e} (relative)"
        if not agrees:
            log.warning(
                "A compiled polynomial was refused and is interpreted instead, slowly: %s. Please report this.",
                decisions[key],
            )
    return decisions[key] is None


def disagreement(polynomial: Polynomial, dtype: torch.dtype) -> float:
    """Largest relative difference of the program from the definition, on five rows in three groups."""
    pointer = torch.tensor([0, 2, 2, 5])
    numbers = {"row": 5, "group": 3, "shared": 1}
    inputs = []
    for n, slot in enumerate(polynomial.inputs):
        shape = (numbers[slot.kind], slot.components, 2 * VECTOR_BYTES // dtype.itemsize)
        steps = torch.arange(math.prod(shape), dtype=torch.float64)
        inputs.append(torch.sin(0.7 + n + 1.3 * steps).to(dtype).reshape(shape))
    row = pointer if polynomial.grouped else None
    with torch.no_grad():
        return largest_difference(_run(polynomial, row, tuple(inputs)), interpret(polynomial, inputs, row))


def _run(polynomial: Polynomial, row: Tensor | None, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    like = inputs[0]
    rows = inputs[polynomial.rows].shape[0]
    groups = len(row) - 1 if row is not None else rows
    threads = 1 if sum(t.numel() for t in inputs) < SERIAL_NUMBERS else torch.get_num_threads()
    numbers, channels = {"row": rows, "group": groups, "shared": threads}, like.shape[-1]
    outputs = tuple(
        (like.new_zeros if slot.kind == "shared" else like.new_empty)(
            numbers[slot.kind], slot.components, channels
        )
        for slot in polynomial.outputs
    )
    place = None if row is None else row.data_ptr()
    pointers = [t.data_ptr() for t in (*inputs, *outputs)]
    program(polynomial, like.dtype)(groups, channels, threads, place, *pointers)
    return tuple(
        t.sum(0, keepdim=True) if slot.kind == "shared" else t
        for t, slot in zip(outputs, polynomial.outputs, strict=True)
    )


class Evaluate(Function):
    """The outputs; their gradient is the evaluation of the derivative.

    Arguments are contiguous: a copy made in here would be no argument, and lost in the next derivative.
    """

    @staticmethod
    def forward(ctx: Any, polynomial: Polynomial, row: Tensor | None, *inputs: Tensor) -> tuple[Tensor, ...]:
        """[rows, components, channels] each."""
        ctx.polynomial, ctx.row = polynomial, row
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        return _computed(polynomial, row, *inputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
        """Of the inputs that want one."""
        wanted = tuple(ctx.needs_input_grad[2:])
        derivative = ctx.polynomial.derivative(wanted, tuple(c is not None for c in cotangents))
        given = [c.contiguous() for c in cotangents if c is not None]
        again = Evaluate.apply if torch.is_grad_enabled() else _computed  # nothing to remember, less to do
        found = iter(again(derivative, ctx.row, *ctx.saved_tensors, *given) if given else ())
        return None, None, *(next(found, None) if wants else None for wants in wanted)


def _computed(polynomial: Polynomial, row: Tensor | None, *inputs: Tensor) -> tuple[Tensor, ...]:
    if _decided(polynomial, inputs[0].dtype):
        return _run(polynomial, row, inputs)
    return interpret(polynomial, inputs, row)


def compiles(like: Tensor) -> bool:
    """Whether polynomials of such numbers run compiled on this machine."""
    return compilable(like, like.shape[-1]) and _compiler_works()


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
    if row_pointer is not None and (row_pointer.dtype != torch.int64 or int(row_pointer[-1]) != rows):
        raise ValueError(f"polynomial: row_pointer ends with {row_pointer[-1]}; expected int64 up to {rows}")


def evaluate(
    polynomial: Polynomial, *inputs: Tensor, row_pointer: Tensor | None = None
) -> tuple[Tensor, ...]:
    """The outputs, [rows, components, channels] each, where `compiles` says so; differentiable any number of times.

    `row_pointer`, [groups + 1], where there are groups of rows, which lie behind one another.
    """
    channels = inputs[0].shape[-1]
    _check(polynomial, inputs, row_pointer)
    missing = -channels % (VECTOR_BYTES // inputs[0].element_size())
    if missing:  # whole vectors only
        inputs = tuple(pad(t, (0, missing)) for t in inputs)
    row = row_pointer.contiguous() if row_pointer is not None else None
    found = Evaluate.apply(polynomial, row, *(t.contiguous() for t in inputs))
    return tuple(t[..., :channels] for t in found) if missing else found
