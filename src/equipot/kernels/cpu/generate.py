"""C++ of one edge operation: straight-line vector code from its list of non-zero coefficients.

Six functions, closed under differentiation. With S = Σ W[p] C[p,k,a,b] x[a] Y[b] g[k] over edges, paths and components,

    forward      ∂S/∂g, summed over the edges of a receiver
    senders      ∂S/∂x, summed over the edges of a sender: the mirrored edges of its own row, so no two threads meet
    edges        ∂S/∂Y and ∂S/∂W of every edge

and the derivative of each along a tangent of its other arguments, what training on forces needs. Channels are the
innermost loop, in vectors of 64 bytes that the compiler splits where the machine has shorter ones; sums stay in
registers; the numbers Σ_b C[p,k,a,b] Y[b] of an edge are computed once for all channels. No edge × channel array
is written but ∂S/∂W, which is one.
"""

from dataclasses import dataclass

from equipot.kernels.description import EdgeProduct, Path
from equipot.tensor import tables
from equipot.tensor.irreps import Irrep

_PRELUDE = """\
#include <cstdint>
#include <cstring>
typedef {scalar} T;
typedef T vec __attribute__((vector_size(64)));
constexpr int V = 64 / sizeof(T);
constexpr int CHUNK = 64;  // edges whose coefficients are held at once
template <bool whole> static inline vec load(const T* p, int n) {{
  vec v = {{}};
  if (whole) memcpy(&v, p, 64); else memcpy(&v, p, n * sizeof(T));
  return v;
}}
template <bool whole> static inline void store(T* p, vec v, int n) {{
  if (whole) memcpy(p, &v, 64); else memcpy(p, &v, n * sizeof(T));
}}
template <bool whole> static inline void add(T* p, vec v, int n) {{ store<whole>(p, load<whole>(p, n) + v, n); }}
static inline T total(vec v) {{ T s = 0; for (int i = 0; i < V; i++) s += v[i]; return s; }}
"""


@dataclass(frozen=True)
class _Coupling:
    """One path with the places of its components, and its coefficients C[k, a, b]."""

    number: int
    a0: int  # first component of its input slot
    b0: int
    k0: int
    dims: tuple[int, int, int]  # of input, edge and output
    entries: dict[tuple[int, int], dict[int, float]]  # (k, a) -> b -> coefficient; b = −1: a constant


def source(spec: EdgeProduct, scalar: str) -> str:
    """The program for `float` or `double`; it works on spherical components."""
    return _Generator(spec).program(scalar)


