"""All runs, one after the other. Started again, it goes on; one failure does not stop the others."""

import gc
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from equipot.comparison.config import Job
from equipot.comparison.forecast import Clock, Moment
from equipot.comparison.prepare import Prepared, finished
from equipot.comparison.said import message_of
from equipot.comparison.table import RunRecord
from equipot.deploy.checkpoints import latest_valid, load_state
from equipot.deploy.model_file import read_document
from equipot.evaluate.report import write_report
from equipot.train.begin import Say
from equipot.train.loop import Interrupted
from equipot.train.run import train

Observe = Callable[[Moment], None]
ERRORS = "error.log"  # in the folder of a run that failed


class Course:
    """What has been trained, and what went wrong."""

    def __init__(self, prepared: Prepared, observe: Observe, say: Say) -> None:
        self.prepared, self.observe, self.say = prepared, observe, say
        self.clock = Clock(prepared.waiting(), prepared.config.train.budget, time.monotonic)
        self.errors: list[Exception] = []

    def run(self) -> list[RunRecord]:
        """Train what has no model yet; a record of every run."""
        return [self._one(number, job) for number, job in enumerate(self.prepared.jobs, 1)]

    def _one(self, number: int, job: Job) -> RunRecord:
        place, count = self.prepared.place(job), len(self.prepared.jobs)
        if finished(place):
            self.say(f"{job.name} ({number} of {count}): finished before, kept.")
            return _record(job, place)

        def watch(step: int, total: int, text: str) -> None:
            left = self.clock.left(step / max(total, 1))
            self.observe(Moment(job.name, number, count, step, total, text, left))

        self.say(f"{job.name} ({number} of {count})")
        self.clock.start(job)
        error = _attempt(
            lambda: train(job.config, place, observe=watch, say=self.say, splits=self.prepared.splits)
        )
        self.clock.end()
        if error is None:
            (place / ERRORS).unlink(missing_ok=True)
            return _record(job, place)
        self.errors.append(error)
        self.say(f"{job.name} failed: {message_of(error)}")
        place.mkdir(parents=True, exist_ok=True)
        (place / ERRORS).write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        return RunRecord(**_names(job), status="failed", message=message_of(error))


def _attempt(work: Callable[[], object]) -> Exception | None:
    """What went wrong, its memory given back; Ctrl-C ends the whole comparison."""
    try:
        work()
    except Interrupted:
        raise
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # they hold the model
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return error
    return None


def _record(job: Job, place: Path) -> RunRecord:
    """A finished run, as its model file tells it; its report is written where it is missing."""
    document = read_document(place / "model.equipot")
    path, _ = latest_valid(place / "checkpoints", "step-*.safetensors")
    state: dict[str, Any] = {} if path is None else load_state(path)[1]
    errors: Any = document.metrics.get("test", {})
    return RunRecord(
        **_names(job),
        status="finished",
        message=_report(place),
        seconds=document.provenance.seconds,
        steps=state.get("step"),
        batch=state.get("plan", {}).get("batch"),
        errors=errors,
    )


def _names(job: Job) -> dict[str, Any]:
    return {"name": job.name, "label": job.label, "seed": job.seed, "folder": f"runs/{job.name}"}


def _report(place: Path) -> str:
    """Write the report of a run that has none; a report that cannot be written does not undo the run."""
    if (place / "report.html").exists():
        return ""
    try:
        write_report(place)
    except Exception as error:
        return f"no report: {message_of(error)}"
    return ""
