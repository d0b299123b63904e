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

SCALARS = {torch.float32: "float", torch.float64: "double"}
SERIAL_ROWS = 500

_SOURCE = """\
#include <cstdint>
#include <cstring>
typedef {scalar} T;
typedef T vec __attribute__((vector_size(64)));
constexpr int V = 64 / sizeof(T);
static inline vec load(const T* p) {{ vec v; memcpy(&v, p, 64); return v; }}
static inline void store(T* p, vec v) {{ memcpy(p, &v, 64); }}
struct Place {{ const T* rows; T c[4]; }};  // value, slope, next value, next slope, and their factors

static inline Place place(T r, T per, int64_t K, int64_t n, const T* rows, int d) {{
  T x = r * per;
  int64_t k = x > 0 ? (int64_t)x : 0;
  if (k > K - 1) k = K - 1;
  const T t = x - (T)k, s = 1 - t;
  Place p = {{rows + k * 2 * n, {{0, 0, 0, 0}}}};
  switch (d) {{
    case 0: p.c[0] = (1 + 2 * t) * s * s; p.c[1] = t * s * s; p.c[2] = t * t * (3 - 2 * t); p.c[3] = -t * t * s; break;
    case 1: p.c[0] = -6 * t * s; p.c[1] = s * (1 - 3 * t); p.c[2] = 6 * t * s; p.c[3] = t * (3 * t - 2); break;
    case 2: p.c[0] = 12 * t - 6; p.c[1] = 6 * t - 4; p.c[2] = 6 - 12 * t; p.c[3] = 6 * t - 2; break;
    case 3: p.c[0] = 12; p.c[1] = 6; p.c[2] = -12; p.c[3] = 6; break;
  }}
  for (int i = 0; i < d; i++) for (int q = 0; q < 4; q++) p.c[q] *= per;
  return p;
}}
#define VEC(j) (p.c[0] * load(p.rows + j) + p.c[1] * load(p.rows + n + j) \\
  + p.c[2] * load(p.rows + 2 * n + j) + p.c[3] * load(p.rows + 3 * n + j))
#define ONE(j) (p.c[0] * p.rows[j] + p.c[1] * p.rows[n + j] + p.c[2] * p.rows[2 * n + j] + p.c[3] * p.rows[3 * n + j])

extern "C" void values(int64_t E, int64_t n, int64_t K, int threads, int d, T per, const T* r, const T* rows, T* out) {{
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t e = 0; e < E; e++) {{
    const Place p = place(r[e], per, K, n, rows, d);
    T* o = out + e * n;
    int64_t j = 0;
    for (; j + V <= n; j += V) store(o + j, VEC(j));
    for (; j < n; j++) o[j] = ONE(j);
  }}
}}

extern "C" void contracted(int64_t E, int64_t n, int64_t K, int threads, int d, T per, const T* r, const T* rows,
    const T* g, T* out) {{
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t e = 0; e < E; e++) {{
    const Place p = place(r[e], per, K, n, rows, d);
    const T* q = g + e * n;
    vec sum = {{}};
    T rest = 0;
    int64_t j = 0;
    for (; j + V <= n; j += V) sum += load(q + j) * VEC(j);
    for (; j < n; j++) rest += q[j] * ONE(j);
    for (int i = 0; i < V; i++) rest += sum[i];
    out[e] = rest;
  }}
}}
"""


@cache
def program(dtype: torch.dtype) -> ctypes.CDLL:
    """Compiled once per process and precision."""
    return library(_SOURCE.format(scalar=SCALARS[dtype]))


def _call(name: str, order: int, per: float, r: Tensor, rows: Tensor, *tensors: Tensor) -> None:
    number = ctypes.c_double if r.dtype == torch.float64 else ctypes.c_float
    threads = 1 if r.shape[0] < SERIAL_ROWS else torch.get_num_threads()
    sizes = (ctypes.c_int64(r.shape[0]), ctypes.c_int64(rows.shape[2]), ctypes.c_int64(rows.shape[0] - 1))
    pointers = [ctypes.c_void_p(t.data_ptr()) for t in (r, rows, *tensors)]
    getattr(program(r.dtype), name)(
        *sizes, ctypes.c_int(threads), ctypes.c_int(order), number(per), *pointers
    )


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
        return None, None, Contracted.apply(ctx.order + 1, ctx.per, r, rows, g), None


class Contracted(Function):
    """s_d = Σ_n g_n V_d,n(r)."""

    @staticmethod
    def forward(ctx: Any, order: int, per: float, r: Tensor, rows: Tensor, g: Tensor) -> Tensor:
        """[edges]."""
        ctx.order, ctx.per, g = order, per, g.contiguous()
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