class _Generator:
    def __init__(self, spec: EdgeProduct) -> None:
        self.a = _offsets(spec.inputs)
        self.b = _offsets(spec.edge)
        self.k = _offsets(spec.outputs)
        self.couplings = [self._coupling(spec, number, path) for number, path in enumerate(spec.paths)]
        self.matrix: dict[tuple[tuple[int, float], ...], int] = {}  # linear form of Y -> its place
        for coupling in self.couplings:
            for form in coupling.entries.values():
                if -1 not in form:
                    self.matrix.setdefault(_form(coupling, form), len(self.matrix))

    def _coupling(self, spec: EdgeProduct, number: int, path: Path) -> _Coupling:
        l1, l2, l3 = spec.degrees(path)
        scale = path.scale * spec.tensor_basis.coupling_gain(l1, l2, l3)
        table = scale * tables.coupling(l1, l2, l3)
        entries: dict[tuple[int, int], dict[int, float]] = {}
        for k, a, b in zip(*table.nonzero(), strict=True):
            entries.setdefault((int(k), int(a)), {})[-1 if l2 == 0 else int(b)] = float(table[k, a, b])
        dims = (2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)
        return _Coupling(number, self.a[path.input], self.b[path.edge], self.k[path.output], dims, entries)

    def program(self, scalar: str) -> str:
        A, B, K = self.a[-1], self.b[-1], self.k[-1]
        head = [
            _PRELUDE.format(scalar=scalar),
            f"constexpr int A = {A}, B = {B}, K = {K}, P = {len(self.couplings)}, M = {max(1, len(self.matrix))};",
            self._matrix_function(),
        ]
        blocks = [self._forward(False), self._forward(True), self._senders(False), self._senders(True)]
        blocks += [self._edges(False), self._edges(True)]
        return "\n".join(head + blocks) + "\n"

    def _matrix_function(self) -> str:
        """m[·] = Σ_b C Y[b] of an edge, each distinct form once."""
        lines = [
            f"  m[{place}] = {' + '.join(f'T({c!r}) * y[{b}]' for b, c in form)};"
            for form, place in self.matrix.items()
        ]
        return "\n".join(["static inline void matrix(const T* y, T* m) {", *lines, "}"])

    def _element(self, coupling: _Coupling, form: dict[int, float], name: str = "m") -> str:
        """The factor of one (k, a): a constant, or an entry of the matrix of the edge."""
        if -1 in form:
            return "" if form[-1] == 1.0 else f"T({form[-1]!r}) * "
        return f"{name}[{self.matrix[_form(coupling, form)]}] * "

    # forward: receivers ----------------------------------------------------------------------------------------

    def _forward(self, tangent: bool) -> str:
        body = [self._forward_path(c, tangent) for c in self.couplings]
        return _rows(
            "forward_tangent" if tangent else "forward",
            ["x", "y", "w"] + ["tx", "ty", "tw"] * tangent,
            "out",
            "K",
            tangent,
            mirrored=False,
            body=body,
        )

    def _forward_path(self, c: _Coupling, tangent: bool) -> str:
        """t[a] = W x[a]; out[k] += Σ_a m[k,a] t[a], and for a tangent its derivative."""
        lines = [f"{{ vec {_zeros('s', c.dims[2])};", "for (int n = 0; n < count; n++) {"]
        lines += _edge_pointers(c, tangent)
        for a in range(c.dims[0]):
            place = f"(int64_t)j * A * C + {c.a0 + a} * C + c"
            x = f"(x ? load<whole>(x + {place}, n_) : vec{{}} + T(1))"
            lines.append(f"const vec x{a} = {x}, t{a} = wv * x{a};")
            if tangent:
                moved = f"(tx ? wv * load<whole>(tx + {place}, n_) : vec{{}})"
                lines.append(f"const vec d{a} = {moved} + uv * x{a};")
        for (k, a), form in c.entries.items():
            m = self._element(c, form)
            if not tangent:
                lines.append(f"s{k} += {m}t{a};")
                continue
            lines.append(f"s{k} += {m}d{a};")
            if -1 not in form:
                lines.append(f"s{k} += {self._element(c, form, 'dm')}t{a};")
        lines.append("}")
        lines += [f"add<whole>(o + {c.k0 + k} * C + c, s{k}, n_);" for k in range(c.dims[2])]
        return "\n".join([*lines, "}"])

    # senders ---------------------------------------------------------------------------------------------------

    def _senders(self, tangent: bool) -> str:
        body = [self._senders_path(c, tangent) for c in self.couplings]
        return _rows(
            "senders_tangent" if tangent else "senders",
            ["y", "w", "g"] + ["ty", "tw"] * tangent,
            "out",
            "A",
            tangent,
            mirrored=True,
            body=body,
        )

    def _senders_path(self, c: _Coupling, tangent: bool) -> str:
        """t[k] = W g[k]; out[a] += Σ_k m[k,a] t[k]."""
        lines = [f"{{ vec {_zeros('s', c.dims[0])};", "for (int n = 0; n < count; n++) {"]
        lines += _edge_pointers(c, tangent)
        for k in range(c.dims[2]):
            g = f"load<whole>(g + (int64_t)j * K * C + {c.k0 + k} * C + c, n_)"
            lines.append(f"const vec g{k} = {g}, t{k} = wv * g{k};")
            if tangent:
                lines.append(f"const vec d{k} = uv * g{k};")
        for (k, a), form in c.entries.items():
            m = self._element(c, form)
            if not tangent:
                lines.append(f"s{a} += {m}t{k};")
                continue
            lines.append(f"s{a} += {m}d{k};")
            if -1 not in form:
                lines.append(f"s{a} += {self._element(c, form, 'dm')}t{k};")
        lines.append("}")
        lines += [f"add<whole>(o + {c.a0 + a} * C + c, s{a}, n_);" for a in range(c.dims[0])]
        return "\n".join([*lines, "}"])

    # edges -----------------------------------------------------------------------------------------------------

    def _edges(self, tangent: bool) -> str:
        """v[b] = Σ_ka C[k,a,b] g[k] x[a];  ∂S/∂W = Σ_b Y[b] v[b],  ∂S/∂Y[b] = Σ_c W v[b]."""
        name = "edges_tangent" if tangent else "edges"
        extra = ", const T* tx, const T* ty, const T* tw" * tangent
        inner = "\n".join(self._edges_path(c, tangent) for c in self.couplings)
        used = sorted({c.b0 + b for c in self.couplings for b in range(c.dims[1]) if -1 not in _any(c)})
        declare = "".join(f"vec h{b} = {{}};" for b in used)
        collect = "".join(f"if (gy) gy[e * B + {b}] = total(h{b});" for b in used)
        unused = "".join(f"if (gy) gy[e * B + {b}] = 0;" for b in range(self.b[-1]) if b not in used)
        call = f"{name}_block<{{}}>(C, i, e, j, c, {{}}, x, y, w, g{', tx, ty, tw' * tangent}, gw{_comma('h', used)});"
        block = f"""\
template <bool whole> static inline void {name}_block(const int64_t C, const int64_t i, const int64_t e,
    const int64_t j, const int c, const int n_, const T* x, const T* y, const T* w, const T* g{extra}, T* gw
    {"".join(f", vec& h{b}" for b in used)}) {{
const T* yb = y + e * B;
{"const T* ub = ty ? ty + e * B : nullptr;" * tangent}
{inner}
}}"""
        return f"""\
{block}
extern "C" void {name}(int64_t N, int64_t C, int threads, const int64_t* row, const int64_t* other,
    const T* x, const T* y, const T* w, const T* g{extra}, T* gy, T* gw) {{
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads) if (threads > 1)
for (int64_t i = 0; i < N; i++)
for (int64_t e = row[i]; e < row[i + 1]; e++) {{
const int64_t j = other[e];
{declare}
int c = 0;
for (; c + V <= C; c += V) {call.format("true", "V")}
if (c < C) {call.format("false", "(int)(C - c)")}
{collect}{unused}
}}
}}"""

    def _edges_path(self, c: _Coupling, tangent: bool) -> str:
        lines = ["{", f"const int64_t at = (e * P + {c.number}) * C + c;"]
        for a in range(c.dims[0]):
            place = f"j * A * C + {c.a0 + a} * C + c"
            lines.append(f"const vec x{a} = x ? load<whole>(x + {place}, n_) : vec{{}} + T(1);")
            if tangent:
                lines.append(f"const vec z{a} = tx ? load<whole>(tx + {place}, n_) : vec{{}};")
        for k in range(c.dims[2]):
            lines.append(f"const vec g{k} = load<whole>(g + i * K * C + {c.k0 + k} * C + c, n_);")
        lines += self._moments(c, "x", "v")
        constant = -1 in _any(c)
        if not tangent:
            lines.append("if (gw) store<whole>(gw + at, " + self._along(c, "yb", "v") + ", n_);")
            if not constant:
                lines.append("const vec wv = load<whole>(w + at, n_);")
                lines += [f"h{c.b0 + b} += wv * v{b};" for b in range(c.dims[1])]
            return "\n".join([*lines, "}"])
        lines += self._moments(c, "z", "q")
        along = self._along(c, "yb", "q")
        moved = "" if constant else f" + (ub ? {self._along(c, 'ub', 'v')} : vec{{}})"
        lines.append(f"if (gw) store<whole>(gw + at, {along}{moved}, n_);")
        if not constant:
            lines.append("const vec wv = load<whole>(w + at, n_);")
            lines.append("const vec uv = tw ? load<whole>(tw + at, n_) : vec{};")
            lines += [f"h{c.b0 + b} += wv * q{b} + uv * v{b};" for b in range(c.dims[1])]
        return "\n".join([*lines, "}"])

    def _moments(self, c: _Coupling, x: str, v: str) -> list[str]:
        """v[b] = Σ_ka C[k,a,b] g[k] x[a]; for a constant edge slot the one number v[0] with Y_0 = 1."""
        terms: dict[int, list[str]] = {}
        lines = []
        for (k, a), form in c.entries.items():
            lines.append(f"const vec {v}_{k}_{a} = g{k} * {x}{a};")
            for b, value in form.items():
                terms.setdefault(max(b, 0), []).append(f"T({value!r}) * {v}_{k}_{a}")
        return lines + [f"const vec {v}{b} = {' + '.join(t)};" for b, t in sorted(terms.items())]

    def _along(self, c: _Coupling, y: str, v: str) -> str:
        if -1 in _any(c):
            return f"{v}0"
        return " + ".join(f"{y}[{c.b0 + b}] * {v}{b}" for b in range(c.dims[1]))


