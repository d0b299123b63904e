"""C++ of one coupling (l1, l2, l3), for some edges of a row and one vector of channels.

The coefficients become straight-line code; the numbers m[k,a] = Σ_b C[k,a,b] Y[b] of an edge are given.
"""

from typing import Literal

from equipot.kernels.coupling import Coupling

#: where weights are: in a row of every edge, in a row of every pair with a factor, or in a table
Source = Literal["edges", "pairs", "table"]

EDGES = """\
constexpr int CHUNK = 32;  // edges whose coefficients are held at once
struct Place { const T* rows; T v[4], s[4]; };  // of a table around a distance; factors of value and slope
struct Edges {  // some edges of one row, and what a routine needs of them
  int64_t C; int c, count; const int64_t *edge, *other, *pair; int64_t row; const T *m, *dm;
  const T *x, *y, *w, *f, *g, *tx, *ty, *tw, *tf; T *out, *gw; vec* h; const Place* place; vec* hr;
};
"""


def routines(c: Coupling, weights: Source) -> str:
    """Of one coupling: for every function over the graph, and its tangent unless weights are tabulated."""
    matrix = [
        f"  m[{n}] = {' + '.join(f'T({v!r}) * y[{b}]' for b, v in form.items())};"
        for n, form in enumerate(c.entries.values())
    ]
    parts = [
        _routine(c, f"{kind}{tangent}", body(c, bool(tangent), weights))
        for kind, body in (("forward", _forward), ("senders", _senders), ("edges", _along_edges))
        for tangent in ("", "_tangent")[: 1 if weights == "table" else 2]
        if (kind, tangent) != ("senders", "")
    ]
    parts.append(_routine(c, "backward", _backward(c, weights)))
    if c.size:
        parts.insert(0, "\n".join([f"static inline void {c.name}_matrix(const T* y, T* m) {{", *matrix, "}"]))
    return "\n".join(parts)


def _routine(c: Coupling, name: str, body: list[str]) -> str:
    head = (
        f"static __attribute__((noinline)) void {c.name}_{name}"
        "(const Edges& s, const int p, const int a0, const int b0, const int k0, const int m0, const T scale) {"
    )
    return "\n".join([head, "const int64_t C = s.C; const int c = s.c;", *body, "}"])


def _loop(tangent: bool, weights: Source) -> list[str]:
    """Over the edges at hand, with the weight of this path, its tangent, and the numbers of this coupling."""
    return [
        "for (int n = 0; n < s.count; n++) {",
        "const int64_t j = s.other[n];",
        "const T* m = s.m + n * M + m0; (void)m;",
        *["const T* dm = s.dm + n * M + m0; (void)dm;"] * tangent,
        *_WEIGHT[weights],
        *_TANGENT[weights] * tangent,
    ]


_WEIGHT = {
    "edges": [
        "const int64_t at = (s.edge[n] * P + p) * C + c; (void)at;",
        "const vec wv = scale * load(s.w + at);",
    ],
    "pairs": [  # what both edges give to a pair lies side by side, at their places
        "const int64_t place = s.pair[s.edge[n]], pair = place >> 1;",
        "const int64_t at = (place * P + p) * C + c, from = (pair * P + p) * C + c; (void)at;",
        "const T f = s.f[pair];",
        "const vec w = scale * load(s.w + from), wv = f * w;",
    ],
    "table": [
        "const Place& here = s.place[n];",
        "const vec wv = scale * mixed(here.v, here.rows + p * C + c, P * C);",
    ],
}
_TANGENT = {
    "edges": ["const vec uv = s.tw ? scale * load(s.tw + at) : vec{};"],
    "pairs": [
        "const T df = s.tf ? s.tf[pair] : T(0);",
        "const vec dw = s.tw ? scale * load(s.tw + from) : vec{}, uv = f * dw + df * w;",
    ],
    "table": [],
}


def _of_weight(weights: Source, dot: str, tangent: str | None = None) -> list[str]:
    """Gradients of what the weight is made of, from that of the weight itself and, for a tangent, from its change."""
    if weights == "table":
        return [f"s.hr[n] += ({dot}) * slope;"]
    if weights == "edges":
        return [f"store(s.gw + at, scale * ({tangent or dot}));"]
    if tangent is None:
        return [f"const vec q = {dot};", "store(s.gw + at, scale * f * q);", "s.hr[n] += w * q;"]
    return [
        f"const vec gq = {tangent}, q = {dot};",
        "store(s.gw + at, scale * f * gq + scale * df * q);",
        "s.hr[n] += w * gq + dw * q;",
    ]


def _forward(c: Coupling, tangent: bool, weights: Source) -> list[str]:
    """t[a] = W x[a]; out[k] += Σ_a m[k,a] t[a], and for a tangent its derivative."""
    lines = [f"vec {_zeros('o', c.dims[2])};", *_loop(tangent, weights)]
    for a in range(c.dims[0]):
        place = f"(j * A + a0 + {a}) * C + c"
        lines.append(f"const vec x{a} = s.x ? load(s.x + {place}) : vec{{}} + T(1), t{a} = wv * x{a};")
        if tangent:
            lines.append(f"const vec d{a} = (s.tx ? wv * load(s.tx + {place}) : vec{{}}) + uv * x{a};")
    for k, a in c.entries:
        lines += _terms(c, k, a, f"o{k}", str(a), tangent)
    lines.append("}")
    return lines + [f"add(s.out + (k0 + {k}) * C + c, o{k});" for k in range(c.dims[2])]


