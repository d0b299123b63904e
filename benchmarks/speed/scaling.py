"""How the time of energy and forces grows: with atoms, neighbors, elements, degree of tensors, and correlation order.

    python benchmarks/speed/scaling.py --threads 2
    python benchmarks/speed/scaling.py --table

Frozen models, float32, neighbor lists made before, memory kept as `equipot md` does, and for one size given back to the
system, as glibc does by itself; hyper-parameters as in peers.py.
Each model runs in a process of its own, and one that is in the result file is measured again only with --again. Sizes
that would not fit the memory, by the size before, are left out and named.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "accuracy"), str(HERE / "sides")]

import records
from machine import stamp

from equipot.potential.blocks import EDGES

RESULT = HERE.parent / "results" / "speed_scaling.json"
MODELS = ("painn", "nequip", "mace", "allegro", "tensornet")
REPEATS = (1, 2, 4, 8)  # of a box of 192 atoms, along each axis
GIVEN_BACK = 4  # of these, without memory that is kept
CUTOFFS = (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0)  # Å, at 192 atoms of water
ELEMENTS = (1, 2, 5, 10, 20)
DEGREES = {"nequip": (0, 1, 2, 3), "mace": (0, 1, 2, 3), "allegro": (0, 1, 2, 3)}
ORDERS = {"mace": (1, 2, 3)}
PASSES = 2  # through all points but the sizes; the faster one counts, since a machine may be slow for seconds
BLOCKS = (
    2048,
    4096,
    8192,
    16384,
    32768,
    65536,
    None,
)  # edges of a block of a strictly local model, at 1,536 atoms


def measured(
    model: dict[str, Any], atoms: Any, num_elements: int, seconds: float, block: int | None = EDGES
) -> dict[str, Any]:
    """Fastest call, and the memory that it adds, of a model on a structure with that many elements."""
    from protocol import MEAN_NEIGHBORS, forget_peak, peak_memory

    from equipot.config import parse
    from equipot.data.collate import batch_of
    from equipot.data.frame import Frame
    from equipot.potential import Potential, PotentialConfig, frozen
    from equipot.statistics import Statistics

    elements = tuple(range(1, num_elements + 1)) if num_elements else (1, 6, 7, 8)
    if num_elements:
        atoms = atoms.copy()
        atoms.numbers = np.random.default_rng(0).integers(1, num_elements + 1, len(atoms))
    config = parse(PotentialConfig, {"model": model}, "benchmark")
    known = Statistics(
        elements=elements, mean_neighbors=MEAN_NEIGHBORS, reference_energies=(0.0,) * len(elements)
    )
    potential = frozen(Potential(config, known))
    if potential.block:
        potential.block = block
    batch = batch_of([Frame.from_atoms(atoms)], elements, config.model.cutoff)
    potential(batch, forces=True)
    forget_peak()
    before, times = peak_memory(), []
    while len(times) < 2 or (sum(times) < seconds and len(times) < 50):
        start = time.perf_counter()
        potential(batch, forces=True)
        times.append(time.perf_counter() - start)
    edges = batch.senders.shape[0]
    about = {"atoms": len(atoms), "edges": edges, "milliseconds": 1e3 * min(times)}
    return about | {"added_megabytes": (peak_memory() - before) / 1e6, "megabytes": peak_memory() / 1e6}


def course(
    name: str, seconds: float, most_megabytes: float, repeats: Sequence[int], sizes_alone: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """All series of one model, in this process."""
    import side_equipot
    from protocol import CUTOFF, structures

    base = {"name": name, "cutoff": CUTOFF, **side_equipot.MODELS[name]}
    water = structures("water192")[0]
    found: dict[str, list[dict[str, Any]]] = {"atoms": []}
    for n in repeats:
        last = found["atoms"][-1] if found["atoms"] else None
        if last and 8 * last["megabytes"] > most_megabytes:
            found["atoms"].append({"atoms": 192 * n**3, "left_out": "memory"})
            break  # what is larger, too
        found["atoms"].append(measured(base, water.repeat(n), 0, seconds))
    if sizes_alone:
        return found
    passes = [_at_one_size(base, water, seconds) for _ in range(PASSES)]
    for series, points in passes[0].items():
        again = [p[series] for p in passes[1:]]
        found[series] = [
            min(same, key=lambda p: p["milliseconds"]) for same in zip(points, *again, strict=True)
        ]
    return found


def _at_one_size(base: dict[str, Any], water: Any, seconds: float) -> dict[str, list[dict[str, Any]]]:
    """The series in which the number of atoms stays."""
    name, found = base["name"], dict[str, list[dict[str, Any]]]()
    found["neighbors"] = [
        {"cutoff": c, **measured({**base, "cutoff": c}, water, 0, seconds)} for c in CUTOFFS
    ]
    found["elements"] = [{"elements": s, **measured(base, water, s, seconds)} for s in ELEMENTS]
    found["l_max"] = [
        {"l_max": l, **measured({**base, "l_max": l, **_within(name, l)}, water, 0, seconds)}
        for l in DEGREES.get(name, ())
    ]
    found["correlation"] = [
        {"correlation": v, **measured({**base, "correlation": v}, water, 0, seconds)}
        for v in ORDERS.get(name, ())
    ]
    if name == "allegro":
        eight = water.repeat(2)
        found["blocks"] = [{"block": b, **measured(base, eight, 0, seconds, b)} for b in BLOCKS]
    return found


def _within(name: str, l: int) -> dict[str, Any]:
    return {"l_hidden": min(1, l)} if name == "mace" else {}


def summary(series: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Exponent in atoms; how far from affine in neighbors; the largest change with the number of elements."""
    atoms = [p for p in series["atoms"] if "left_out" not in p]
    x, y = (np.array([p[key] for p in atoms]) for key in ("atoms", "milliseconds"))
    found = {}
    if len(x) > 1:
        found["exponent_in_atoms"] = float(np.polyfit(np.log(x), np.log(y), 1)[0])
    x, y = (np.array([p[key] for p in series["neighbors"]]) for key in ("edges", "milliseconds"))
    line = np.polyval(np.polyfit(x, y, 1), x)
    found["largest_deviation_from_a_line_in_neighbors"] = float(np.abs(y / line - 1).max())
    times = [p["milliseconds"] for p in series["elements"]]
    return found | {"slowest_over_fastest_number_of_elements": max(times) / min(times)}


