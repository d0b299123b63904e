"""The machine that replays an evaluation: a list of steps with fixed sizes and places, run by one call.

A step is an operation of PyTorch, or a compiled program, with everything that is usually found out on the way: types,
shapes, strides, addresses. It costs what it computes and little else, and for one molecule that is a fraction of what
PyTorch takes to get there. What becomes of which operation is in `equipot.kernels.cpu.lowering`.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from equipot.kernels.cpu.build import library
from equipot.kernels.cpu.vectors import INCLUDES, REGISTER_BYTES, definitions

AXES = 5  # of elementwise steps, after those that lie behind one another are joined
TYPES = {torch.float32: 0, torch.float64: 1}
ELEMENTWISE = (  # their codes are their places; a, b, c: arguments, p, q: numbers, vectors at a time where marked
    ("copy", 1, "a"),
    ("add", 2, "a + p * b"),
    ("mul", 2, "a * b"),
    ("div", 2, "a / b"),
    ("neg", 1, "-a"),
    ("abs", 1, "std::abs(a)"),
    ("sqrt", 1, "std::sqrt(a)"),
    ("rsqrt", 1, "T(1) / std::sqrt(a)"),
    ("reciprocal", 1, "T(1) / a"),
    ("square", 1, "a * a"),
    ("pow", 1, "std::pow(a, p)"),
    ("sin", 1, "std::sin(a)"),
    ("cos", 1, "std::cos(a)"),
    ("clamp", 1, "a < p ? p : a > q ? q : a"),
    ("exp", 1, "vector exponential(a)"),
    ("sigmoid", 1, "vector logistic(a)"),
    ("silu", 1, "vector a * logistic(a)"),
    ("sigmoid_backward", 2, "a * b * (T(1) - b)"),
    ("silu_backward", 2, "vector a * logistic(b) * (T(1) + b * (T(1) - logistic(b)))"),
    ("softplus", 1, "vector a > q ? a : softplus(a)"),
    ("softplus_backward", 2, "vector b > q ? a : a * logistic(b)"),
)
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}  # with p
OTHERS = (
    *("where", "sum", "squares", "rows", "add_rows", "pick", "add_picked"),
    *("product", "products", "norm", "norm_backward"),
)
CODES = {name: n for n, name in enumerate([e[0] for e in ELEMENTWISE] + list(COMPARISONS) + list(OTHERS))}
CALL, CAST = 1000, 1001  # beyond the types
CASTS = (torch.float32, torch.float64, torch.int64, torch.bool)
PANEL = 2 * REGISTER_BYTES  # bytes of a row of the right matrix that stay in registers


@dataclass(frozen=True)
class Step:
    """What is done to which numbers; strides in numbers, the result first. The meaning of sizes depends on the code."""

    code: int
    type: int
    sizes: tuple[int, ...] = ()
    strides: tuple[tuple[int, ...], ...] = ()
    data: tuple[int, ...] = ()
    numbers: tuple[int | float, ...] = ()


class _Step(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_int64),
        ("type", ctypes.c_int64),
        ("dims", ctypes.c_int64),
        ("size", ctypes.c_int64 * AXES),
        ("stride", (ctypes.c_int64 * AXES) * 4),
        ("data", ctypes.c_void_p * 4),
        ("number", ctypes.c_double * 2),
    )


def compiled_steps(steps: Sequence[Step]) -> Any:
    """An array of them, as the machine reads it."""
    out = (_Step * len(steps))()
    for place, step in zip(out, steps, strict=True):
        place.code, place.type, place.dims = step.code, step.type, len(step.sizes)
        place.size[: len(step.sizes)] = step.sizes
        for row, strides in zip(place.stride, step.strides, strict=False):
            row[: len(strides)] = strides
        place.data[: len(step.data)] = step.data
        place.number[: len(step.numbers)] = step.numbers
    return out


def replay(steps: Any) -> None:
    """Run what `compiled_steps` made."""
    _machine()(ctypes.addressof(steps), len(steps))


def packed(right: Tensor) -> Tensor:
    """The right matrix of a product, [K, N], in panels of whole vectors behind one another, filled up with zeros."""
    width = PANEL // right.element_size()
    out = torch.nn.functional.pad(right, (0, -right.shape[1] % width))
    return out.unflatten(1, (-1, width)).transpose(0, 1).contiguous()


@cache
def _machine() -> Any:
    run = library(_source()).replay
    run.argtypes, run.restype = [ctypes.c_void_p, ctypes.c_int64], None
    return run


def _source() -> str:
    cases = []
    for name, arguments, text in ELEMENTWISE:
        names = ", ".join(f"const {{}} {x}" for x in "ab"[:arguments])
        vectors = text.startswith("vector ")
        kind, text = ("vec", text.removeprefix("vector ")) if vectors else ("T", text)
        function = f"{'vectors' if vectors else 'each'}{arguments}"
        body = f"[=]({names.format(*(kind,) * arguments)}) {{ return {text}; }}"
        cases.append(f"case {CODES[name]}: {function}(s, {body}); break;")
    for name, sign in COMPARISONS.items():
        cases.append(f"case {CODES[name]}: map1<bool, T>(s, [=](const T a) {{ return a {sign} p; }}); break;")
    for name in OTHERS:
        cases.append(f"case {CODES[name]}: {name}(s); break;")
    run = "\n".join(
        [
            "static void run(const Step& s) {",
            "const T p = s.number[0], q = s.number[1]; (void)p; (void)q;",
            *("switch (s.code) {", *cases, "}", "}"),
        ]
    )
    parts = [INCLUDES, _STEP]
    for dtype, place in TYPES.items():
        parts += [f"namespace type{place} {{", definitions(dtype, 1), _NUMBERS, run, "}"]
    scalars = {torch.float32: "float", torch.float64: "double", torch.int64: "int64_t", torch.bool: "bool"}
    parts.append("static void cast(const Step& s) {\nswitch (s.code) {")
    for a, source in enumerate(CASTS):
        for b, target in enumerate(CASTS):
            to = scalars[target]
            body = f"[](const {scalars[source]} a) {{ return ({to})a; }}"
            parts.append(f"case {len(CASTS) * a + b}: map1<{to}, {scalars[source]}>(s, {body}); break;")
    parts.append("}\n}")
    return "\n".join([*parts, _MAIN])


_STEP = """
struct Step { int64_t code, type, dims, size[5], stride[4][5]; char* data[4]; double number[2]; };