def _rows(
    name: str, arguments: list[str], out: str, width: str, tangent: bool, *, mirrored: bool, body: list[str]
) -> str:
    """A function that sums over the edges of each row; rows are disjoint, so they may run in parallel."""
    parameters = ", ".join(f"const T* {a}" for a in arguments)
    edge = "reverse[e0 + n]" if mirrored else "e0 + n"
    passed = ", ".join(arguments)
    dm = (
        "if (ty) matrix(ty + e * B, dms + n * M); else memset(dms + n * M, 0, sizeof(T) * M);"
        if tangent
        else ""
    )
    paths = "\n".join(body)
    return f"""\
template <bool whole> static void {name}_block(const int64_t C, const int c, const int n_, const int count,
    const int64_t* edge, const int64_t* other, const T* ms, const T* dms, {parameters}, T* o) {{
{paths}
}}
extern "C" void {name}(int64_t N, int64_t C, int threads, const int64_t* row, const int64_t* other_,
    const int64_t* reverse, {parameters}, T* out) {{
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads) if (threads > 1)
for (int64_t i = 0; i < N; i++) {{
T ms[CHUNK * M]; T dms[{"CHUNK * M" if tangent else "1"}]; int64_t edge[CHUNK];
T* o = out + i * {width} * C;
memset(o, 0, sizeof(T) * {width} * C);
for (int64_t e0 = row[i]; e0 < row[i + 1]; e0 += CHUNK) {{
const int count = row[i + 1] - e0 < CHUNK ? row[i + 1] - e0 : CHUNK;
const int64_t* other = other_ + e0;
for (int n = 0; n < count; n++) {{
const int64_t e = {edge};
edge[n] = e; matrix(y + e * B, ms + n * M);
{dm}
}}
int c = 0;
for (; c + V <= C; c += V) {name}_block<true>(C, c, V, count, edge, other, ms, dms, {passed}, o);
if (c < C) {name}_block<false>(C, c, (int)(C - c), count, edge, other, ms, dms, {passed}, o);
}}
}}
}}"""


