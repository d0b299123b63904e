"""How long it takes: asked before the start, and said on the way."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from equipot.comparison.config import Job
from equipot.comparison.prepare import Prepared
from equipot.comparison.said import message_of
from equipot.data.frame import Frame
from equipot.train.begin import from_scratch
from equipot.train.distributed import join
from equipot.train.plan import median_seconds
from equipot.train.run import settle
from equipot.train.trial import trial

SAMPLE = 32  # structures that step times are measured on


@dataclass(frozen=True)
class Estimate:
    """What one run of an architecture will be."""

    label: str
    runs: int  # that are not finished
    parameters: int | None = None
    batch: int | None = None
    steps: int | None = None
    step_seconds: float | None = None
    message: str = ""  # why it could not be tried

    @property
    def seconds(self) -> float | None:
        """Training time of one run."""
        if self.steps is None or self.step_seconds is None:
            return None
        return self.steps * self.step_seconds


def estimates(prepared: Prepared) -> tuple[Estimate, ...]:
    """Build every architecture, and time a step of its training; nothing is written."""
    waiting = [job.label for job in prepared.waiting()]
    first = {job.label: job for job in reversed(prepared.jobs)}
    return tuple(_estimate(prepared, first[n], waiting.count(n)) for n in prepared.config.models)


def _estimate(prepared: Prepared, job: Job, runs: int) -> Estimate:
    config, process = job.config, join(job.config.train.device)
    size = len(prepared.splits.train)
    sample = replace(prepared.splits, train=_sample(prepared.splits.train), valid=(), test=())
    try:
        begun = from_scratch(config, sample, process, lambda text: None)
        potential, graphs = begun.potential, begun.graphs["train"]
        train, valid = ((graphs * math.ceil(n / len(graphs)))[:n] for n in (size, len(prepared.splits.valid)))
        plan = settle(potential, train, valid, begun.names, config, process)
        trainer = trial(
            potential, train, begun.names, config.train, process.device, plan.batch, room=plan.room
        )
        return Estimate(
            label=job.label,
            runs=runs,
            parameters=sum(p.numel() for p in potential.parameters()),
            batch=plan.batch,
            steps=plan.num_steps,
            step_seconds=median_seconds(lambda: trainer.take(list(range(plan.batch)))),
        )
    except Exception as error:  # said in its line; the others are still worth knowing
        return Estimate(label=job.label, runs=runs, message=message_of(error))


def _sample(frames: Sequence[Frame]) -> list[Frame]:
    """The first frames, and those that bring another element: a model has weights for each."""
    found: list[Frame] = []
    seen: set[int] = set()
    for frame in frames:
        if len(found) < SAMPLE or not seen.issuperset(frame.numbers.tolist()):
            found.append(frame)
            seen |= set(frame.numbers.tolist())
    return found


@dataclass(frozen=True)
class Moment:
    """Where a comparison stands."""

    job: str
    number: int  # of the run, from 1
    count: int  # of runs
    step: int
    total: int  # steps of this run
    text: str
    left: float | None  # s, for the whole comparison; None: not known yet


class Clock:
    """The time that is left, from what runs have taken and from their budget."""

    def __init__(self, jobs: Sequence[Job], budget: float | None, now: Callable[[], float]) -> None:
        self.waiting, self.budget, self.now = list(jobs), budget, now
        self.taken: dict[str, list[float]] = {}  # label -> s of whole runs
        self.started = self.first = 0.0
        self.current: Job | None = None

    def start(self, job: Job) -> None:
        """A run begins, or goes on."""
        self.waiting.remove(job)
        self.current, self.started, self.first = job, self.now(), math.nan

    def end(self) -> None:
        """It has ended, as it may."""
        if self.current is not None and not math.isnan(self.first):
            share = 1 - self.first
            self.taken.setdefault(self.current.label, []).append(
                (self.now() - self.started) / max(share, 1e-9)
            )
        self.current = None

    def left(self, done: float) -> float | None:
        """Seconds until all has ended, when this fraction of the current run is done."""
        if math.isnan(self.first):  # a run that goes on does not begin at 0
            self.first = done
        passed, share = self.now() - self.started, done - self.first
        whole = passed / share if share > 0 else self.budget
        if whole is None or self.current is None:
            return None
        known = {**{n: statistics.fmean(t) for n, t in self.taken.items()}, self.current.label: whole}
        typical = self.budget or statistics.fmean(known.values())
        return (1 - done) * whole + sum(known.get(job.label, typical) for job in self.waiting)
