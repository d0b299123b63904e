"""A comparison from its first run to its table. Started again, it goes on; one failure does not stop the others."""

import gc
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from equipot.comparison.columns import runs_csv, table_csv
from equipot.comparison.config import CompareConfig, Job
from equipot.comparison.forecast import Clock, Moment
from equipot.comparison.machine import processor
from equipot.comparison.measure import Contender, costs
from equipot.comparison.page import write_page
from equipot.comparison.prepare import Prepared, finished, prepare
from equipot.comparison.table import FILE, Conditions, ModelTable, Row, RunRecord, scores
from equipot.deploy.atomic import write_atomically
from equipot.deploy.checkpoints import latest_valid, load_state
from equipot.deploy.document import versions
from equipot.deploy.model_file import load, read_document
from equipot.evaluate.report import write_report
from equipot.train.distributed import join
from equipot.train.loop import Diverged, Interrupted
from equipot.train.run import Say, train

Observe = Callable[[Moment], None]
ERRORS = "error.log"  # in the folder of a run that failed


@dataclass
class Course:
    """What has happened so far."""

    records: list[RunRecord] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)


def compare(config: CompareConfig, folder: Path, *, observe: Observe, say: Say) -> ModelTable:
    """Train what is not trained yet, measure all of it side by side, and write the table."""
    prepared = prepare(config, folder)
    prepared.claim()
    course = Course()
    said = _Once(say)
    for note in prepared.splits.notes:
        said(note)
    _train_all(prepared, course, observe, said)
    if not any(r.status == "finished" for r in course.records):
        said(f"No run has worked; each one's {ERRORS} is in its folder under {folder / 'runs'}.")
        raise course.errors[0]
    said("Measuring speed and memory, all models in turn.")
    table = _tabulate(prepared, course.records)
    write(table, folder)
    return table


def write(table: ModelTable, folder: Path) -> tuple[Path, ...]:
    """JSON, CSV of architectures and of runs, and the page."""
    texts = {
        FILE: json.dumps(table.as_dict(), indent=1, ensure_ascii=False) + "\n",
        "comparison.csv": table_csv(table),
        "runs.csv": runs_csv(table),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
    return (write_page(table, folder), *(folder / name for name in texts))


def _train_all(prepared: Prepared, course: Course, observe: Observe, say: Say) -> None:
    jobs = prepared.jobs
    clock = Clock(prepared.waiting(), prepared.config.train.budget, time.monotonic)
    for number, job in enumerate(jobs, 1):
        place = prepared.place(job)
        if finished(place):
            say(f"{job.name} ({number} of {len(jobs)}): finished before, kept.")
        else:
            say(f"{job.name} ({number} of {len(jobs)})")
            clock.start(job)

            def watch(step: int, total: int, text: str, job: Job = job, number: int = number) -> None:
                left = clock.left(step / max(total, 1))
                observe(Moment(job.name, number, len(jobs), step, total, text, left))

            error = _attempt(job, place, prepared, watch, say)
            clock.end()
            if error is not None:
                course.errors.append(error)
                course.records.append(_failure(job, error))
                say(f"{job.name} failed: {_message(error)}")
                continue
        course.records.append(_record(job, place))


def _attempt(
    job: Job, place: Path, prepared: Prepared, watch: Callable[[int, int, str], None], say: Say
) -> Exception | None:
    """Train, and return what went wrong; Ctrl-C ends the comparison."""
    try:
        train(job.config, place, observe=watch, say=say, splits=prepared.splits)
    except Interrupted:
        raise
    except Exception as error:
        place.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(error))
        (place / ERRORS).write_text(text, encoding="utf-8")
        traceback.clear_frames(error.__traceback__)  # they hold the model
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return error
    (place / ERRORS).unlink(missing_ok=True)
    return None


def _record(job: Job, place: Path) -> RunRecord:
    """A finished run, as its model file tells it; its report is written where it is missing."""
    document = read_document(place / "model.equipot")
    path, _ = latest_valid(place / "checkpoints", "step-*.safetensors")
    plan: dict[str, Any] = {} if path is None else load_state(path)[1]
    errors: Any = document.metrics.get("test", {})
    return RunRecord(
        name=job.name,
        label=job.label,
        seed=job.seed,
        folder=f"runs/{job.name}",
        status="finished",
        message=_report(place),
        seconds=document.provenance.seconds,
        steps=plan.get("step"),
        batch=plan.get("plan", {}).get("batch"),
        errors=errors,
    )


def _report(place: Path) -> str:
    """Write the report of a run that has none; a report that cannot be written does not undo the run."""
    if (place / "report.html").exists():
        return ""
    try:
        write_report(place)
    except Exception as error:
        return f"no report: {_message(error)}"
    return ""


def _failure(job: Job, error: Exception) -> RunRecord:
    return RunRecord(
        name=job.name,
        label=job.label,
        seed=job.seed,
        folder=f"runs/{job.name}",
        status="failed",
        message=_message(error),
    )


def _message(error: Exception) -> str:
    """What to say of an error: those that were written for the user speak for themselves."""
    if isinstance(error, ValueError | Diverged | OSError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _tabulate(prepared: Prepared, records: list[RunRecord]) -> ModelTable:
    first = {job.label: job for job in reversed(prepared.jobs)}
    device = join(prepared.config.train.device).device
    contenders: dict[str, Contender] = {}
    for record in (r for r in records if r.status == "finished" and r.label not in contenders):
        potential, _ = load(prepared.folder / record.folder / "model.equipot")
        recipe = first[record.label].config.train
        contenders[record.label] = Contender(potential, recipe, record.batch or 1)
    found, failed = costs(contenders, prepared.splits.train, prepared.splits.test, device)
    rows = []
    for label, job in first.items():
        own = tuple(r for r in records if r.label == label)
        model = job.config.model
        rows.append(
            Row(
                label=label,
                architecture=model.name,
                settings=model.model_dump(mode="json"),
                runs=own,
                scores=scores([r for r in own if r.status == "finished"]),
                cost=found.get(label),
                message=failed.get(label, ""),
            )
        )
    return ModelTable.of(rows, _conditions(prepared, device), prepared.config.model_dump(mode="json"))


def _conditions(prepared: Prepared, device: torch.device) -> Conditions:
    return Conditions(
        data={file["name"]: file["sha256"] for file in prepared.split["files"]},
        split=prepared.splits.sizes(),
        budget=prepared.config.length,
        seeds=prepared.config.numbers(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        processor=processor(),
        threads=torch.get_num_threads(),
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


class _Once:
    """Passes on what was not said before: notes about the data belong to all runs."""

    def __init__(self, say: Say) -> None:
        self.say, self.heard = say, set[str]()

    def __call__(self, text: str) -> None:
        if text not in self.heard:
            self.heard.add(text)
            self.say(text)
