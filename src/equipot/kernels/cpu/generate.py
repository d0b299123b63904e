"""C++ of one edge operation: straight-line vector code from the list of non-zero coefficients.

Six functions, closed under differentiation. With S = Σ W[p] C[p,k,a,b] x[a] Y[b] g[k] over edges, paths and components,

    forward      ∂S/∂g, summed over the edges of a receiver
    senders      ∂S/∂x, summed over the edges of a sender: the mirrored edges of its own row, so no two threads meet
    edges        ∂S/∂Y and ∂S/∂W of every edge

and the derivative of each along a tangent of its other arguments, what training on forces needs. A program holds one
routine per coupling (l1, l2, l3), however many paths use it. Channels are the innermost loop, in vectors of 64 bytes
that the compiler splits where the machine has shorter ones; their number is a multiple of a vector's. Sums stay in
registers; the numbers m[k,a] = Σ_b C[k,a,b] Y[b] of an edge are computed once for all channels. No edge × channel array
is written but ∂S/∂W, which is one.

`tabulated` makes the program of inference: weights are read from a cubic Hermite table of the distance where they are
used, and `edges` gives ∂S/∂r in the place of ∂S/∂W. It has no tangents, and no array of edges × channels at all.
"""

from dataclasses import dataclass
from functools import cached_property

from equipot.kernels.description import EdgeProduct
from equipot.tensor import tables
from equipot.tensor.irreps import Irrep

VECTOR_BYTES = 64

_PRELUDE = """\
#include <cstdint>
#include <cstring>
typedef {scalar} T;
typedef T vec __attribute__((vector_size(64)));
constexpr int V = 64 / sizeof(T);
constexpr int CHUNK = 32;  // edges whose coefficients are held at once
static inline vec load(const T* p) {{ vec v; memcpy(&v, p, 64); return v; }}
static inline void store(T* p, vec v) {{ memcpy(p, &v, 64); }}
static inline void add(T* p, vec v) {{ store(p, load(p) + v); }}
static inline T total(vec v) {{ T s = 0; for (int i = 0; i < V; i++) s += v[i]; return s; }}
struct Place {{ const T* rows; T v[4], s[4]; }};  // rows of a table around a distance; factors of value and slope
static inline Place place(T r, T per, int64_t K, int64_t n, const T* table) {{
  const T x = r * per;
  int64_t k = x > 0 ? (int64_t)x : 0;
  if (k > K - 1) k = K - 1;
  const T t = x - (T)k, u = 1 - t;
  return {{table + k * 2 * n, {{(1 + 2 * t) * u * u, t * u * u, t * t * (3 - 2 * t), -t * t * u}},
    {{-6 * t * u * per, u * (1 - 3 * t) * per, 6 * t * u * per, t * (3 * t - 2) * per}}}};
}}
static inline vec mixed(const T* f, const T* p, int64_t n) {{
  return f[0] * load(p) + f[1] * load(p + n) + f[2] * load(p + 2 * n) + f[3] * load(p + 3 * n);
}}
struct Edges {{  // some edges of one row, and what a routine needs of them
  int64_t C; int c, count; const int64_t *edge, *other; int64_t row; const T *m, *dm;
  const T *x, *y, *w, *g, *tx, *ty, *tw; T *out, *gw; vec* h; const Place* place; vec* hr;
}};
"""


@dataclass(frozen=True)
class _Coupling:
    """The coefficients of one (l1, l2, l3)."""

    degrees: tuple[int, int, int]

    @property
    def name(self) -> str:
        return "c{}{}{}".format(*self.degrees)

    @property
    def dims(self) -> tuple[int, int, int]:
        l1, l2, l3 = self.degrees
        return 2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1

    @property
    def constant(self) -> bool:
        """Through Y_0 = 1, which is not read."""
        return self.degrees[1] == 0

    @cached_property
    def entries(self) -> dict[tuple[int, int], dict[int, float]]:
        """(k, a) -> b -> C[k, a, b]."""
        table = tables.coupling(*self.degrees)
        found: dict[tuple[int, int], dict[int, float]] = {}
        for k, a, b in zip(*table.nonzero(), strict=True):
            found.setdefault((int(k), int(a)), {})[int(b)] = float(table[k, a, b])
        return found

    @property
    def size(self) -> int:
        """Numbers m[k, a] of an edge."""
        return 0 if self.constant else len(self.entries)

    def element(self, k: int, a: int, name: str = "m") -> str:
        """The factor m[k, a] in front of something; nothing where it is one."""
        return "" if self.constant else f"{name}[{list(self.entries).index((k, a))}] * "


