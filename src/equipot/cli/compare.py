"""`equipot compare`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from equipot import api
from equipot.cli.options import AsJson, Out, Overrides, Quiet
from equipot.cli.screen import Failed, as_json, call, out, say
from equipot.comparison.columns import headings, lines
from equipot.comparison.forecast import Estimate, Moment, estimates
from equipot.comparison.page import FILE
from equipot.comparison.prepare import Prepared, prepare
from equipot.comparison.request import Options
from equipot.comparison.table import ModelTable
from equipot.comparison.verdict import sentences
from equipot.evaluate.readable import duration
from equipot.train.loop import Interrupted

EVERY = 30.0  # s between two lines where there is no terminal


def compare(
    source: Annotated[Path, typer.Argument(help="Structures with labels, or a comparison (YAML).")],
    overrides: Overrides = None,
    models: Annotated[
        str | None, typer.Option(help="Architectures, as painn,nequip; all: every one, also the default.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Wall time of every run, as 10min: the whole schedule fits into it.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps of every run, in its place.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of every run, in its place.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Runs of every architecture; default 3.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Everything but the data, as YAML.")] = None,
    folder: Out = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build every model, time a step, print the plan and stop.")
    ] = False,
    quiet: Quiet = False,
    json_: AsJson = False,
) -> None:
    """Train several architectures on the same frames with the same budget, and compare accuracy, speed and memory.

    Settings for all of them as train.batch=5 or model.cutoff=4, for one as nequip.size=small. Every run is an
    ordinary one, in a folder of its own. Started again with the same settings, it goes on where it was.

    Example: `equipot compare train.xyz --models painn,nequip --budget 10min --seeds 3 nequip.size=small`.
    """
    silent = quiet or json_
    options: Options = {
        "budget": budget, "steps": steps, "epochs": epochs, "seeds": seeds, "config": config,
        "assignments": overrides or [],
    }  # fmt: skip
    asked = api.compare_config(source, models, **options)
    target = folder or api.compare_folder(asked)
    say(f"Python: {call('equipot.compare', source, models=models, **options, out=target)}", quiet=silent)
    if dry_run:
        _plan(prepare(asked, target), json_)
        return
    try:
        with _progress(silent) as observe:
            table = api.compare(asked, out=target, observe=observe, say=lambda text: say(text, quiet=silent))
    except (Interrupted, KeyboardInterrupt):
        say(
            f"Stopped at a safe point. The same command goes on; finished runs in {target / 'runs'} are kept."
        )
        raise Failed(130) from None
    if json_:
        as_json(table.as_dict())
    elif not quiet:
        _show(table, target)


def _show(table: ModelTable, folder: Path) -> None:
    _print(_grid(headings(table), list(lines(table))))
    for row in table.rows:
        for message in row.messages:
            say(f"{row.label}: {message}")
    say("\n" + "\n".join(sentences(table)))
    say(f"\npage    {folder / FILE}\nmodels  {folder / 'runs'}")


def _plan(prepared: Prepared, json_: bool) -> None:
    """What would be trained and how long it would take."""
    found = estimates(prepared)
    total = _total(found)
    sizes = prepared.splits.sizes()
    if json_:
        rows = [{**asdict(e), "seconds": e.seconds} for e in found]
        runs, waiting = len(prepared.jobs), len(prepared.waiting())
        as_json({"runs": runs, "waiting": waiting, "frames": sizes, "seconds": total, "models": rows})
        return
    say(f"frames  {sizes['train']} to train on, {sizes['valid']} to validate, {sizes['test']} to test")
    say(
        f"budget  {prepared.config.length} for every run; seeds {', '.join(map(str, prepared.config.numbers()))}"
    )
    columns = ["model", "parameters", "batch", "steps", "ms/step", "one run", "runs to do"]
    _print(_grid(columns, [_planned(e) for e in found]))
    for e in (e for e in found if e.message):
        say(f"{e.label}: {e.message}")
    about = "not known" if total is None else f"about {duration(total)} of training"
    say(f"{len(prepared.waiting())} of {len(prepared.jobs)} runs to do: {about}, one after the other.")


def _planned(estimate: Estimate) -> list[str]:
    if estimate.step_seconds is None or estimate.seconds is None:
        return [estimate.label, *[""] * 5, str(estimate.runs)]
    numbers = [f"{estimate.parameters:,}", f"{estimate.batch}", f"{estimate.steps:,}"]
    times = [f"{1e3 * estimate.step_seconds:.1f}", duration(estimate.seconds)]
    return [estimate.label, *numbers, *times, str(estimate.runs)]


def _total(found: tuple[Estimate, ...]) -> float | None:
    """Training time of all runs that are left, s, as far as it is known."""
    known = [e.runs * e.seconds for e in found if e.seconds is not None]
    return sum(known) if known else None


def _grid(columns: list[str], rows: list[list[str]]) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 2))
    for k, column in enumerate(columns):
        words = column.replace(", ", "\n")
        grid.add_column(words, justify="right" if k else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    return grid


def _print(grid: Table) -> None:
    """Whole, whatever the width of the terminal."""
    wide = Console(width=400, force_terminal=False)
    with wide.capture() as text:
        wide.print(grid)
    say("\n".join(line.rstrip() for line in text.get().splitlines()))


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[Moment], None]]:
    """Two bars on a terminal, the run and the whole; a line every half minute elsewhere."""
    if quiet:
        yield lambda moment: None
        return
    if not out.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
               TextColumn("{task.fields[text]}"))  # fmt: skip
    with Progress(*columns, console=out, transient=True) as bar:
        whole, one = bar.add_task("comparison", total=1.0, text=""), bar.add_task("", total=1.0, text="")
        seen: list[str] = []

        def observe(moment: Moment) -> None:
            done = moment.step / max(moment.total, 1)
            if moment.job not in seen:
                seen.append(moment.job)
                bar.reset(one, total=1.0, description=moment.job, text="")
            text = f"{moment.number} of {moment.count} runs{_left(moment)}"
            bar.update(whole, completed=(moment.number - 1 + done) / moment.count, text=text)
            bar.update(one, completed=done, text=f"step {moment.step} of {moment.total}, {moment.text}")

        yield observe


def _lines() -> Callable[[Moment], None]:
    last = time.monotonic()

    def observe(moment: Moment) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < EVERY and moment.step < moment.total:
            return
        last = now
        where = f"{moment.job} ({moment.number} of {moment.count}): step {moment.step} of {moment.total}"
        out.print(f"{where}, {moment.text}{_left(moment)}", markup=False)

    return observe


def _left(moment: Moment) -> str:
    return "" if moment.left is None else f", about {duration(moment.left)} left in all"
