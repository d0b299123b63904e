"""Triton kernels on a GPU: are energies, forces and training gradients those of plain PyTorch, and what do they cost?

    python benchmarks/speed/gpu.py                   needs CUDA; under 10 minutes, compilation included
    python benchmarks/speed/gpu.py --interpret       needs none: tiny models in Triton's interpreter, nothing is timed
    python benchmarks/speed/gpu.py --table

First every architecture is compared, in float64 with small models and in float32 with those of peers.py; then energy
and forces of frozen models are timed without the programs, with them, and replayed as CUDA graphs (up to 2,048 atoms),
in turns, neighbor lists made before. What does not fit into --minutes is left out, and named. The process ends with 1
where anything differs or a program or a graph was refused.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "accuracy"), str(HERE / "sides")]

RESULT = HERE.parent / "results" / "speed_gpu.json"
WAYS = ("reference", "auto", "graphs")
CASES = ("aspirin", "aspirin64", "water192", "water1536")
SMALL: dict[str, dict[str, Any]] = {
    "painn": {"num_layers": 2},
    "schnet": {"num_layers": 2},
    "tensornet": {"num_layers": 1},
    "mace": {"l_max": 2},
    "ictp": {"l_max": 2, "basis": "cartesian"},
    "nequip": {"l_max": 1, "num_layers": 2},
    "allegro": {"l_max": 1, "two_body": (16,), "latent": (16,)},
    "segnn": {"num_layers": 2},
}
INTERPRETED: tuple[dict[str, Any], ...] = (
    {"name": "painn", "num_layers": 1},
    {"name": "mace", "l_max": 1},
    {"name": "tensornet", "num_layers": 1},
)
#: relative to the largest component: sums in another order, through some layers
ALLOWED = {"float64": 1e-9, "float32": 1e-3}


def compared(settings: dict[str, Any], precision: str, device: str, frames: list) -> dict[str, Any]:
    """Largest relative differences of a random model with programs from the same without, and who was refused."""
    import torch

    from equipot.config import parse
    from equipot.kernels import chooser, evaluation
    from equipot.potential import PotentialConfig, frozen
    from equipot.testing import force_loss_gradients, predict, random_potential

    decided = (chooser.decisions, chooser.tabulated_decisions, evaluation.decisions)
    for decisions in decided:
        decisions.clear()
    config = parse(PotentialConfig, {"model": {"cutoff": 5.0, **settings}}, "benchmark")
    os.environ["EQUIPOT_KERNELS"] = "reference"
    potential = random_potential(config, (1, 6, 8), dtype=getattr(torch, precision)).to(device)
    tables, found = frozen(potential), {}
    for kernels in ("reference", "auto"):
        os.environ["EQUIPOT_KERNELS"] = kernels
        values = [predict(potential, frame) for frame in frames]
        gradients = force_loss_gradients(potential, frames)
        found[kernels] = {
            "energy": torch.cat([v.energy for v in values]),
            "forces": torch.cat([v.forces for v in values]),
            "forces, frozen": torch.cat([predict(tables, frame).forces for frame in frames]),
            "gradient of a loss on forces": torch.cat([g.flatten() for g in gradients]),
        }
    errors = {name: _difference(found["auto"][name], value) for name, value in found["reference"].items()}
    reasons = [reason for decisions in decided for reason in decisions.values()]
    refused = sorted({reason for reason in reasons if reason is not None})
    agrees = not refused and all(error < ALLOWED[precision] for error in errors.values())
    return {"errors": errors, "programs": len(reasons), "refused": refused, "agrees": agrees}


def _difference(found: Any, expected: Any) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def timed(name: str, case: str, seconds: float) -> dict[str, Any]:
    """Fastest call and peak memory of energy and forces, with programs and without, in turns."""
    import side_equipot
    import torch
    from protocol import structures

    from equipot.potential.replay import MOST_ATOMS, Replayed

    side = side_equipot.Equipot(name, "frozen", case)
    potential = side.model.to("cuda")
    graphs = Replayed(potential)
    frames = structures(case)
    batch = side.prepare(frames)
    entry: dict[str, Any] = {"atoms": sum(map(len, frames)), "edges": side.edges(batch)}
    best: dict[str, float] = {}
    there = batch.to("cuda")
    ways = {
        "reference": (potential, there),
        "auto": (potential, there),
        "graphs": (graphs, batch),  # which brings it there, as in a calculator
    }
    for _ in range(3):
        for way in WAYS if entry["atoms"] <= MOST_ATOMS["cuda"] else WAYS[:2]:
            os.environ["EQUIPOT_KERNELS"] = "reference" if way == "reference" else "auto"
            side.model, given = ways[way]
            try:
                block, memory = _block(side, given, seconds / 9)
            except torch.OutOfMemoryError:
                entry[way] = "out of memory"
                continue
            best[way] = min(block, best.get(way, block))
            entry[way] = {"milliseconds": 1e3 * best[way], "megabytes": memory / 1e6}
    if "reference" in best and "auto" in best:
        entry["times_faster"] = best["reference"] / best["auto"]
    return entry | ({"agrees": False, "refused": graphs.refused} if graphs.refused is not None else {})


def _block(side: Any, batch: Any, seconds: float) -> tuple[float, int]:
    """Fastest of some calls, s, and the most memory that they took, bytes; the first call is not counted."""
    import torch

    side.evaluate(batch)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        start = time.perf_counter()
        side.evaluate(batch)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times), torch.cuda.max_memory_allocated()


def interpret(models: list[str]) -> int:
    """What a machine without a GPU can run of this."""
    os.environ["TRITON_INTERPRET"] = "1"
    from equipot.testing import molecule

    frames, found = [molecule((1, 6, 8), num_atoms=3)], {}
    for settings in (s for s in INTERPRETED if s["name"] in models):
        found[settings["name"]] = compared({"channels": 16, **settings}, "float64", "cpu", frames)
    print(json.dumps({"interpreted, not run on a device": found}, indent=1))
    return 0 if all(entry["agrees"] for entry in found.values()) else 1


def measure(given: argparse.Namespace) -> int:
    """All comparisons, then all times, each kept as soon as it is made."""
    import records
    import side_equipot
    from machine import stamp
    from protocol import structures

    from equipot.data.frame import Frame
    from equipot.testing import crystal, molecule, one_atom

    header = {
        "what": "Triton kernels beside plain PyTorch on one GPU: differences; energy and forces, frozen, float32"
    }
    end, wrong = time.monotonic() + 60 * given.minutes, 0
    small = [molecule((1, 6, 8), num_atoms=12), crystal((1, 6, 8)), one_atom(6)]
    large = [Frame.from_atoms(atoms) for atoms in structures("aspirin")[:1]]
    work: list[tuple[str, Any]] = []
    for name in given.models:
        shrunk = {"name": name, "channels": 32, **SMALL[name]}
        full = {"name": name, **side_equipot.MODELS[name]}
        work.append((f"{name}, float64", lambda s=shrunk: compared(s, "float64", "cuda", small)))
        work.append((f"{name}, float32", lambda s=full: compared(s, "float32", "cuda", large)))
    for case in CASES:
        for name in given.models:
            work.append((f"{name}, {case}", lambda n=name, c=case: timed(n, c, given.seconds)))
    for key, job in work:
        try:
            entry = job() if time.monotonic() < end else {"left_out": f"more than {given.minutes} minutes"}
        except RuntimeError as failure:  # one architecture must not hide the others
            entry = {"agrees": False, "failed": str(failure)[:500]}
        wrong += not entry.get("agrees", True)
        records.add(given.result, header, key, {**entry, **stamp()})
        print(key, json.dumps(entry), flush=True)
    return 1 if wrong else 0


def table(record: dict[str, Any]) -> list[str]:
    """Rows of Markdown."""
    titles = "| model, structure | PyTorch, ms | Triton, ms | times faster | replayed, ms | memory, MB |"
    lines = [titles, "|---" * 6 + "|"]
    for key, entry in record["runs"].items():
        sides = [entry.get(way) for way in WAYS]
        if None in sides[:2]:
            continue
        plain, triton, graphs = (
            f"{s['milliseconds']:.2f}" if isinstance(s, dict) else s or "" for s in sides
        )
        memory = " / ".join(f"{s['megabytes']:.0f}" if isinstance(s, dict) else "-" for s in sides if s)
        faster = f"{entry['times_faster']:.1f}" if "times_faster" in entry else "-"
        lines.append(f"| {key} | {plain} | {triton} | {faster} | {graphs} | {memory} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=lambda t: t.split(","), default=list(SMALL))
    parser.add_argument("--minutes", type=float, default=9.0, help="after which nothing new begins")
    parser.add_argument("--seconds", type=float, default=1.5, help="of a model on a structure")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--interpret", action="store_true", help="a tiny comparison without a GPU")
    parser.add_argument("--table", action="store_true", help="print the table of the result file and stop")
    given = parser.parse_args()
    if given.interpret:
        return interpret(given.models)
    import records

    if given.table:
        print("\n".join(table(records.load(given.result))))
        return 0
    import torch

    if not torch.cuda.is_available():
        print(
            "gpu.py: PyTorch sees no GPU here. Run it where torch.cuda.is_available(), or with --interpret.",
            file=sys.stderr,
        )
        return 2
    return measure(given)


if __name__ == "__main__":
    sys.exit(main())
