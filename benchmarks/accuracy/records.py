"""Result files of many runs: one JSON, one entry per run, and the table made from it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from equipot.deploy.atomic import write_atomically

Record = dict[str, Any]


def load(path: Path) -> Record:
    """What is in the file; a file that is not there has no runs."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": {}}


def add(path: Path, header: Mapping[str, Any], key: str, entry: Record) -> None:
    """Add one run, read again just before: another process may have added its own meanwhile."""
    record = load(path)
    runs = {**record.pop("runs"), key: entry}
    _write(path, {**record, **header, "runs": dict(sorted(runs.items()))})


def note(path: Path, name: str, value: Any) -> None:
    """Keep something beside the runs."""
    record = load(path)
    runs = record.pop("runs")
    _write(path, {**record, name: value, "runs": runs})


def _write(path: Path, record: Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())


def table(record: Record) -> list[str]:
    """Rows of Markdown: the published numbers, and ours as mean ± standard deviation over seeds."""
    if not record["runs"]:
        return []
    measure = record["measure"]
    tests = list(dict.fromkeys(t for entry in record["runs"].values() for t in entry["errors"]))
    lines = [
        f"| {measure.upper()}, energy in meV / forces in meV/Å | parameters | frames | training | "
        + " | ".join(tests)
        + " |",
        "|---" * (4 + len(tests)) + "|",
    ]
    for name, numbers in record["published"].items():
        cells = [_published(numbers.get(test)) for test in tests]
        lines.append(f"| published: {name} | | | | {' | '.join(cells)} |")
    for group in _seeds(list(record["runs"].values())):
        first = group[0]
        minutes = mean(e.get("budget_seconds") or e["training_seconds"] for e in group) / 60
        label = f"{first['model']['name']}, {first['size']}" + (
            f", {first['tests']}" if first["tests"] else ""
        )
        training = f"{mean(e['epochs'] for e in group):.0f} epochs, {minutes:.0f} min, {_device(first)}"
        cells = [_ours(group, test, measure) for test in tests]
        seeds = "" if len(group) == 1 else f" ({len(group)} seeds)"
        lines.append(
            f"| {label}{seeds} | {first['parameters']:,} | {first['frames']['train']} | {training} | "
            + " | ".join(cells)
            + " |"
        )
    return lines


def _seeds(entries: Sequence[Record]) -> list[list[Record]]:
    """Runs that differ in nothing but the seed, together; by model, then by the number of frames."""
    groups: dict[str, list[Record]] = {}
    for entry in sorted(entries, key=lambda e: (e["model"]["name"], e["size"], e["frames"]["train"])):
        groups.setdefault(entry["series"], []).append(entry)
    return list(groups.values())


def _published(pair: Sequence[float] | None) -> str:
    return "" if pair is None else f"{pair[0]:g} / {pair[1]:g}"


def _ours(group: Sequence[Record], test: str, measure: str) -> str:
    found = [entry["errors"][test] for entry in group if test in entry["errors"]]
    return (
        " / ".join(_spread([1e3 * f[n][measure] for f in found]) for n in ("energy", "forces"))
        if found
        else ""
    )


def _spread(values: Sequence[float]) -> str:
    return f"{values[0]:.1f}" if len(values) == 1 else f"{mean(values):.1f} ± {stdev(values):.1f}"


def _device(entry: Record) -> str:
    machine = entry["machine"]
    if entry["device"] == "cuda":
        return machine["gpu"]
    return f"{machine['threads']} thread" + "s" * (machine["threads"] > 1)