// every row along the last axis: its offsets in the result and the arguments
template <class F> static inline void every(const Step& s, F f) {
  int64_t index[5] = {0}, at[4] = {0};
  for (;;) {
    f(at[0], at[1], at[2], at[3]);
    int axis = s.dims - 2;
    for (; axis >= 0; axis--) {
      for (int o = 0; o < 4; o++) at[o] += s.stride[o][axis];
      if (++index[axis] < s.size[axis]) break;
      for (int o = 0; o < 4; o++) at[o] -= s.stride[o][axis] * s.size[axis];
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}
template <class O, class A, class F> static inline void map1(const Step& s, F f) {
  const int l = s.dims - 1;
  const int64_t n = s.size[l], so = s.stride[0][l], sa = s.stride[1][l];
  every(s, [&](int64_t o, int64_t a, int64_t, int64_t) {
    O* out = (O*)s.data[0] + o;
    const A* x = (const A*)s.data[1] + a;
    if (so == 1 && sa == 1) {
#pragma omp simd
      for (int64_t i = 0; i < n; i++) out[i] = f(x[i]);
    } else for (int64_t i = 0; i < n; i++) out[i * so] = f(x[i * sa]);
  });
}
template <class O, class A, class F> static inline void map2(const Step& s, F f) {
  const int l = s.dims - 1;
  const int64_t n = s.size[l], so = s.stride[0][l], sa = s.stride[1][l], sb = s.stride[2][l];
  every(s, [&](int64_t o, int64_t a, int64_t b, int64_t) {
    O* out = (O*)s.data[0] + o;
    const A *x = (const A*)s.data[1] + a, *y = (const A*)s.data[2] + b;
    if (so == 1 && sa == 1 && sb == 1) {
#pragma omp simd
      for (int64_t i = 0; i < n; i++) out[i] = f(x[i], y[i]);
    } else if (so == 1 && sa == 1 && sb == 0) {
      const A v = *y;
#pragma omp simd
      for (int64_t i = 0; i < n; i++) out[i] = f(x[i], v);
    } else if (so == 1 && sa == 0 && sb == 1) {
      const A v = *x;
#pragma omp simd
      for (int64_t i = 0; i < n; i++) out[i] = f(v, y[i]);
    } else for (int64_t i = 0; i < n; i++) out[i * so] = f(x[i * sa], y[i * sb]);
  });
}
"""

_NUMBERS = """
// max(x, 0) + ln(1 + y) with y = e^-|x|, and ln(1 + y) = 2 artanh(z) with z = y/(2 + y) <= 1/3
static inline vec softplus(vec x) {
  const vec y = exponential(x > T(0) ? -x : x), z = y / (y + T(2)), s = z * z;
  vec sum = {};
#pragma GCC unroll 18
  for (int n = sizeof(T) == 4 ? 8 : 17; n >= 0; n--) sum = sum * s + T(1) / T(2 * n + 1);
  return (x > T(0) ? x : vec{}) + T(2) * z * sum;
}
template <class F> static inline void each1(const Step& s, F f) { map1<T, T>(s, f); }
template <class F> static inline void each2(const Step& s, F f) { map2<T, T>(s, f); }
static inline vec some(const T* x, int64_t stride, int64_t n) {
  vec v = {};
  for (int64_t i = 0; i < n; i++) v[i] = x[i * stride];
  return v;
}
template <class F> static inline void vectors1(const Step& s, F f) {
  const int l = s.dims - 1;
  const int64_t n = s.size[l], so = s.stride[0][l], sa = s.stride[1][l];
  every(s, [&](int64_t o, int64_t a, int64_t, int64_t) {
    T* out = (T*)s.data[0] + o;
    const T* x = (const T*)s.data[1] + a;
    for (int64_t i = 0; i < n; i += V) {
      const int64_t m = n - i < V ? n - i : V;
      const vec v = f(m == V && sa == 1 ? load(x + i) : some(x + i * sa, sa, m));
      if (m == V && so == 1) store(out + i, v);
      else for (int64_t k = 0; k < m; k++) out[(i + k) * so] = v[k];
    }
  });
}
template <class F> static inline void vectors2(const Step& s, F f) {
  const int l = s.dims - 1;
  const int64_t n = s.size[l], so = s.stride[0][l], sa = s.stride[1][l], sb = s.stride[2][l];
  every(s, [&](int64_t o, int64_t a, int64_t b, int64_t) {
    T* out = (T*)s.data[0] + o;
    const T *x = (const T*)s.data[1] + a, *y = (const T*)s.data[2] + b;
    for (int64_t i = 0; i < n; i += V) {
      const int64_t m = n - i < V ? n - i : V;
      const vec v = f(m == V && sa == 1 ? load(x + i) : some(x + i * sa, sa, m),
                      m == V && sb == 1 ? load(y + i) : some(y + i * sb, sb, m));
      if (m == V && so == 1) store(out + i, v);
      else for (int64_t k = 0; k < m; k++) out[(i + k) * so] = v[k];
    }
  });
}
static void where(const Step& s) {
  const int l = s.dims - 1;
  const int64_t n = s.size[l];
  every(s, [&](int64_t o, int64_t a, int64_t b, int64_t c) {
    T* out = (T*)s.data[0] + o;
    const bool* x = (const bool*)s.data[1] + a;
    const T *y = (const T*)s.data[2] + b, *z = (const T*)s.data[3] + c;
    for (int64_t i = 0; i < n; i++)
      out[i * s.stride[0][l]] = x[i * s.stride[1][l]] ? y[i * s.stride[2][l]] : z[i * s.stride[3][l]];
  });
}
// the result is zero before; its strides are zero along what is summed
template <class F> static inline void added(const Step& s, F f) {
  const int l = s.dims - 1;
  const int64_t n = s.size[l], so = s.stride[0][l], sa = s.stride[1][l];
  every(s, [&](int64_t o, int64_t a, int64_t, int64_t) {
    T* out = (T*)s.data[0] + o;
    const T* x = (const T*)s.data[1] + a;
    if (so == 0 && sa == 1) {
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < n; i++) sum += f(x[i]);
      *out += sum;
    } else if (so == 1 && sa == 1) {
#pragma omp simd
      for (int64_t i = 0; i < n; i++) out[i] += f(x[i]);
    } else for (int64_t i = 0; i < n; i++) out[i * so] += f(x[i * sa]);
  });
}
static void sum(const Step& s) { added(s, [](const T a) { return a; }); }
static void squares(const Step& s) { added(s, [](const T a) { return a * a; }); }
// rows of size[1] numbers, by their numbers; strides are those between rows
static void rows(const Step& s) {
  const int64_t *index = (const int64_t*)s.data[2], n = s.size[1];
  for (int64_t i = 0; i < s.size[0]; i++)
    memcpy((T*)s.data[0] + i * n, (const T*)s.data[1] + index[i] * s.stride[1][0], sizeof(T) * n);
}
static void add_rows(const Step& s) {
  const int64_t *index = (const int64_t*)s.data[2], n = s.size[1];
  const T factor = s.number[0];
  for (int64_t i = 0; i < s.size[0]; i++) {
    T* out = (T*)s.data[0] + index[i] * n;
    const T* x = (const T*)s.data[1] + i * s.stride[1][0];
#pragma omp simd
    for (int64_t k = 0; k < n; k++) out[k] += factor * x[k];
  }
}
// numbers by their places
static void pick(const Step& s) {
  const int64_t* index = (const int64_t*)s.data[2];
  for (int64_t i = 0; i < s.size[0]; i++) ((T*)s.data[0])[i] = ((const T*)s.data[1])[index[i]];
}
static void add_picked(const Step& s) {
  const int64_t* index = (const int64_t*)s.data[2];
  for (int64_t i = 0; i < s.size[0]; i++) ((T*)s.data[0])[index[i]] += ((const T*)s.data[1])[i];
}
// rows of size[1] numbers, less their mean and over their deviation, which are results too
static void norm(const Step& s) {
  const int64_t n = s.size[1];
  for (int64_t i = 0; i < s.size[0]; i++) {
    const T* x = (const T*)s.data[1] + i * n;
    T* out = (T*)s.data[0] + i * n;
    T mean = 0, square = 0;
    for (int64_t k = 0; k < n; k++) mean += x[k];
    mean /= n;
    for (int64_t k = 0; k < n; k++) square += (x[k] - mean) * (x[k] - mean);
    const T rstd = T(1) / std::sqrt(square / n + T(s.number[0]));
    for (int64_t k = 0; k < n; k++) out[k] = (x[k] - mean) * rstd;
    ((T*)s.data[2])[i] = mean, ((T*)s.data[3])[i] = rstd;
  }
}
static void norm_backward(const Step& s) {
  const int64_t n = s.size[1];
  for (int64_t i = 0; i < s.size[0]; i++) {
    const T *g = (const T*)s.data[1] + i * n, *x = (const T*)s.data[2] + i * n, rstd = ((const T*)s.data[3])[i];
    T* out = (T*)s.data[0] + i * n;
    T mean = 0, sum = 0, dot = 0;
    for (int64_t k = 0; k < n; k++) mean += x[k], sum += g[k];
    mean /= n, sum /= n;
    for (int64_t k = 0; k < n; k++) dot += g[k] * (x[k] - mean) * rstd;
    dot /= n;
    for (int64_t k = 0; k < n; k++) out[k] = rstd * (g[k] - sum - (x[k] - mean) * rstd * dot);
  }
}

// R rows of a product with one panel of the right matrix; sums stay in registers
template <int R> static inline void tile(int64_t K, const T* a, int64_t ra, int64_t ca, const T* panel,
    const T* bias, T* out, int64_t ro, int64_t width) {
  vec s[R][2];
  vec b0 = {}, b1 = {};
  if (bias) {
    if (width == 2 * V) b0 = load(bias), b1 = load(bias + V);
    else {
      T whole[2 * V] = {0};
      memcpy(whole, bias, sizeof(T) * width);
      b0 = load(whole), b1 = load(whole + V);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; r++) s[r][0] = b0, s[r][1] = b1;
  for (int64_t k = 0; k < K; k++) {
    const vec p0 = load(panel + k * 2 * V), p1 = load(panel + k * 2 * V + V);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      const T x = a[r * ra + k * ca];
      s[r][0] += x * p0;
      s[r][1] += x * p1;
    }
  }
  if (width == 2 * V) {
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) store(out + r * ro, s[r][0]), store(out + r * ro + V, s[r][1]);
  } else {
    T whole[2 * V];
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      store(whole, s[r][0]), store(whole + V, s[r][1]);
      memcpy(out + r * ro, whole, sizeof(T) * width);
    }
  }
}
// size: rows, columns, K, threads; the right matrix in panels, or to be packed into data[3]'s place behind the bias
static void product(const Step& s) {
  const int64_t M = s.size[0], N = s.size[1], K = s.size[2], width = 2 * V;
  const int64_t ra = s.stride[1][0], ca = s.stride[1][1], ro = s.stride[0][0];
  const T *a = (const T*)s.data[1], *bias = (const T*)s.data[3];
#pragma omp parallel for schedule(static) num_threads(s.size[3]) if (s.size[3] > 1)
  for (int64_t j = 0; j < N; j += width) {
    const T* panel = (const T*)s.data[2] + j * K;
    const int64_t w = N - j < width ? N - j : width;
    const T* b = bias ? bias + j : nullptr;
    for (int64_t i = 0; i < M; i += 6) {
      const T* x = a + i * ra;
      T* out = (T*)s.data[0] + i * ro + j;
      switch (M - i) {
        case 1: tile<1>(K, x, ra, ca, panel, b, out, ro, w); break;
        case 2: tile<2>(K, x, ra, ca, panel, b, out, ro, w); break;
        case 3: tile<3>(K, x, ra, ca, panel, b, out, ro, w); break;
        case 4: tile<4>(K, x, ra, ca, panel, b, out, ro, w); break;
        case 5: tile<5>(K, x, ra, ca, panel, b, out, ro, w); break;
        default: tile<6>(K, x, ra, ca, panel, b, out, ro, w);
      }
    }
  }
}
// size: batch, rows, columns, K; any strides, small matrices
static void products(const Step& s) {
  const int64_t M = s.size[1], N = s.size[2], K = s.size[3];
  const int64_t *so = s.stride[0], *sa = s.stride[1], *sb = s.stride[2];
  for (int64_t n = 0; n < s.size[0]; n++) {
    T* out = (T*)s.data[0] + n * so[0];
    const T *a = (const T*)s.data[1] + n * sa[0], *b = (const T*)s.data[2] + n * sb[0];
    for (int64_t i = 0; i < M; i++) {
      T* o = out + i * so[1];
      for (int64_t j = 0; j < N; j++) o[j * so[2]] = 0;
      for (int64_t k = 0; k < K; k++) {
        const T x = a[i * sa[1] + k * sa[2]];
        const T* y = b + k * sb[1];
        if (so[2] == 1 && sb[2] == 1) {
#pragma omp simd
          for (int64_t j = 0; j < N; j++) o[j] += x * y[j];
        } else for (int64_t j = 0; j < N; j++) o[j * so[2]] += x * y[j * sb[2]];
      }
    }
  }
}
"""

_MAIN = f"""
extern "C" void replay(const Step* steps, int64_t count) {{
  for (int64_t n = 0; n < count; n++) {{
    const Step& s = steps[n];
    switch (s.type) {{
      case 0: type0::run(s); break;
      case 1: type1::run(s); break;
      case {CAST}: cast(s); break;
      case {CALL}: ((void (*)(const Word*))s.data[0])((const Word*)s.data[1]); break;
    }}
  }}
}}
"""
