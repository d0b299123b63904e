"""What the commands print: messages, tables, and the progress of long work."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from equipot.evaluate.readable import number, of_errors

Observer = Callable[[int, int, str], None]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Failed(Exception):
    """A command that has said everything and ends with an exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def say(text: str, *, quiet: bool = False) -> None:
    """A line for the user, unless they asked for silence."""
    if not quiet:
        out.print(text, markup=False, soft_wrap=True)


def hint(text: str) -> None:
    """What a reader of the output must not miss, and a program that reads it must not find."""
    err.print(text, markup=False, soft_wrap=True)


def complain(text: str) -> None:
    """An error, without a traceback."""
    err.print("[bold red]equipot:[/bold red] ", end="")
    err.print(text, markup=False, soft_wrap=True)


def call(function: str, *arguments: Any, **options: Any) -> str:
    """The equivalent call in Python; options that are None or empty are left out."""
    shown = [_literal(a) for a in arguments]
    shown += [f"{n}={_literal(v)}" for n, v in options.items() if v is not None and v not in ((), [], {})]
    return f"{function}({', '.join(shown)})"


def _literal(value: Any) -> str:
    return repr(str(value) if isinstance(value, Path) else value)


def as_json(values: Any) -> None:
    """For programs."""
    sys.stdout.write(json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n")


def errors_table(title: str, errors: Mapping[str, Mapping[str, Any]]) -> Table:
    """MAE and RMSE per target, in units that are easy to read."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2))
    for column, side in (
        ("target", "left"),
        ("MAE", "right"),
        ("RMSE", "right"),
        ("unit", "left"),
        ("labels", "right"),
    ):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    for name, row in errors.items():
        shown = of_errors(str(row["unit"]))
        values = [number(float(row[key]) * shown.factor, 4) for key in ("mae", "rmse")]
        table.add_row(name, *values, shown.unit, f"{row['count']}")
    return table


def show_drift(drift: Mapping[str, Any]) -> None:
    """Errors of a fine-tuned model and of the one that it started from, on the same new and old frames."""
    for name, title in (("new", "what was learned"), ("old", "what was forgotten")):
        if name not in drift:
            continue
        found = drift[name]
        say(f"\n{title}: mean absolute errors on {found['frames']} frames, {found['what']}")
        out.print(_drift_table(found["rows"], found["labelled"]))


def _drift_table(rows: Mapping[str, Mapping[str, Any]], labelled: bool) -> Table:
    """Before and after; where the labels are those of the parent, only how far apart the models are."""
    models = {"before": "before", "after": "after"} if labelled else {"after": "difference"}
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for column in ("target", *models.values(), "unit", "labels"):
        table.add_column(column, justify="left" if column in ("target", "unit") else "right")
    for name, row in rows.items():
        shown = of_errors(str(row["unit"]))
        values = [number(row[m]["mae"] * shown.factor, 4) if row[m] else "none" for m in models]
        table.add_row(name, *values, shown.unit, f"{row['count']}")
    return table


@contextmanager
def progress(title: str, *, quiet: bool = False) -> Iterator[Observer]:
    """A bar with rate and remaining time on a terminal, a line every half minute elsewhere."""
    if quiet:
        yield lambda step, total, text: None
        return
    if not out.is_terminal:
        yield _lines(title)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=out, transient=False) as bar:
        task = bar.add_task(title, total=None, text="", rate="")
        started: list[tuple[float, int]] = []

        def observe(step: int, total: int, text: str) -> None:
            started.append((time.monotonic(), step)) if not started else None
            elapsed, done = time.monotonic() - started[0][0], step - started[0][1]
            rate = f"{done / elapsed:.3g}/s" if elapsed > 0 and done else ""
            bar.update(task, completed=step, total=total, text=text, rate=rate)

        yield observe


def _lines(title: str, every: float = 30.0) -> Observer:
    started = last = time.monotonic()
    first: list[int] = []

    def observe(step: int, total: int, text: str) -> None:
        nonlocal last
        first.append(step) if not first else None
        now = time.monotonic()
        if now - last < every and step < total:
            return
        last = now
        done, elapsed = step - first[0], now - started
        remaining = f", {elapsed / done * (total - step):.0f} s left" if done else ""
        out.print(f"{title}: {step}/{total}{remaining}{', ' + text if text else ''}", markup=False)

    return observe