def _senders(c: Coupling, tangent: bool, weights: Source) -> list[str]:
    """t[k] = W g[k]; out[a] += Σ_k m[k,a] t[k]."""
    lines = [f"vec {_zeros('o', c.dims[0])};", *_loop(tangent, weights)]
    for k in range(c.dims[2]):
        lines.append(f"const vec g{k} = load(s.g + (j * K + k0 + {k}) * C + c), t{k} = wv * g{k};")
        if tangent:
            lines.append(f"const vec d{k} = uv * g{k};")
    for k, a in c.entries:
        lines += _terms(c, k, a, f"o{a}", str(k), tangent)
    lines.append("}")
    return lines + [f"add(s.out + (a0 + {a}) * C + c, o{a});" for a in range(c.dims[0])]


def _terms(c: Coupling, k: int, a: int, target: str, source_: str, tangent: bool) -> list[str]:
    if not tangent:
        return [f"{target} += {c.element(k, a)}t{source_};"]
    lines = [f"{target} += {c.element(k, a)}d{source_};"]
    return lines if c.constant else [*lines, f"{target} += {c.element(k, a, 'dm')}t{source_};"]


def _along_edges(c: Coupling, tangent: bool, weights: Source) -> list[str]:
    """v[b] = Σ_ka C[k,a,b] g[k] x[a];  ∂S/∂W = Σ_b Y[b] v[b],  ∂S/∂Y[b] = Σ_c W v[b]."""
    lines = [f"const vec g{k} = load(s.g + (s.row * K + k0 + {k}) * C + c);" for k in range(c.dims[2])]
    lines += _loop(tangent, weights)
    lines.append("const T* y = s.y + s.edge[n] * B + b0; (void)y;")
    for a in range(c.dims[0]):
        place = f"(j * A + a0 + {a}) * C + c"
        lines.append(f"const vec x{a} = s.x ? load(s.x + {place}) : vec{{}} + T(1);")
        if tangent:
            lines.append(f"const vec z{a} = s.tx ? load(s.tx + {place}) : vec{{}};")
    lines += _moments(c, "x", "v")
    dot = _dot(c, "y", "v")
    if not tangent:
        if weights == "table":
            lines.append("const vec slope = scale * mixed(here.s, here.rows + p * C + c, P * C);")
        lines += _of_weight(weights, dot)
        if not c.constant:
            lines += [f"s.h[n * B + b0 + {b}] += wv * v{b};" for b in range(c.dims[1])]
        return [*lines, "}"]
    lines += _moments(c, "z", "q")
    if c.constant:
        return [*lines, *_of_weight(weights, dot, _dot(c, "y", "q")), "}"]
    lines.append("const T* u = s.ty ? s.ty + s.edge[n] * B + b0 : nullptr;")
    lines += _of_weight(weights, dot, f"{_dot(c, 'y', 'q')} + (u ? {_dot(c, 'u', 'v')} : vec{{}})")
    lines += [f"s.h[n * B + b0 + {b}] += wv * q{b} + uv * v{b};" for b in range(c.dims[1])]
    return [*lines, "}"]


def _backward(c: Coupling, weights: Source) -> list[str]:
    """u[a] = Σ_k m[k,a] g[k];  ∂S/∂x[a] = W u[a], ∂S/∂W = Σ_a u[a] x[a], and ∂S/∂Y as along the edges."""
    lines = [f"const vec g{k} = load(s.g + (s.row * K + k0 + {k}) * C + c);" for k in range(c.dims[2])]
    lines += _loop(False, weights)
    if weights == "table":  # before anything is stored: the rows are read once for value and slope
        lines.append("const vec slope = scale * mixed(here.s, here.rows + p * C + c, P * C);")
    terms: dict[int, list[str]] = {a: [] for a in range(c.dims[0])}
    for k, a in c.entries:
        terms[a].append(f"{c.element(k, a)}g{k}")
    for a, products in terms.items():
        place = f"(j * A + a0 + {a}) * C + c"
        lines.append(f"const vec x{a} = load(s.x + {place}), u{a} = {' + '.join(products) or 'vec{}'};")
        lines.append(f"add(s.out + {place}, wv * u{a});")
    lines += _of_weight(weights, " + ".join(f"x{a} * u{a}" for a in terms))
    if not c.constant:
        lines += _moments(c, "x", "v")
        lines += [f"s.h[n * B + b0 + {b}] += wv * v{b};" for b in range(c.dims[1])]
    return [*lines, "}"]


def _moments(c: Coupling, x: str, v: str) -> list[str]:
    terms: dict[int, list[str]] = {}
    lines = []
    for (k, a), form in c.entries.items():
        lines.append(f"const vec {v}_{k}_{a} = g{k} * {x}{a};")
        for b, value in form.items():
            factor = "" if value == 1.0 else f"T({value!r}) * "
            terms.setdefault(b, []).append(f"{factor}{v}_{k}_{a}")
    return lines + [f"const vec {v}{b} = {' + '.join(t)};" for b, t in sorted(terms.items())]


def _dot(c: Coupling, y: str, v: str) -> str:
    return f"{v}0" if c.constant else " + ".join(f"{y}[{b}] * {v}{b}" for b in range(c.dims[1]))


def _zeros(name: str, count: int) -> str:
    return ", ".join(f"{name}{n} = {{}}" for n in range(count))
