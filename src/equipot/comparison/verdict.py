"""What the table says, in sentences."""

import math

from equipot.comparison.columns import shown
from equipot.comparison.table import ModelTable, Row, Spread
from equipot.evaluate.readable import number, of_errors

CLEAR = 2.0  # standard errors of a difference between means
LATE = 1.25  # times the budget


def sentences(table: ModelTable) -> list[str]:
    """Which is most accurate and by how much, which is fastest, what lies on the front, what failed."""
    known = [row for row in table.rows if table.target in row.scores]
    if not known:
        return ["No run has worked."]
    return [*_accuracy(table, known), *_speed(known), *_front(known), *_late(table, known), *_failures(table)]


def clear(first: Spread, second: Spread) -> bool | None:
    """Whether two means differ by more than twice the standard error of their difference; None with single seeds."""
    if first.deviation is None or second.deviation is None:
        return None
    error = math.sqrt(first.deviation**2 / first.count + second.deviation**2 / second.count)
    return abs(first.mean - second.mean) > CLEAR * error


def _accuracy(table: ModelTable, known: list[Row]) -> list[str]:
    best, unit = known[0], known[0].scores[table.target].unit
    readable = of_errors(unit)
    own = best.scores[table.target].mae
    said = f"Most accurate {table.target}: {best.label}, MAE {shown(own, readable)} {readable.unit}"
    if len(known) == 1:
        return [f"{said}."]
    other = known[1].scores[table.target].mae
    said += f"; then {known[1].label}, {shown(other, readable)} {readable.unit}."
    scatter = {
        True: "The difference is larger than the scatter of the seeds.",
        False: "The difference is within the scatter of the seeds: more seeds could turn it round.",
        None: "With one seed each, how far this is chance is not known.",
    }
    return [said, scatter[clear(own, other)]]


def _speed(known: list[Row]) -> list[str]:
    timed = [(row.cost.inference[-1].per_atom(), row.label) for row in known if row.cost is not None]
    if not timed:
        return []
    fastest, label = min(timed)
    slowest, last = max(timed)
    ratio = f", {number(slowest / fastest, 2)} times as fast as {last}" if len(timed) > 1 else ""
    return [f"Fastest: {label}, {number(fastest)} µs per atom and step{ratio}."]


def _front(known: list[Row]) -> list[str]:
    on = [row.label for row in known if row.front]
    behind = [row.label for row in known if not row.front and row.cost is not None]
    if not on or not behind:
        return []
    if len(on) == 1:
        return [f"{on[0]} is the best in both: no choice between accuracy and speed is to be made."]
    return [
        f"Worth a choice between accuracy and speed: {', '.join(on)}. Beaten in both by another: {', '.join(behind)}."
    ]


def _late(table: ModelTable, known: list[Row]) -> list[str]:
    """Runs that took longer than the wall time which their steps were planned for."""
    budget = (table.config.get("train") or {}).get("budget")
    if not budget:
        return []
    taken = {row.label: row.seconds.mean / budget for row in known if row.seconds is not None}
    late = [f"{label} {number(ratio, 2)} times" for label, ratio in taken.items() if ratio > LATE]
    if not late:
        return []
    return [
        f"Longer than the budget: {', '.join(late)}; the machine was busier than when steps were timed,"
        " or validation takes its share."
    ]


def _failures(table: ModelTable) -> list[str]:
    failed = [run.name for row in table.rows for run in row.runs if run.status == "failed"]
    return [f"Failed: {', '.join(failed)}."] if failed else []