def _edge_pointers(c: _Coupling, tangent: bool) -> list[str]:
    lines = [
        "const int64_t j = other[n]; const T* m = ms + n * M; (void)m;",
        f"const int64_t at = (edge[n] * P + {c.number}) * C + c;",
        "const vec wv = load<whole>(w + at, n_);",
    ]
    if tangent:
        lines.append("const T* dm = dms + n * M; (void)dm;")
        lines.append("const vec uv = tw ? load<whole>(tw + at, n_) : vec{};")
    return lines


def _any(c: _Coupling) -> dict[int, float]:
    return next(iter(c.entries.values()))


def _form(c: _Coupling, form: dict[int, float]) -> tuple[tuple[int, float], ...]:
    """A linear form in all components of Y, so that equal ones of different paths are one."""
    return tuple((c.b0 + b, value) for b, value in sorted(form.items()))


def _offsets(irreps: tuple[Irrep, ...]) -> list[int]:
    out = [0]
    for irrep in irreps:
        out.append(out[-1] + irrep.dim)
    return out


def _zeros(name: str, count: int) -> str:
    return ", ".join(f"{name}{n} = {{}}" for n in range(count))


def _comma(name: str, numbers: list[int]) -> str:
    return "".join(f", {name}{n}" for n in numbers)
