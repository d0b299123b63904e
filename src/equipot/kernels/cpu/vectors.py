"""C++ that all programs begin with: numbers, vectors of them and their functions, the rows of a table."""

import torch

from equipot.kernels.cpu.build import instructions

SCALARS = {torch.float32: "float", torch.float64: "double"}
REGISTER_BYTES = 64 if "avx512f" in instructions() else 32 if "avx2" in instructions() else 16
VECTOR_BYTES = 64 if REGISTER_BYTES == 64 else 2 * REGISTER_BYTES  # of what programs work on at a time
SERIAL_EDGES = 500  # below so many one thread is faster than waking others

INCLUDES = """\
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <omp.h>
// a function of sizes, numbers and addresses as one of their list: what a recording calls
union Word { int64_t i; double d; void* p; };
template <class A> static inline A taken(const Word& w) {
  if constexpr (std::is_pointer<A>::value) return (A)w.p;
  else if constexpr (std::is_integral<A>::value) return (A)w.i;
  else return (A)w.d;
}
template <class... A, size_t... I>
static inline void spread(void (*f)(A...), const Word* w, std::index_sequence<I...>) { f(taken<A>(w[I])...); }
template <class... A> static inline void with_list(void (*f)(A...), const Word* w) {
  spread(f, w, std::index_sequence_for<A...>{});
}
#define RECORDABLE(name) extern "C" void name##_recorded(const Word* w) { with_list(name, w); }
"""

_TEXT = """\
typedef {scalar} T;
typedef T reg __attribute__((vector_size({bytes})));
typedef {integer} integers __attribute__((vector_size({bytes})));
static inline T total(reg v) {{ T s = 0; for (int i = 0; i < {bytes} / sizeof(T); i++) s += v[i]; return s; }}
static inline reg root(reg v) {{ for (int i = 0; i < {bytes} / sizeof(T); i++) v[i] = std::sqrt(v[i]); return v; }}
// e^x = 2^k e^r with |r| <= ln 2/2, by as many terms as the precision has; adding `shift` rounds to an integer
static inline reg exponential(reg x) {{
  x = x < T({lowest}) ? reg{{}} + T({lowest}) : x;
  x = x > T({highest}) ? reg{{}} + T({highest}) : x;
  const reg k = (x * T(1.4426950408889634) + T({shift})) - T({shift});
  const reg r = (x - k * T({high})) - k * T({low});
  reg sum = reg{{}} + T(1);
#pragma GCC unroll 16
  for (int n = {terms}; n > 0; n--) sum = sum * r * (T(1) / T(n)) + T(1);
  const integers power = (__builtin_convertvector(k, integers) + {bias}) << {mantissa};
  reg scale; memcpy(&scale, &power, {bytes});
  return sum * scale;
}}
{vector}
constexpr int V = sizeof(vec) / sizeof(T);
static inline void add(T* p, vec v) {{ store(p, load(p) + v); }}
static inline vec logistic(vec x) {{ return T(1) / (exponential(-x) + T(1)); }}
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

_ONE = """\
typedef reg vec;
static inline vec load(const T* p) {{ vec v; memcpy(&v, p, sizeof v); return v; }}
static inline void store(T* p, vec v) {{ memcpy(p, &v, sizeof v); }}"""
# two registers, since what an edge or a row needs beside its channels is worth more than one; where a vector type is
# wider than a register, compilers keep sums of it in memory
_TWO = """\
struct vec {{ reg a, b; }};
static inline vec load(const T* p) {{
  reg a, b;
  memcpy(&a, p, sizeof a);
  memcpy(&b, p + sizeof a / sizeof(T), sizeof b);
  return {{a, b}};
}}
static inline void store(T* p, vec v) {{
  memcpy(p, &v.a, sizeof v.a);
  memcpy(p + sizeof v.a / sizeof(T), &v.b, sizeof v.b);
}}
{operators}
static inline vec operator-(vec x) {{ return {{-x.a, -x.b}}; }}
static inline vec& operator+=(vec& x, vec y) {{ return x = x + y; }}
static inline vec& operator-=(vec& x, vec y) {{ return x = x - y; }}
static inline T total(vec v) {{ return total(v.a + v.b); }}
static inline vec root(vec v) {{ return {{root(v.a), root(v.b)}}; }}
static inline vec exponential(vec v) {{ return {{exponential(v.a), exponential(v.b)}}; }}"""
_OPERATOR = """\
static inline vec operator{0}(vec x, vec y) {{ return {{x.a {0} y.a, x.b {0} y.b}}; }}
static inline vec operator{0}(vec x, T y) {{ return {{x.a {0} y, x.b {0} y}}; }}
static inline vec operator{0}(T x, vec y) {{ return {{x {0} y.a, x {0} y.b}}; }}"""

# what the exponential function needs of a precision; ln 2 = high + low, where k · high is exact
_FLOAT = {"integer": "int32_t", "bias": 127, "mantissa": 23, "shift": 12582912.0, "terms": 7}
_FLOAT |= {"lowest": -87.0, "highest": 88.0, "high": 0.693359375, "low": -2.12194440e-4}
_DOUBLE = {"integer": "int64_t", "bias": 1023, "mantissa": 52, "shift": 6755399441055744.0, "terms": 13}
_DOUBLE |= {"lowest": -708.0, "highest": 709.0, "high": 0.693145751953125, "low": 1.42860682030941723212e-6}
_NUMBERS = {torch.float32: _FLOAT, torch.float64: _DOUBLE}


def whole_vectors(channels: int, dtype: torch.dtype) -> bool:
    """Whether channels fill vectors without rest."""
    return channels % (VECTOR_BYTES // dtype.itemsize) == 0


def prelude(dtype: torch.dtype) -> str:
    """Of a program in this precision, whose vectors are `VECTOR_BYTES` wide."""
    return INCLUDES + definitions(dtype, VECTOR_BYTES // REGISTER_BYTES)


def definitions(dtype: torch.dtype, registers: int) -> str:
    """Numbers, and vectors of one or two registers."""
    two = _TWO.format(operators="\n".join(map(_OPERATOR.format, "+-*/")))
    numbers = {"scalar": SCALARS[dtype], "bytes": REGISTER_BYTES, **_NUMBERS[dtype]}
    return _TEXT.format(vector=two if registers == 2 else _ONE.format(), **numbers)
