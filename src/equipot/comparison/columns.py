"""The table in words and columns: for the screen, for the page, for spreadsheets."""

from collections.abc import Iterator, Sequence
from typing import Any

from equipot.comparison.table import Cost, ModelTable, Row, Spread
from equipot.evaluate.readable import Readable, duration, number, of_errors
from equipot.evaluate.report.page import csv

MEGA = 1e6


def shown(spread: Spread | None, readable: Readable) -> str:
    """`21.3 ± 0.4`, in a readable unit; without the second part for a single seed."""
    if spread is None:
        return ""
    mean = number(spread.mean * readable.factor)
    if spread.deviation is None:
        return mean
    return f"{mean} ± {number(spread.deviation * readable.factor, 2)}"


def headings(table: ModelTable) -> list[str]:
    """Of the short table, in the order of `lines`."""
    names = ["model", "parameters"]
    names += [f"{target} MAE, {of_errors(unit).unit}" for target, unit in table.targets().items()]
    names += [f"µs/atom, {_together(n)}" for n in structures(table)]
    return [*names, "step, ms", "memory, MB", "time", "runs", "front"]


def lines(table: ModelTable) -> Iterator[list[str]]:
    """One line for each architecture."""
    for row in table.rows:
        cells = [row.label, f"{row.cost.parameters:,}" if row.cost else ""]
        for target, unit in table.targets().items():
            score = row.scores.get(target)
            cells.append(shown(score.mae if score else None, of_errors(unit)))
        cells += [number(speed, 3) if speed is not None else "" for speed in speeds(row, structures(table))]
        cells += (
            [number(1e3 * row.cost.step.fastest), number(row.cost.training_bytes / MEGA)]
            if row.cost
            else ["", ""]
        )
        taken = row.seconds
        cells.append(duration(taken.mean) if taken else "")
        cells += [f"{len(row.finished)}/{len(row.runs)}", "yes" if row.front else ""]
        yield cells


def structures(table: ModelTable) -> tuple[int, ...]:
    """Sizes of the evaluations that were timed."""
    costs = [row.cost for row in table.rows if row.cost is not None]
    return tuple(s.structures for s in costs[0].inference) if costs else ()


def speeds(row: Row, sizes: Sequence[int]) -> list[float | None]:
    """µs per atom and step for evaluations of these sizes."""
    found = {s.structures: s.per_atom() for s in row.cost.inference} if row.cost else {}
    return [found.get(size) for size in sizes]


def table_csv(table: ModelTable) -> str:
    """One line for each architecture, with every number."""
    rows = [dict(_cells(table, row)) for row in table.rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return csv({name: [_blank(row.get(name)) for row in rows] for name in names})


def runs_csv(table: ModelTable) -> str:
    """One line for each run."""
    runs = [run for row in table.rows for run in row.runs]
    columns: dict[str, list[Any]] = {
        "run": [r.name for r in runs],
        "model": [r.label for r in runs],
        "seed": [r.seed for r in runs],
        "status": [r.status for r in runs],
        "steps": [r.steps for r in runs],
        "batch": [r.batch for r in runs],
        "training time (s)": [r.seconds for r in runs],
    }
    for target, unit in table.targets().items():
        readable = of_errors(unit)
        for measure in ("mae", "rmse"):
            values = [r.errors.get(target, {}).get(measure) for r in runs]
            columns[f"{target} {measure.upper()} ({readable.unit})"] = [
                None if v is None else float(v) * readable.factor for v in values
            ]
    columns["message"] = [r.message for r in runs]
    return csv({name: [_blank(v) for v in column] for name, column in columns.items()})


def _cells(table: ModelTable, row: Row) -> Iterator[tuple[str, Any]]:
    yield from {
        "model": row.label,
        "architecture": row.architecture,
        "size": row.settings.get("size"),
    }.items()
    yield from {
        "runs": len(row.runs),
        "finished": len(row.finished),
        "front": "yes" if row.front else "no",
    }.items()
    for target, unit in table.targets().items():
        readable, score = of_errors(unit), row.scores.get(target)
        for measure in ("mae", "rmse", "mae_per_atom", "rmse_per_atom") if score else ():
            spread: Spread | None = getattr(score, measure)
            if spread is not None:
                words = measure.replace("_", " ").replace("mae", "MAE").replace("rmse", "RMSE")
                scaled = None if spread.deviation is None else spread.deviation * readable.factor
                yield f"{target} {words} ({readable.unit})", spread.mean * readable.factor
                yield f"{target} {words}, standard deviation", scaled
    if row.cost is not None:
        yield from _cost_cells(row.cost)
    yield "steps", row.steps
    yield "training time (s)", row.seconds.mean if row.seconds else None
    yield "message", "; ".join(row.messages)


def _cost_cells(cost: Cost) -> Iterator[tuple[str, Any]]:
    yield "parameters", cost.parameters
    for speed in cost.inference:
        words = f"µs per atom and step, {_together(speed.structures)}"
        yield words, speed.per_atom()
        yield f"{words}, median", speed.per_atom(speed.timing.median)
        yield f"{words}, 90 % quantile", speed.per_atom(speed.timing.slow)
    yield "training step (ms)", 1e3 * cost.step.fastest
    yield "training step (ms), median", 1e3 * cost.step.median
    yield "batch", cost.batch
    yield "training memory (MB)", cost.training_bytes / MEGA
    yield "inference memory (MB)", cost.inference_bytes / MEGA


def _together(size: int) -> str:
    return "1 structure" if size == 1 else f"{size} structures"


def _blank(value: Any) -> Any:
    return "" if value is None else value
