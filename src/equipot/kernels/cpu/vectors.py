"""C++ that all programs begin with: numbers, vectors of them, and the rows of a table around a distance."""

import torch

SCALARS = {torch.float32: "float", torch.float64: "double"}
VECTOR_BYTES = 64
SERIAL_EDGES = 500  # below so many one thread is faster than waking others

_TEXT = """\
#include <cstdint>
#include <cstring>
#include <omp.h>
typedef {scalar} T;
typedef T vec __attribute__((vector_size(64)));
constexpr int V = 64 / sizeof(T);
static inline vec load(const T* p) {{ vec v; memcpy(&v, p, 64); return v; }}
static inline void store(T* p, vec v) {{ memcpy(p, &v, 64); }}
static inline void add(T* p, vec v) {{ store(p, load(p) + v); }}
static inline T total(vec v) {{ T s = 0; for (int i = 0; i < V; i++) s += v[i]; return s; }}
// value, slope, next value, next slope of n functions lie behind one another; f: their factors at a distance
static inline const T* place(T r, T per, int64_t K, int64_t n, const T* rows, T& t) {{
  const T x = r * per;
  int64_t k = x > 0 ? (int64_t)x : 0;
  if (k > K - 1) k = K - 1;
  t = x - (T)k;
  return rows + k * 2 * n;
}}
static inline void factors(T t, T per, int order, T* f) {{
  const T s = 1 - t;
  switch (order) {{
    case 0: f[0] = (1 + 2 * t) * s * s; f[1] = t * s * s; f[2] = t * t * (3 - 2 * t); f[3] = -t * t * s; break;
    case 1: f[0] = -6 * t * s; f[1] = s * (1 - 3 * t); f[2] = 6 * t * s; f[3] = t * (3 * t - 2); break;
    case 2: f[0] = 12 * t - 6; f[1] = 6 * t - 4; f[2] = 6 - 12 * t; f[3] = 6 * t - 2; break;
    case 3: f[0] = 12; f[1] = 6; f[2] = -12; f[3] = 6; break;
    default: f[0] = f[1] = f[2] = f[3] = 0;
  }}
  for (int i = 0; i < order; i++) for (int q = 0; q < 4; q++) f[q] *= per;
}}
static inline vec mixed(const T* f, const T* p, int64_t n) {{
  return f[0] * load(p) + f[1] * load(p + n) + f[2] * load(p + 2 * n) + f[3] * load(p + 3 * n);
}}
"""


def prelude(dtype: torch.dtype) -> str:
    """Of a program in this precision."""
    return _TEXT.format(scalar=SCALARS[dtype])
