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

Weights of "pairs" are a row that an edge and its mirrored one have in common, times a factor; `edges` gives ∂S/∂w and
∂S/∂f at the places of the edges in their pairs. Weights from a "table" make the program of inference: they are read
from a cubic Hermite table of the distance where they are used, and `edges` gives ∂S/∂r in the place of ∂S/∂W. It has no
tangents, and no array of edges × channels at all.
"""

import torch

from equipot.kernels.coupling import Coupling
from equipot.kernels.cpu.routines import EDGES, Source, routines
from equipot.kernels.cpu.vectors import prelude
from equipot.kernels.description import EdgeProduct
from equipot.kernels.packing import offsets

INFERENCE = ("forward", "edges", "backward")
TANGENTS = ("forward_tangent", "senders_tangent", "edges_tangent")


def source(spec: EdgeProduct, dtype: torch.dtype, weights: Source = "edges") -> str:
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
            *(routines(c, weights) for c in couplings.values()),
            "static inline void matrix(const T* y, T* m) {",
            *fills,
            "}",
            *_functions(calls, weights),
            *(f"RECORDABLE({name})" for name in (*INFERENCE, *TANGENTS * (weights != "table"))),
            "",
        ]
    )


#: what weights are read from, and their tangents
READ: dict[Source, list[str]] = {"edges": ["w"], "pairs": ["w", "f", "pair"], "table": ["r", "table"]}
TANGENT: dict[Source, list[str]] = {"edges": ["tw"], "pairs": ["tw", "tf"], "table": []}


def _functions(calls: list[str], weights: Source) -> list[str]:
    read, tangent = READ[weights], ["ty", *TANGENT[weights]]
    functions = [
        _rows("forward", "K", ["x", "y", *read], calls, weights),
        _edges("edges", ["x", "y", *read, "g"], calls, weights),
        _edges("backward", ["x", "y", *read, "g"], calls, weights),
    ]
    if weights == "table":
        return functions
    return [
        *functions,
        _rows("forward_tangent", "K", ["x", "y", *read, "tx", *tangent], calls, weights),
        _rows("senders_tangent", "A", ["y", *read, "g", *tangent], calls, weights),
        _edges("edges_tangent", ["x", "y", *read, "g", "tx", *tangent], calls, weights),
    ]


def _signature(name: str, arguments: list[str], outputs: list[str], weights: Source, *, reverse: bool) -> str:
    numbers = ["int64_t knots", "T per"] if weights == "table" else []
    given = (f"const {'int64_t' if a == 'pair' else 'T'}* {a}" for a in arguments)
    parameters = ", ".join([*given, *numbers, *(f"T* {o}" for o in outputs)])
    # every thread its own sums over senders: which rows are whose must not depend on luck
    schedule = "static" if name == "backward" else "dynamic, 4"
    return f"""extern "C" void {name}(int64_t N, int64_t C, int threads, const int64_t* row, const int64_t* other,
    {"const int64_t* reverse, " * reverse}{parameters}) {{
#pragma omp parallel for schedule({schedule}) num_threads(threads) if (threads > 1)
for (int64_t i = 0; i < N; i++) {{"""


_PLACE = """
T t; places[n].rows = place(r[e], per, knots - 1, P * C, table, t);
factors(t, per, 0, places[n].v); factors(t, per, 1, places[n].s);"""
POINTERS = ("x", "y", "w", "f", "g", "tx", "ty", "tw", "tf")  # of `Edges`, in their order there


def _chunks(name: str, arguments: list[str], weights: Source, edge: str, results: str) -> str:
    """For some edges of row i at a time: their places and matrices; `results`: the last fields of `Edges`."""
    tangent, tabulated = name.endswith("_tangent"), weights == "table"
    pointers = ", ".join(a if a in arguments else "nullptr" for a in POINTERS)
    pair = "pair" if weights == "pairs" else "nullptr"
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
{dm}{_PLACE * tabulated}
}}
Edges s = {{C, 0, count, edge, other + e0, {pair}, i, ms, dms, {pointers}, {results}}};"""


def _rows(name: str, width: str, arguments: list[str], calls: list[str], weights: Source) -> str:
    """A sum over the edges of each row, or over the mirrored ones."""
    edge = "reverse[e0 + n]" if name == "senders_tangent" else "e0 + n"
    body = "\n".join(call.format(name, "s") for call in calls)
    return f"""\
{_signature(name, arguments, ["out"], weights, reverse=True)}
T* o = out + i * {width} * C;
memset(o, 0, sizeof(T) * {width} * C);
{_chunks(name, arguments, weights, edge, "o, nullptr, nullptr, places, nullptr")}
for (; s.c < C; s.c += V) {{
{body}
}}
}}
}}
}}"""


def _edges(name: str, arguments: list[str], calls: list[str], weights: Source) -> str:
    """Gradients of every edge; the vectors of partial sums over channels are added up at the end."""
    body = "\n".join(call.format(name, "s") for call in calls)
    thread = "gx + omp_get_thread_num() * N * A * C" if name == "backward" else "nullptr"
    of_weights = {"edges": ["gw"], "pairs": ["gw", "gf"], "table": ["gr"]}[weights]
    outputs = [*["gx"] * (name == "backward"), "gy", *of_weights]
    gw = "nullptr" if weights == "table" else "gw"
    sums = {
        "edges": "",
        "pairs": "for (int n = 0; n < count; n++) gf[pair[e0 + n]] = total(hr[n]);",
        "table": "for (int n = 0; n < count; n++) gr[e0 + n] = total(hr[n]);",
    }[weights]
    return f"""\
{_signature(name, arguments, outputs, weights, reverse=False)}
vec h[CHUNK * B], hr[CHUNK];
{_chunks(name, arguments, weights, "e0 + n", f"{thread}, {gw}, h, places, hr")}
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