def table(record: records.Record) -> list[str]:
    """Rows of Markdown, then what blocks are worth."""
    lines = [
        "| | µs an atom at " + " / ".join(f"{192 * n**3:,}" for n in REPEATS) + " atoms | exponent in atoms "
        "| off a line in neighbors | 1 to 20 elements | l_max 0 / 1 / 2 / 3, ms | correlation 1 / 2 / 3, ms "
        "| memory given back |",
        "|---" * 8 + "|",
    ]
    for key, entry in record["runs"].items():
        series, found = entry["series"], entry["summary"]
        each = [
            "left out" if "left_out" in p else f"{1e3 * p['milliseconds'] / p['atoms']:.0f}"
            for p in series["atoms"]
        ]
        degrees, orders = (
            " / ".join(f"{p['milliseconds']:.3g}" for p in series[name]) for name in ("l_max", "correlation")
        )
        off = found["largest_deviation_from_a_line_in_neighbors"]
        lines.append(
            f"| {key} | {' / '.join(each)} | {found.get('exponent_in_atoms', math.nan):.2f} | {100 * off:.0f} % "
            f"| x {found['slowest_over_fastest_number_of_elements']:.2f} | {degrees} | {orders} "
            f"| {_given_back(series)} |"
        )
    return [*lines, *_blocks(record)]


def _given_back(series: dict[str, list[dict[str, Any]]]) -> str:
    """How much longer one size takes where the process does not keep its memory."""
    kept = {p["atoms"]: p.get("milliseconds") for p in series["atoms"]}
    ratios = [
        p["milliseconds"] / kept[p["atoms"]] for p in series.get("given_back", ()) if kept.get(p["atoms"])
    ]
    return f"x {ratios[-1]:.2f}" if ratios else ""


def _blocks(record: records.Record) -> list[str]:
    lines = []
    for key, entry in record["runs"].items():
        if series := entry["series"].get("blocks"):
            names = " | ".join(f"{p['block']:,}" if p["block"] else "all at once" for p in series)
            times = " | ".join(f"{1e3 * p['milliseconds'] / p['atoms']:.0f}" for p in series)
            about = f"{key}, {series[0]['atoms']:,} atoms, edges of a block"
            lines += ["", f"| {about} | {names} |", "|---" * (1 + len(series)) + "|"]
            lines.append(f"| µs an atom | {times} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=lambda t: t.split(","), default=list(MODELS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a point, at least two calls")
    parser.add_argument(
        "--memory", type=float, default=14000.0, help="MB that a point may be expected to take"
    )
    parser.add_argument(
        "--repeats", type=lambda t: [int(n) for n in t.split(",")], default=list(REPEATS), help="of the box"
    )
    parser.add_argument("--again", action="store_true", help="also what is in the result file")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--course", help="measure this model in this process and print JSON")
    parser.add_argument(
        "--given-back", action="store_true", help="with --course: the sizes, without keeping memory"
    )
    parser.add_argument("--table", action="store_true", help="print the table of the result file and stop")
    given = parser.parse_args()
    if given.course:
        import torch

        from equipot.engines.allocator import keep_memory

        torch.set_num_threads(given.threads)
        if not given.given_back:
            keep_memory()
        found = course(given.course, given.seconds, given.memory, given.repeats, given.given_back)
        print(json.dumps(found))
        return 0
    for name in [] if given.table else given.models:
        key = f"{name}, {given.threads} threads"
        if key in records.load(given.result)["runs"] and not given.again:
            print(f"{key}: there already.", flush=True)
            continue
        entry = run(name, given)
        if entry is None:
            print(f"{key}: its process failed.", flush=True)
            continue
        header = {"what": "Time of energy and forces, frozen, float32, CPU, against what it may depend on"}
        records.add(given.result, header, key, entry)
        print(key, entry["summary"], flush=True)
    print("\n".join(table(records.load(given.result))))
    return 0


def run(name: str, given: argparse.Namespace) -> dict[str, Any] | None:
    """All series of one model, in processes of their own; None where one fails or is killed."""
    numbers = {"--threads": given.threads, "--seconds": given.seconds, "--memory": given.memory}
    options = [word for option, value in numbers.items() for word in (option, str(value))]
    made, series = {"load_at_start": os.getloadavg()[0], **stamp()}, {}
    for more in ([], ["--given-back"]):
        repeats = [GIVEN_BACK] if more else given.repeats
        words = ["--course", name, *options, "--repeats", ",".join(map(str, repeats)), *more]
        done = subprocess.run([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            return None
        found = json.loads(done.stdout.splitlines()[-1])
        series |= {"given_back": found["atoms"]} if more else found
    return {"threads": given.threads, "summary": summary(series), "series": series, **made}


if __name__ == "__main__":
    sys.exit(main())