def source(spec: EdgeProduct, scalar: str, tabulated: bool = False) -> str:
    """The program for `float` or `double`; it works on spherical components."""
    couplings = {d: _Coupling(d) for d in sorted({spec.degrees(path) for path in spec.paths})}
    matrices: dict[tuple[tuple[int, int, int], int], int] = {}  # coupling and edge slot -> place of its m
    size = 0
    for path in spec.paths:
        key = (spec.degrees(path), path.edge)
        if key not in matrices:
            matrices[key] = size
            size += couplings[key[0]].size
    offsets = [_offsets(slots) for slots in (spec.inputs, spec.edge, spec.outputs)]
    calls = []
    for number, path in enumerate(spec.paths):
        degrees = spec.degrees(path)
        scale = path.scale * spec.tensor_basis.coupling_gain(*degrees)
        a0, b0, k0 = offsets[0][path.input], offsets[1][path.edge], offsets[2][path.output]
        arguments = f"({{}}, {number}, {a0}, {b0}, {k0}, {matrices[degrees, path.edge]}, T({scale!r}));"
        calls.append(f"{couplings[degrees].name}_{{}}" + arguments)
    fills = [
        f"  {couplings[degrees].name}_matrix(y + {offsets[1][slot]}, m + {place});"
        for (degrees, slot), place in matrices.items()
        if couplings[degrees].size
    ]
    widths = ", ".join(f"{n} = {o[-1]}" for n, o in zip("ABK", offsets, strict=True))
    return "\n".join(
        [
            _PRELUDE.format(scalar=scalar),
            f"constexpr int {widths}, P = {len(spec.paths)}, M = {max(1, size)};",
            *(_routines(c, tabulated) for c in couplings.values()),
            "static inline void matrix(const T* y, T* m) {",
            *fills,
            "}",
            *(_tabulated_functions(calls) if tabulated else _functions(calls)),
            "",
        ]
    )


def _functions(calls: list[str]) -> list[str]:
    return [
        _rows("forward", "K", ["x", "y", "w"], calls, mirrored=False),
        _rows("senders", "A", ["y", "w", "g"], calls, mirrored=True),
        _rows("forward_tangent", "K", ["x", "y", "w", "tx", "ty", "tw"], calls, mirrored=False),
        _rows("senders_tangent", "A", ["y", "w", "g", "ty", "tw"], calls, mirrored=True),
        _edges("edges", ["x", "y", "w", "g"], calls),
        _edges("edges_tangent", ["x", "y", "w", "g", "tx", "ty", "tw"], calls),
    ]


def _tabulated_functions(calls: list[str]) -> list[str]:
    return [
        _rows("forward", "K", ["x", "y", "r", "table"], calls, mirrored=False),
        _rows("senders", "A", ["y", "r", "table", "g"], calls, mirrored=True),
        _edges("edges", ["x", "y", "r", "table", "g"], calls),
    ]


# routines of one coupling --------------------------------------------------------------------------------------


def _routines(c: _Coupling, tabulated: bool) -> str:
    matrix = [
        f"  m[{n}] = {' + '.join(f'T({v!r}) * y[{b}]' for b, v in form.items())};"
        for n, form in enumerate(c.entries.values())
    ]
    parts = [
        _routine(c, f"{kind}{tangent}", body(c, bool(tangent), tabulated))
        for kind, body in (("forward", _forward), ("senders", _senders), ("edges", _along_edges))
        for tangent in ("", "_tangent")[: 1 if tabulated else 2]
    ]
    if c.size:
        parts.insert(0, "\n".join([f"static inline void {c.name}_matrix(const T* y, T* m) {{", *matrix, "}"]))
    return "\n".join(parts)


def _routine(c: _Coupling, name: str, body: list[str]) -> str:
    head = (
        f"static __attribute__((noinline)) void {c.name}_{name}"
        "(const Edges& s, const int p, const int a0, const int b0, const int k0, const int m0, const T scale) {"
    )
    return "\n".join([head, "const int64_t C = s.C; const int c = s.c;", *body, "}"])


def _loop(tangent: bool, tabulated: bool) -> list[str]:
    """Over the edges at hand, with the weight of this path and the numbers of this coupling."""
    lines = [
        "for (int n = 0; n < s.count; n++) {",
        "const int64_t j = s.other[n], at = (s.edge[n] * P + p) * C + c; (void)at;",
        "const T* m = s.m + n * M + m0; (void)m;",
        "const Place& here = s.place[n];" * tabulated,
        "const vec wv = scale * mixed(here.v, here.rows + p * C + c, P * C);"
        if tabulated
        else "const vec wv = scale * load(s.w + at);",
    ]
    if tangent:
        lines.append("const T* dm = s.dm + n * M + m0; (void)dm;")
        lines.append("const vec uv = s.tw ? scale * load(s.tw + at) : vec{};")
    return lines


