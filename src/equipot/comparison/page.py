"""The page of a comparison: one HTML file that needs no network."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from equipot.comparison import figures
from equipot.comparison.columns import MEGA, headings, lines, shown, structures
from equipot.comparison.table import Cost, ModelTable, RunRecord
from equipot.comparison.verdict import sentences
from equipot.deploy.atomic import write_atomically
from equipot.deploy.citations import bibtex
from equipot.evaluate.readable import duration, number, of_errors
from equipot.evaluate.report.page import (
    Drawing,
    Section,
    code,
    drawings,
    facts,
    folded,
    link,
    page,
    paragraph,
    text,
)
from equipot.evaluate.report.page import table as html_table

FILE = "comparison.html"
MEASURED = (
    "Energy and forces, and steps of training, of all models in turn in one process, round after round, so that a"
    " machine that slows down slows down all of them. The fastest repetition, which other work on the machine"
    " disturbs least, and in brackets the median; neighbor search left out. Memory is the most that the tensors of one"
    " call hold, with weights, and in training with averages and the state of the optimizer."
)
SEEDS = "After ±: the standard deviation between runs that differ in their seed alone."


def write_page(table: ModelTable, folder: Path) -> Path:
    """Write FOLDER/comparison.html; learning curves are read from the runs in the folder."""
    logs = {run.name: _log(folder / run.folder / "log.jsonl") for row in table.rows for run in row.finished}
    made = [
        _verdict(table),
        _pareto(table),
        _accuracy(table),
        _learning(table, logs),
        _cost(table),
        _runs(table),
        _conditions(table),
    ]
    sections = [s for s in made if s is not None]
    path = folder / FILE
    write_atomically(path, page(sections[0].title, sections).encode())
    return path


def _verdict(table: ModelTable) -> Section:
    failed = any(run.status == "failed" for row in table.rows for run in row.runs)
    said = sentences(table)
    words = [paragraph(f"<strong>{text(said[0])}</strong>"), *(paragraph(text(s)) for s in said[1:])]
    banner = f'<div class="verdict {"amber" if failed else "green"}">{"".join(words)}</div>'
    runs = sum(len(row.runs) for row in table.rows)
    where = table.conditions
    title = f"{len(table.rows)} architectures on {', '.join(where.data)}: {runs} runs of {where.budget}"
    note = (
        f"Test errors on the same {where.split['test']} frames. {SEEDS} µs of energy and forces; step, memory and time"
        " of training. Front: nothing else is both faster and more accurate."
    )
    return Section(
        "verdict", title, [banner, html_table(headings(table), lines(table)), paragraph(note, "note")]
    )


def _pareto(table: ModelTable) -> Section | None:
    sizes, targets = structures(table), [t for t in ("energy", "forces") if t in table.targets()]
    if not sizes or not table.target:
        return None
    many = sizes[-1]
    made = [figures.pareto(table, table.target, figures.speed_axis(table, many), "pareto", wide=True)]
    made += [
        figures.pareto(table, t, figures.speed_axis(table, many), f"pareto-{t}")
        for t in targets
        if t != table.target
    ]
    if many != 1:
        made.append(figures.pareto(table, table.target, figures.speed_axis(table, 1), "pareto-one"))
    made.append(figures.pareto(table, table.target, figures.memory_axis(), "pareto-memory"))
    return Section("pareto", "Accuracy against cost", [drawings(made)])


def _accuracy(table: ModelTable) -> Section | None:
    if not table.targets():
        return None
    columns, rows = ["model"], [[row.label] for row in table.rows]
    for target, unit in table.targets().items():
        readable = of_errors(unit)
        measures = {"mae": "MAE", "rmse": "RMSE"}
        if target == "energy":
            measures["mae_per_atom"] = "MAE per atom"
        for measure, words in measures.items():
            columns.append(f"{target} {words}, {readable.unit}")
            for cells, row in zip(rows, table.rows, strict=True):
                score = row.scores.get(target)
                cells.append(shown(getattr(score, measure), readable) if score else "")
    made = [figures.seeds(table, t) for t in ("energy", "forces") if t in table.targets()]
    made = made or [figures.seeds(table, table.target)]
    return Section(
        "accuracy", "Accuracy", [html_table(columns, rows), paragraph(SEEDS, "note"), drawings(made)]
    )


def _learning(table: ModelTable, logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Section | None:
    found: Drawing | None = figures.learning(table, logs, table.target) if table.target else None
    return None if found is None else Section("learning", "Learning curves", [drawings([found])])


def _cost(table: ModelTable) -> Section | None:
    sizes = structures(table)
    if not sizes:
        return None
    columns = ["model", "parameters"]
    columns += [
        f"µs per atom and step, {'1 structure' if n == 1 else f'{n} structures'} (median)" for n in sizes
    ]
    columns += [
        "training step, ms (median)",
        "batch",
        "MB in training",
        "MB in evaluation",
        "neighbors per atom",
    ]
    rows = [[row.label, *_costs(row.cost)] for row in table.rows if row.cost is not None]
    return Section("cost", "Cost", [html_table(columns, rows), paragraph(MEASURED, "note")])


def _costs(cost: Cost) -> list[str]:
    speeds = [f"{number(s.per_atom())} ({number(s.per_atom(s.timing.median))})" for s in cost.inference]
    last = cost.inference[-1]
    memory = [number(b / MEGA) for b in (cost.training_bytes, cost.inference_bytes)]
    step = [f"{number(1e3 * cost.step.fastest)} ({number(1e3 * cost.step.median)})", str(cost.batch)]
    return [f"{cost.parameters:,}", *speeds, *step, *memory, number(last.edges / last.atoms)]


def _runs(table: ModelTable) -> Section:
    columns = ["run", "state", "steps", "batch", "training time", "report", "message"]
    rows = [_run(run) for row in table.rows for run in row.runs]
    said = [paragraph(text(f"{row.label}: {row.message}"), "note") for row in table.rows if row.message]
    note = (
        "Every run is an ordinary one: its folder holds the model, the report, the log and the checkpoints."
    )
    return Section(
        "runs", "Runs", [html_table(columns, rows, words=(0, 1, 5, 6)), *said, paragraph(note, "note")]
    )


def _run(run: RunRecord) -> list[object]:
    there = run.status == "finished" and not run.message
    return [
        run.name,
        run.status,
        "" if run.steps is None else f"{run.steps:,}",
        "" if run.batch is None else run.batch,
        "" if run.seconds is None else duration(run.seconds),
        link(f"{run.folder}/report.html", "report") if there else "",
        run.message,
    ]


def _conditions(table: ModelTable) -> Section:
    where = table.conditions
    cutoffs = {row.label: row.settings.get("cutoff") for row in table.rows}
    same = len(set(cutoffs.values())) == 1
    rows = {
        "data": "; ".join(f"{name} (SHA-256 {digest[:16]}…)" for name, digest in where.data.items()),
        "frames": ", ".join(f"{part} {count}" for part, count in where.split.items()),
        "the same frames": "for every run; their numbers are in split.json",
        "budget of a run": where.budget,
        "seeds": ", ".join(map(str, where.seeds)),
        "cutoff": f"{next(iter(cutoffs.values()))} Å"
        if same
        else ", ".join(f"{n} {c} Å" for n, c in cutoffs.items()),
        "device": where.device,
        "processor": f"{where.processor}, {where.threads} threads",
        "versions": ", ".join(f"{name} {version}" for name, version in where.versions.items()),
        "made": where.created,
    }
    settings = {row.label: row.settings for row in table.rows}
    cited = dict.fromkeys(row.architecture for row in table.rows)
    parts = [
        facts(rows),
        folded("Configuration, with every default", code(_yaml(table.config))),
        folded("Hyper-parameters of every architecture", code(_yaml(settings))),
        folded("To cite", code("\n\n".join(bibtex(name) for name in cited))),
    ]
    return Section("conditions", "Conditions", parts)


def _yaml(values: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)


def _log(path: Path) -> list[dict[str, Any]]:
    """Validations of a training; a line that was cut off is passed over."""
    if not path.exists():
        return []
    whole = [x for x in path.read_text(encoding="utf-8").splitlines(keepends=True) if x.endswith("\n")]
    return [json.loads(x) for x in whole]
