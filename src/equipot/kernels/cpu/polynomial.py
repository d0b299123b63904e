"""Polynomials in C++: straight-line vector code for a row and a vector of channels."""

import ctypes
from functools import cache

import torch
from torch import Tensor

from equipot.kernels.cpu.build import library
from equipot.kernels.cpu.calls import called, threads_for
from equipot.kernels.cpu.vectors import prelude
from equipot.kernels.expressions import Language, definitions
from equipot.kernels.polynomial import Polynomial

CPP = Language(
    define="const vec {name} = {text};",
    load=lambda slot, component: f"load(p{slot} + {component} * C)",
    number=lambda value: f"T({value!r})",
    constant=lambda value: f"(vec{{}} + T({value!r}))",
    root="root",
    logistic="logistic",
)
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
            "RECORDABLE(run)",
        ]
    )


def _statements(polynomial: Polynomial) -> list[str]:
    """Each expression before its first use, those of one output component together: short lives, few spills."""
    lines: list[str] = []
    known: set[int] = set()
    for n, (slot, expressions) in enumerate(zip(polynomial.outputs, polynomial.expressions, strict=True)):
        for component, node in enumerate(expressions):
            lines += definitions(polynomial.tape, node, known, CPP)
            place, value = f"q{n} + {component} * C", "vec{}" if node is None else f"v{node}"
            if slot.kind == "row":
                lines.append(f"store({place}, {value});")
            elif node is not None:
                lines.append(f"add({place}, {value});")
    return lines


@cache
def program(polynomial: Polynomial, dtype: torch.dtype) -> ctypes.CDLL:
    """Compiled once per process: `run` is a function of two sizes, the threads and the addresses of all tensors."""
    made = library(source(polynomial, dtype))
    run = made.run
    addresses = 1 + len(polynomial.inputs) + len(polynomial.outputs)
    run.argtypes = [ctypes.c_int64, ctypes.c_int64, ctypes.c_int, *(ctypes.c_void_p,) * addresses]
    run.restype = None
    return made


def run(polynomial: Polynomial, row: Tensor | None, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The outputs; inputs are contiguous and of whole vectors of channels."""
    like = inputs[0]
    rows = inputs[polynomial.rows].shape[0]
    groups = len(row) - 1 if row is not None else rows
    threads = threads_for(sum(t.numel() for t in inputs), SERIAL_NUMBERS)
    numbers, channels = {"row": rows, "group": groups, "shared": threads}, like.shape[-1]
    outputs = tuple(
        (like.new_zeros if slot.kind == "shared" else like.new_empty)(
            numbers[slot.kind], slot.components, channels
        )
        for slot in polynomial.outputs
    )
    place = None if row is None else row.data_ptr()
    pointers = [t.data_ptr() for t in (*inputs, *outputs)]
    made, words = program(polynomial, like.dtype), (groups, channels, threads, place, *pointers)
    made.run(*words)
    called(made, "run", words, outputs)
    return tuple(
        t.sum(0, keepdim=True) if slot.kind == "shared" else t
        for t, slot in zip(outputs, polynomial.outputs, strict=True)
    )
