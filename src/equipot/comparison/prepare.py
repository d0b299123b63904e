"""Everything that can be refused before the first run starts, for all runs at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from equipot.comparison import split
from equipot.comparison.config import CompareConfig, Job
from equipot.config import read_yaml
from equipot.deploy.atomic import write_atomically
from equipot.deploy.model_file import read_document
from equipot.train.begin import refuse_unfit, resolved
from equipot.train.dataset import Splits, load
from equipot.train.run import refuse_other

FILE = "compare.yaml"
#: of the configuration: what finished runs depend on; architectures and seeds may be added later
FIXED = {"data", "targets", "terms", "train"}


@dataclass(frozen=True)
class Prepared:
    """A comparison that may begin, or go on."""

    config: CompareConfig
    folder: Path
    splits: Splits
    jobs: tuple[Job, ...]
    split: dict[str, Any]

    def place(self, job: Job) -> Path:
        """The folder of a run."""
        return self.folder / "runs" / job.name

    def waiting(self) -> tuple[Job, ...]:
        """Runs without a model that can be read."""
        return tuple(job for job in self.jobs if not finished(self.place(job)))

    def claim(self) -> None:
        """Make the folder ours, when nothing is left to refuse."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        write_atomically(self.folder / FILE, text.encode())
        split.keep(self.folder, self.split)


def prepare(config: CompareConfig, folder: Path) -> Prepared:
    """Read the data once, and check every run against it and against what is in its folder."""
    jobs = config.jobs()
    splits = load(config.data, config.targets)
    _refuse_few(config, splits)
    jobs = tuple(replace(job, config=resolved(job.config, splits)) for job in jobs)
    refuse_unfit(splits, jobs[0].config.targets, elements(splits))
    found = split.record(splits)
    prepared = Prepared(config, folder, splits, jobs, found)
    if (stored := folder / FILE).exists():
        fixed = config.model_dump(mode="json", include=FIXED)
        refuse_other(stored, {**read_yaml(stored), **fixed}, "comparison")
    split.check(folder, found)
    for job in jobs:
        refuse_other(prepared.place(job) / "config.yaml", job.config.model_dump(mode="json"), "run")
    return prepared


def finished(folder: Path) -> bool:
    """Whether a run has left its model."""
    try:
        read_document(folder / "model.equipot")
    except (OSError, ValueError):
        return False
    return True


def elements(splits: Splits) -> Sequence[int]:
    """Atomic numbers of the training set."""
    return sorted({int(z) for frame in (*splits.train, *splits.isolated) for z in frame.numbers})


def _refuse_few(config: CompareConfig, splits: Splits) -> None:
    """Too few frames to train on, or none to be measured on."""
    sizes = splits.sizes()
    if not sizes["test"]:
        raise ValueError(
            "no test frames: architectures are compared on frames that none has seen.\n"
            "Paste data.test=10%, data.test=FILE, or give data.split.test a list."
        )
    for name in config.targets.names():
        if not any(name in frame.labels for frame in splits.test):
            raise ValueError(
                f"no {name} in the {sizes['test']} test frames: there is nothing to compare with.\n"
                "Name a test set that has them (data.test=FILE), or leave the target out."
            )
    batches = [job.config.train.batch for job in config.jobs()]
    batch = max((b for b in batches if isinstance(b, int)), default=1)
    if batch > sizes["train"]:
        raise ValueError(
            f"train.batch={batch}: the training set has only {sizes['train']} structures, validation"
            f" {sizes['valid']}, test {sizes['test']}."
        )
