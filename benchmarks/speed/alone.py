"""Energy and forces, and a training step, of architectures that no package brings: our own times, beside nobody.

    python benchmarks/speed/alone.py --threads 2
    python benchmarks/speed/alone.py --table

Structures, allocator and way of timing are those of peers.py. Cases that are in the result file are measured again only
with --again.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "accuracy")]

import peers
import records
from machine import stamp

RESULT = HERE.parent / "results" / "speed_alone.json"
MODELS = ("segnn",)  # published as scripts for its experiments, not as a package


def measure(model: str, case: str, given: argparse.Namespace) -> dict[str, Any]:
    """Median over blocks of the fastest call."""
    worker = peers.Worker(
        sys.executable, "equipot", model, "eager" if case == "train" else "calculator", given
    )
    try:
        about = worker.ask(do="prepare", case=case)
        blocks = [worker.ask(do="time", seconds=given.seconds) for _ in range(given.blocks)]
    finally:
        worker.stop()
    about.pop("forces", None)
    times = {key: statistics.median(b[key] for b in blocks) for key in ("milliseconds", "cpu_milliseconds")}
    return {**times, **about}


def table(record: records.Record) -> list[str]:
    """Rows of Markdown: milliseconds, and the memory that the structure and three calls add."""
    lines = [
        "| ms (MB) | threads | " + " | ".join(peers.CASES) + " |",
        "|---" * (2 + len(peers.CASES)) + "|",
    ]
    groups: dict[tuple[str, int], dict[str, Any]] = {}
    for entry in record["runs"].values():
        groups.setdefault((entry["model"], entry["threads"]), {})[entry["case"]] = entry
    for (model, threads), cases in sorted(groups.items()):
        cells = [_cell(cases.get(case)) for case in peers.CASES]
        lines.append(f"| {model} | {threads} | {' | '.join(cells)} |")
    return lines


def _cell(entry: dict[str, Any] | None) -> str:
    return "" if entry is None else f"{peers.short(entry['milliseconds'])} ({entry['added_megabytes']:,.0f})"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=lambda t: t.split(","), default=list(MODELS))
    parser.add_argument("--cases", type=lambda t: t.split(","), default=list(peers.CASES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a block, at least one call")
    parser.add_argument("--limit", type=float, default=30.0, help="minutes that a worker may take to answer")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print the table of the result file and stop")
    given = parser.parse_args()
    given.allocator = "keep"
    header = {
        "what": "Energy and forces, and a training step, of architectures without a package, float32, CPU"
    }
    for model, case in [] if given.table else [(m, c) for m in given.models for c in given.cases]:
        key = f"{model}, {case}, {given.threads} threads"
        if key in records.load(given.result)["runs"] and not given.again:
            print(f"{key}: there already.", flush=True)
            continue
        about = {"model": model, "case": case, "threads": given.threads}
        about |= {"load_at_start": os.getloadavg()[0], **stamp()}
        entry = {**about, **measure(model, case, given)}
        records.add(given.result, header, key, entry)
        print(f"{key}: {_cell(entry)}", flush=True)
    print("\n".join(table(records.load(given.result))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
