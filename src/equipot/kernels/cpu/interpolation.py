"""Cubic Hermite tables in C++, differentiable any number of times.

Two functions of the order d: the d-th derivatives of all columns at every r, V_d, and their sum with a gradient,
s_d = Σ_n g_n V_d,n. The derivative of either is one of them at d + 1, so a force or a Hessian is as compiled as an
energy, and no array larger than the result is written.
"""

import ctypes
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from equipot.kernels.cpu.build import library
from equipot.kernels.cpu.calls import called, threads_for
from equipot.kernels.cpu.vectors import SERIAL_EDGES, prelude

_SOURCE = """
static inline T one(const T* f, const T* p, int64_t n) {
  return f[0] * p[0] + f[1] * p[n] + f[2] * p[2 * n] + f[3] * p[3 * n];
}

extern "C" void values(int64_t E, int64_t n, int64_t K, int threads, int d, T per, const T* r, const T* rows, T* out) {
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t e = 0; e < E; e++) {
    T t, f[4];
    const T* p = place(r[e], per, K, n, rows, t);
    factors(t, per, d, f);
    T* o = out + e * n;
    int64_t j = 0;
    for (; j + V <= n; j += V) store(o + j, mixed(f, p + j, n));
    for (; j < n; j++) o[j] = one(f, p + j, n);
  }
}

extern "C" void contracted(int64_t E, int64_t n, int64_t K, int threads, int d, T per, const T* r, const T* rows,
    const T* g, T* out) {
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t e = 0; e < E; e++) {
    T t, f[4];
    const T* p = place(r[e], per, K, n, rows, t);
    factors(t, per, d, f);
    const T* q = g + e * n;
    vec sum = {};
    T rest = 0;
    int64_t j = 0;
    for (; j + V <= n; j += V) sum += load(q + j) * mixed(f, p + j, n);
    for (; j < n; j++) rest += q[j] * one(f, p + j, n);
    out[e] = rest + total(sum);
  }
}
RECORDABLE(values)
RECORDABLE(contracted)
"""


@cache
def program(dtype: torch.dtype) -> ctypes.CDLL:
    """Compiled once per process and precision."""
    return library(prelude(dtype) + _SOURCE)


def _call(name: str, order: int, per: float, r: Tensor, rows: Tensor, *tensors: Tensor) -> None:
    """Run a function; the last tensor is its result."""
    number = ctypes.c_double if r.dtype == torch.float64 else ctypes.c_float
    threads = threads_for(r.shape[0], SERIAL_EDGES)
    sizes = (r.shape[0], rows.shape[2], rows.shape[0] - 1)
    pointers = [t.data_ptr() for t in (r, rows, *tensors)]
    library, integer, address = program(r.dtype), ctypes.c_int64, ctypes.c_void_p
    getattr(library, name)(
        *map(integer, sizes), ctypes.c_int(threads), ctypes.c_int(order), number(per), *map(address, pointers)
    )
    called(library, name, (*sizes, threads, order, per, *pointers), tensors[-1:])


class Values(Function):
    """V_d(r), all columns."""

    @staticmethod
    def forward(ctx: Any, order: int, per: float, r: Tensor, rows: Tensor) -> Tensor:
        """[edges, columns]; zero from the fourth derivative on."""
        ctx.order, ctx.per = order, per
        ctx.save_for_backward(r, rows)
        out = r.new_empty(r.shape[0], rows.shape[2])
        _call("values", order, per, r, rows, out)
        return out

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Σ_n g_n V_{d+1},n."""
        r, rows = ctx.saved_tensors
        # contiguous here: a copy made in there would be no argument, and lost in the next derivative
        return None, None, Contracted.apply(ctx.order + 1, ctx.per, r, rows, g.contiguous()), None


class Contracted(Function):
    """s_d = Σ_n g_n V_d,n(r)."""

    @staticmethod
    def forward(ctx: Any, order: int, per: float, r: Tensor, rows: Tensor, g: Tensor) -> Tensor:
        """[edges]."""
        ctx.order, ctx.per = order, per
        ctx.save_for_backward(r, rows, g)
        out = torch.empty_like(r)
        _call("contracted", order, per, r, rows, g, out)
        return out

    @staticmethod
    def backward(ctx: Any, c: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Along r and g: c s_{d+1} and c V_d."""
        r, rows, g = ctx.saved_tensors
        along = c * Contracted.apply(ctx.order + 1, ctx.per, r, rows, g) if ctx.needs_input_grad[2] else None
        values = c[:, None] * Values.apply(ctx.order, ctx.per, r, rows) if ctx.needs_input_grad[4] else None
        return None, None, along, None, values


def compiled_interpolate(
    rows: Float[Tensor, "knots 2 columns"], r: Float[Tensor, " edges"], spacing: float
) -> Float[Tensor, "edges columns"]:
    """As `reference_interpolate`; not differentiable in the table."""
    return Values.apply(0, 1 / spacing, r.contiguous(), rows.contiguous())
