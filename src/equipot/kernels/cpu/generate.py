"""C++ of one edge operation: straight-line vector code from the list of non-zero coefficients.

Functions closed under differentiation. With S = Σ W[p] C[p,k,a,b] x[a] Y[b] g[k] over edges, paths and components,

    forward      ∂S/∂g, summed over the edges of a receiver
    edges        ∂S/∂Y and ∂S/∂W of every edge
    backward     the same and ∂S/∂x in one pass, with a sum over senders for every thread: what a receiver has is read
                 once, and what it has is the most where messages are tensors

and the derivatives along a tangent of the other arguments, what training on forces needs; there ∂S/∂x is a sum over the
mirrored edges of a row, so that no two threads meet. A program holds one
routine per coupling (l1, l2, l3), however many paths use it. Channels are the innermost loop, in vectors of 64 bytes
that the compiler splits where the machine has shorter ones; their number is a multiple of a vector's. Sums stay in
registers; the numbers m[k,a] = Σ_b C[k,a,b] Y[b] of an edge are computed once for all channels. No edge × channel array
is written but ∂S/∂W, which is one.

`tabulated` makes the program of inference: weights are read from a cubic Hermite table of the distance where they are
used, and `edges` gives ∂S/∂r in the place of ∂S/∂W. It has no tangents, and no array of edges × channels at all.
"""

import torch

from equipot.kernels.coupling import Coupling
from equipot.kernels.cpu.routines import EDGES, routines
from equipot.kernels.cpu.vectors import prelude
from equipot.kernels.description import EdgeProduct
from equipot.kernels.packing import offsets

INFERENCE = ("forward", "edges", "backward")
TANGENTS = ("forward_tangent", "senders_tangent", "edges_tangent")


def source(spec: EdgeProduct, dtype: torch.dtype, tabulated: bool = False) -> str:
    """The program in this precision; it works on spherical components."""
    couplings = {d: Coupling(d) for d in sorted({spec.degrees(path) for path in spec.paths})}
    matrices: dict[tuple[tuple[int, int, int], int], int] = {}  # coupling and edge slot -> place of its m
    size = 0
    for path in spec.paths:
        key = (spec.degrees(path), path.edge)
        if key not in matrices:
            matrices[key] = size
            size += couplings[key[0]].size
    places = [offsets(slots) for slots in (spec.inputs, spec.edge, spec.outputs)]
    calls = []
    for number, path in enumerate(spec.paths):
        degrees = spec.degrees(path)
        scale = path.scale * spec.tensor_basis.coupling_gain(*degrees)
        a0, b0, k0 = places[0][path.input], places[1][path.edge], places[2][path.output]
        arguments = f"({{}}, {number}, {a0}, {b0}, {k0}, {matrices[degrees, path.edge]}, T({scale!r}));"
        calls.append(f"{couplings[degrees].name}_{{}}" + arguments)
    fills = [
        f"  {couplings[degrees].name}_matrix(y + {places[1][slot]}, m + {place});"
        for (degrees, slot), place in matrices.items()
        if couplings[degrees].size
    ]
    widths = ", ".join(f"{n} = {o[-1]}" for n, o in zip("ABK", places, strict=True))
    return "\n".join(
        [
            prelude(dtype),
            EDGES,
            f"constexpr int {widths}, P = {len(spec.paths)}, M = {max(1, size)};",
            *(routines(c, tabulated) for c in couplings.values()),
            "static inline void matrix(const T* y, T* m) {",
            *fills,
            "}",
            *(_tabulated_functions(calls) if tabulated else _functions(calls)),
            *(f"RECORDABLE({name})" for name in (INFERENCE if tabulated else (*INFERENCE, *TANGENTS))),
            "",
        ]
    )


def _functions(calls: list[str]) -> list[str]:
    return [
        _rows("forward", "K", ["x", "y", "w"], calls, mirrored=False),
        _rows("forward_tangent", "K", ["x", "y", "w", "tx", "ty", "tw"], calls, mirrored=False),
        _rows("senders_tangent", "A", ["y", "w", "g", "ty", "tw"], calls, mirrored=True),
        _edges("edges", ["x", "y", "w", "g"], calls),
        _edges("backward", ["x", "y", "w", "g"], calls),
        _edges("edges_tangent", ["x", "y", "w", "g", "tx", "ty", "tw"], calls),
    ]


def _tabulated_functions(calls: list[str]) -> list[str]:
    return [
        _rows("forward", "K", ["x", "y", "r", "table"], calls, mirrored=False),
        _edges("edges", ["x", "y", "r", "table", "g"], calls),
        _edges("backward", ["x", "y", "r", "table", "g"], calls),
    ]


def _signature(name: str, arguments: list[str], outputs: str, mirrored: bool = True) -> str:
    parameters = ", ".join(f"const T* {a}" for a in arguments)
    parameters += ", int64_t knots, T per" * ("table" in arguments)
    reverse = "const int64_t* reverse, " * mirrored
    # every thread its own sums over senders: which rows are whose must not depend on luck
    schedule = "static" if name == "backward" else "dynamic, 4"
    return f"""extern "C" void {name}(int64_t N, int64_t C, int threads, const int64_t* row, const int64_t* other,
    {reverse}{parameters}, {outputs}) {{
#pragma omp parallel for schedule({schedule}) num_threads(threads) if (threads > 1)
for (int64_t i = 0; i < N; i++) {{"""


_PLACE = """
T t; places[n].rows = place(r[e], per, knots - 1, P * C, table, t);
factors(t, per, 0, places[n].v); factors(t, per, 1, places[n].s);"""


def _chunks(name: str, arguments: list[str], edge: str, out: str, gw: str, h: str, hr: str) -> str:
    """For some edges of row i at a time: their places and matrices."""
    tangent, tabulated = name.endswith("_tangent"), "table" in arguments
    places = _PLACE * tabulated
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
    thread = "gx + omp_get_thread_num() * N * A * C" if name == "backward" else "nullptr"
    outputs = "T* gx, " * (name == "backward") + f"T* gy, T* {'gr' if tabulated else 'gw'}"
    sums = "for (int n = 0; n < count; n++) gr[e0 + n] = total(hr[n]);" * tabulated
    return f"""\
{_signature(name, arguments, outputs, mirrored=False)}
vec h[CHUNK * B], hr[CHUNK];
{_chunks(name, arguments, "e0 + n", thread, gw, "h", hr)}
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