def _forward(c: _Coupling, tangent: bool, tabulated: bool) -> list[str]:
    """t[a] = W x[a]; out[k] += Σ_a m[k,a] t[a], and for a tangent its derivative."""
    lines = [f"vec {_zeros('o', c.dims[2])};", *_loop(tangent, tabulated)]
    for a in range(c.dims[0]):
        place = f"(j * A + a0 + {a}) * C + c"
        lines.append(f"const vec x{a} = s.x ? load(s.x + {place}) : vec{{}} + T(1), t{a} = wv * x{a};")
        if tangent:
            lines.append(f"const vec d{a} = (s.tx ? wv * load(s.tx + {place}) : vec{{}}) + uv * x{a};")
    for k, a in c.entries:
        lines += _terms(c, k, a, f"o{k}", str(a), tangent)
    lines.append("}")
    return lines + [f"add(s.out + (k0 + {k}) * C + c, o{k});" for k in range(c.dims[2])]


def _senders(c: _Coupling, tangent: bool, tabulated: bool) -> list[str]:
    """t[k] = W g[k]; out[a] += Σ_k m[k,a] t[k]."""
    lines = [f"vec {_zeros('o', c.dims[0])};", *_loop(tangent, tabulated)]
    for k in range(c.dims[2]):
        lines.append(f"const vec g{k} = load(s.g + (j * K + k0 + {k}) * C + c), t{k} = wv * g{k};")
        if tangent:
            lines.append(f"const vec d{k} = uv * g{k};")
    for k, a in c.entries:
        lines += _terms(c, k, a, f"o{a}", str(k), tangent)
    lines.append("}")
    return lines + [f"add(s.out + (a0 + {a}) * C + c, o{a});" for a in range(c.dims[0])]


def _terms(c: _Coupling, k: int, a: int, target: str, source_: str, tangent: bool) -> list[str]:
    if not tangent:
        return [f"{target} += {c.element(k, a)}t{source_};"]
    lines = [f"{target} += {c.element(k, a)}d{source_};"]
    return lines if c.constant else [*lines, f"{target} += {c.element(k, a, 'dm')}t{source_};"]


def _along_edges(c: _Coupling, tangent: bool, tabulated: bool) -> list[str]:
    """v[b] = Σ_ka C[k,a,b] g[k] x[a];  ∂S/∂W = Σ_b Y[b] v[b],  ∂S/∂Y[b] = Σ_c W v[b]."""
    lines = [f"const vec g{k} = load(s.g + (s.row * K + k0 + {k}) * C + c);" for k in range(c.dims[2])]
    lines += _loop(tangent, tabulated)
    lines.append("const T* y = s.y + s.edge[n] * B + b0; (void)y;")
    for a in range(c.dims[0]):
        place = f"(j * A + a0 + {a}) * C + c"
        lines.append(f"const vec x{a} = s.x ? load(s.x + {place}) : vec{{}} + T(1);")
        if tangent:
            lines.append(f"const vec z{a} = s.tx ? load(s.tx + {place}) : vec{{}};")
    lines += _moments(c, "x", "v")
    if not tangent:
        if tabulated:
            slope = "mixed(here.s, here.rows + p * C + c, P * C)"
            lines.append(f"s.hr[n] += scale * ({_dot(c, 'y', 'v')}) * {slope};")
        else:
            lines.append(f"store(s.gw + at, scale * ({_dot(c, 'y', 'v')}));")
        if not c.constant:
            lines += [f"s.h[n * B + b0 + {b}] += wv * v{b};" for b in range(c.dims[1])]
        return [*lines, "}"]
    lines += _moments(c, "z", "q")
    if c.constant:
        return [*lines, f"store(s.gw + at, scale * ({_dot(c, 'y', 'q')}));", "}"]
    lines.append("const T* u = s.ty ? s.ty + s.edge[n] * B + b0 : nullptr;")
    lines.append(f"store(s.gw + at, scale * ({_dot(c, 'y', 'q')} + (u ? {_dot(c, 'u', 'v')} : vec{{}})));")
    lines += [f"s.h[n * B + b0 + {b}] += wv * q{b} + uv * v{b};" for b in range(c.dims[1])]
    return [*lines, "}"]


