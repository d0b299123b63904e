"""The table of a comparison: accuracy over seeds, speed, memory, size, and what every run left."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from equipot.config import Config, parse
from equipot.deploy.document import plain

FILE = "comparison.json"


class Spread(Config):
    """Mean over seeds, and the sample standard deviation between them; None with a single one."""

    mean: float
    deviation: float | None = None
    count: int = 1

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of one number a seed."""
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return cls(mean=statistics.fmean(values), deviation=deviation, count=len(values))


class Score(Config):
    """Errors of one target on the test frames, in its internal unit."""

    unit: str
    mae: Spread
    rmse: Spread
    mae_per_atom: Spread | None = None  # of energies
    rmse_per_atom: Spread | None = None


class Timing(Config):
    """Wall time of repetitions, s. The fastest is what the model takes; what is above it, the machine."""

    fastest: float
    median: float
    slow: float  # 90 % quantile
    repetitions: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Timing":
        """Of all repetitions."""
        fastest, median, slow = (float(q) for q in np.quantile(seconds, (0.0, 0.5, 0.9)))
        return cls(fastest=fastest, median=median, slow=slow, repetitions=len(seconds))


class Speed(Config):
    """Energy and forces of some structures in one evaluation."""

    structures: int
    atoms: int
    edges: int
    timing: Timing

    def per_atom(self, seconds: float | None = None) -> float:
        """µs per atom and step, of the fastest repetition or of another time."""
        return 1e6 * (self.timing.fastest if seconds is None else seconds) / self.atoms


class Cost(Config):
    """What a model costs, measured beside the others."""

    parameters: int
    inference: tuple[Speed, ...]  # one structure, and where it is small many at once
    step: Timing  # of training
    batch: int  # structures in that step
    inference_bytes: int  # weights and the most that an evaluation of the most structures holds
    training_bytes: int  # weights, averages, optimizer, and the most that a step holds


class RunRecord(Config):
    """One run of a comparison, an ordinary training."""

    name: str
    label: str
    seed: int
    folder: str  # relative to that of the comparison
    status: Literal["finished", "failed"]
    message: str = ""  # why it failed, or what went wrong beside it
    seconds: float | None = None  # of training
    steps: int | None = None
    batch: int | None = None
    errors: dict[str, dict[str, Any]] = {}  # on the test frames, as in the model file


class Row(Config):
    """One architecture."""

    label: str
    architecture: str
    settings: dict[str, Any]  # every hyper-parameter
    runs: tuple[RunRecord, ...]
    scores: dict[str, Score] = {}
    cost: Cost | None = None
    message: str = ""  # why a cost is missing
    front: bool = False  # nothing else is both faster and more accurate

    @property
    def finished(self) -> tuple[RunRecord, ...]:
        """Runs that left a model."""
        return tuple(r for r in self.runs if r.status == "finished")

    @property
    def seconds(self) -> Spread | None:
        """Training time."""
        found = [r.seconds for r in self.finished if r.seconds is not None]
        return Spread.of(found) if found else None

    @property
    def steps(self) -> float | None:
        """Optimizer steps, the mean of the runs."""
        found = [r.steps for r in self.finished if r.steps is not None]
        return statistics.fmean(found) if found else None

    @property
    def messages(self) -> tuple[str, ...]:
        """What went wrong, each once."""
        said = [f"{r.name}: {r.message}" for r in self.runs if r.message]
        return (*said, *([self.message] if self.message else []))


class Conditions(Config):
    """Where, with what and on what the numbers were made."""

    data: dict[str, str]  # file -> SHA-256
    split: dict[str, int]  # part -> frames
    budget: str
    seeds: tuple[int, ...]
    device: str
    processor: str
    threads: int
    versions: dict[str, str]
    created: str


class ModelTable(Config):
    """Architectures beside each other, the most accurate first."""

    target: str  # that the order and the front are about
    rows: tuple[Row, ...]
    conditions: Conditions
    config: dict[str, Any]  # with every default

    @classmethod
    def of(cls, rows: Sequence[Row], conditions: Conditions, config: Mapping[str, Any]) -> "ModelTable":
        """Sort, and find the front."""
        names = [name for row in rows for name in row.scores]
        target = "forces" if "forces" in names else next(iter(names), "")
        on_front = front({r.label: p for r in rows if (p := _point(r, target)) is not None})
        ordered = sorted(rows, key=lambda r: r.scores[target].mae.mean if target in r.scores else math.inf)
        marked = tuple(r.model_copy(update={"front": r.label in on_front}) for r in ordered)
        return cls(target=target, rows=marked, conditions=conditions, config=dict(config))

    @classmethod
    def read(cls, folder: str | Path) -> "ModelTable":
        """The table that a comparison wrote into its folder."""
        path = Path(folder) / FILE
        if not path.exists():
            raise ValueError(f"{path}: no such file. It is written when a comparison has ended.")
        return parse(cls, json.loads(path.read_text(encoding="utf-8")), str(path))

    def __repr__(self) -> str:
        """What a notebook shows: names and errors."""
        known = [(r.label, r.scores[self.target]) for r in self.rows if self.target in r.scores]
        unit = f"{known[0][1].unit}: " if known else ""
        errors = ", ".join(f"{label} {score.mae.mean:.3g}" for label, score in known)
        lost = "".join(f", {r.label} failed" for r in self.rows if not r.finished)
        return f"ModelTable({self.target} MAE, {unit}{errors}{lost})"

    __str__ = __repr__

    def __getitem__(self, label: str) -> Row:
        """The row of an architecture."""
        return next(row for row in self.rows if row.label == label)

    def targets(self) -> dict[str, str]:
        """Target -> unit, of all that some model was measured on."""
        return {name: score.unit for row in self.rows for name, score in row.scores.items()}

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return plain(self.model_dump(mode="json"))


def scores(runs: Sequence[RunRecord]) -> dict[str, Score]:
    """Target -> errors over the seeds."""
    found = {}
    for name in dict.fromkeys(n for r in runs for n in r.errors):
        rows = [r.errors[name] for r in runs if name in r.errors]
        measures = ("mae", "rmse", "mae_per_atom", "rmse_per_atom")
        spreads = {m: Spread.of([float(row[m]) for row in rows]) for m in measures if m in rows[0]}
        found[name] = Score(unit=str(rows[0]["unit"]), **spreads)
    return found


def front(points: Mapping[str, tuple[float, ...]]) -> set[str]:
    """Names that no other is at least as small in everything as, and smaller in something."""
    return {
        name
        for name, own in points.items()
        if not any(
            other != own and all(a <= b for a, b in zip(other, own, strict=True)) for other in points.values()
        )
    }


def _point(row: Row, target: str) -> tuple[float, float] | None:
    """Error and time per atom."""
    if row.cost is None or target not in row.scores:
        return None
    found = row.scores[target].mae.mean, row.cost.inference[-1].per_atom()
    return found if all(map(math.isfinite, found)) else None