def _moments(c: _Coupling, x: str, v: str) -> list[str]:
    terms: dict[int, list[str]] = {}
    lines = []
    for (k, a), form in c.entries.items():
        lines.append(f"const vec {v}_{k}_{a} = g{k} * {x}{a};")
        for b, value in form.items():
            factor = "" if value == 1.0 else f"T({value!r}) * "
            terms.setdefault(b, []).append(f"{factor}{v}_{k}_{a}")
    return lines + [f"const vec {v}{b} = {' + '.join(t)};" for b, t in sorted(terms.items())]


def _dot(c: _Coupling, y: str, v: str) -> str:
    return f"{v}0" if c.constant else " + ".join(f"{y}[{b}] * {v}{b}" for b in range(c.dims[1]))


# functions over the graph --------------------------------------------------------------------------------------


def _signature(name: str, arguments: list[str], outputs: str, mirrored: bool = True) -> str:
    parameters = ", ".join(f"const T* {a}" for a in arguments)
    parameters += ", int64_t knots, T per" * ("table" in arguments)
    reverse = "const int64_t* reverse, " * mirrored
    return f"""extern "C" void {name}(int64_t N, int64_t C, int threads, const int64_t* row, const int64_t* other,
    {reverse}{parameters}, {outputs}) {{
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads) if (threads > 1)
for (int64_t i = 0; i < N; i++) {{"""


def _chunks(name: str, arguments: list[str], edge: str, out: str, gw: str, h: str, hr: str) -> str:
    """For some edges of row i at a time: their places and matrices."""
    tangent, tabulated = name.endswith("_tangent"), "table" in arguments
    places = "places[n] = place(r[e], per, knots - 1, P * C, table);" * tabulated
    given = {a: a if a in arguments else "nullptr" for a in ("x", "y", "w", "g", "tx", "ty", "tw")}
    pointers = ", ".join(given.values())
    dm = "if (ty) matrix(ty + e * B, dms + n * M); else memset(dms + n * M, 0, sizeof(T) * M);" * tangent
    return f"""\
T ms[CHUNK * M]; int64_t edge[CHUNK];
T dms[{"CHUNK * M" if tangent else "1"}];
Place places[{"CHUNK" if tabulated else "1"}];
for (int64_t e0 = row[i]; e0 < row[i + 1]; e0 += CHUNK) {{
const int count = row[i + 1] - e0 < CHUNK ? row[i + 1] - e0 : CHUNK;
for (int n = 0; n < count; n++) {{
const int64_t e = {edge};
edge[n] = e; matrix(y + e * B, ms + n * M);
{dm}{places}
}}
Edges s = {{C, 0, count, edge, other + e0, i, ms, dms, {pointers}, {out}, {gw}, {h}, places, {hr}}};"""


def _rows(name: str, width: str, arguments: list[str], calls: list[str], *, mirrored: bool) -> str:
    """A sum over the edges of each row."""
    edge = "reverse[e0 + n]" if mirrored else "e0 + n"
    body = "\n".join(call.format(name, "s") for call in calls)
    return f"""\
{_signature(name, arguments, "T* out")}
T* o = out + i * {width} * C;
memset(o, 0, sizeof(T) * {width} * C);
{_chunks(name, arguments, edge, "o", "nullptr", "nullptr", "nullptr")}
for (; s.c < C; s.c += V) {{
{body}
}}
}}
}}
}}"""


def _edges(name: str, arguments: list[str], calls: list[str]) -> str:
    """Gradients of every edge; the vectors of partial sums over channels are added up at the end."""
    body, tabulated = "\n".join(call.format(name, "s") for call in calls), "table" in arguments
    gw, hr = ("nullptr", "hr") if tabulated else ("gw", "nullptr")
    sums = "for (int n = 0; n < count; n++) gr[e0 + n] = total(hr[n]);" * tabulated
    return f"""\
{_signature(name, arguments, f"T* gy, T* {'gr' if tabulated else 'gw'}", mirrored=False)}
vec h[CHUNK * B], hr[CHUNK];
{_chunks(name, arguments, "e0 + n", "nullptr", gw, "h", hr)}
for (int n = 0; n < count * B; n++) h[n] = vec{{}};
for (int n = 0; n < count; n++) hr[n] = vec{{}};
for (; s.c < C; s.c += V) {{
{body}
}}
for (int n = 0; n < count * B; n++) gy[e0 * B + n] = total(h[n]);
{sums}
}}
}}
}}"""


def _offsets(irreps: tuple[Irrep, ...]) -> list[int]:
    out = [0]
    for irrep in irreps:
        out.append(out[-1] + irrep.dim)
    return out


def _zeros(name: str, count: int) -> str:
    return ", ".join(f"{name}{n} = {{}}" for n in range(count))
