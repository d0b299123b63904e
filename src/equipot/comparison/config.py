"""What is compared: architectures, frames, one budget for every run, several seeds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, PositiveInt

from equipot.config import Config, parse
from equipot.data.config import DataConfig
from equipot.evaluate.readable import duration
from equipot.models import Architecture
from equipot.potential import TargetsConfig, TermsConfig
from equipot.train.config import RunConfig, TrainConfig

ARCHITECTURES: tuple[str, ...] = tuple(kind.model_fields["name"].default for kind in get_args(Architecture))
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")  # it names a folder, and the keys of `label.size=small`
TEST = "10%"  # set aside where nobody named a test set: what nobody has trained on is what is compared
#: of runs that are as long as a number of steps or epochs, so that all take the same steps
BATCH = 5
SHARED = (
    "budget",
    "epochs",
    "steps",
    "seed",
    "device",
)  # of `train`: one value for all, or it is no comparison
Budget = Literal["budget", "steps", "epochs"]


def _with_test(data: Any) -> Any:
    named = not isinstance(data, dict) or data.get("test") is not None or _by_index(data.get("split"))
    return data if named else {**data, "test": TEST}


def _by_index(split: Any) -> bool:
    return split == "index" or (isinstance(split, dict) and split.get("by") == "index")


def _labelled(models: Any) -> Any:
    """`all`, a list of names, or a table of labels, as a table."""
    if models == "all":
        models = ARCHITECTURES
    if isinstance(models, str):
        models = [name.strip() for name in models.split(",") if name.strip()]
    if isinstance(models, list | tuple):
        return {str(name): {} for name in models}
    if isinstance(models, dict):
        return {label: {} if settings is None else settings for label, settings in models.items()}
    return models


Data = Annotated[DataConfig, BeforeValidator(_with_test)]
Models = Annotated[dict[str, dict[str, Any]], BeforeValidator(_labelled)]
ALL: dict[str, dict[str, Any]] = _labelled("all")


class CompareConfig(Config):
    """Architectures on the same frames, with the same budget for every run, with several seeds each."""

    data: Data  # as in a run; 10 % of the frames are set aside where no test set is named
    models: Models = (
        ALL  # label -> its hyper-parameters, with `name` where the label is none, and its own `train`
    )
    model: dict[str, Any] = {}  # hyper-parameters that all of them get, such as cutoff
    targets: TargetsConfig = TargetsConfig()  # as in a run
    terms: TermsConfig = TermsConfig()  # as in a run
    train: TrainConfig = TrainConfig()  # the recipe, with the budget of a run: budget, steps or epochs
    seeds: PositiveInt | tuple[int, ...] = 3  # how many, counted from train.seed; or a list of them

    @property
    def budget(self) -> Budget:
        """Which of the three measures of length is given."""
        given = [kind for kind in get_args(Budget) if getattr(self.train, kind) is not None]
        if not given:
            raise ValueError(
                "no budget: how long may every run train?\n"
                "Paste --budget 10min (wall time), --steps 20000 or --epochs 200."
            )
        if len(given) > 1:
            listing = " and ".join(f"train.{kind}={getattr(self.train, kind)}" for kind in given)
            raise ValueError(f"{listing}: give one of them, the same for every run.")
        return given[0]

    @property
    def length(self) -> str:
        """The budget as people say it."""
        value = getattr(self.train, self.budget)
        return duration(value) if self.budget == "budget" else f"{value:,} {self.budget}"

    def numbers(self) -> tuple[int, ...]:
        """The seeds."""
        if isinstance(self.seeds, int):
            return tuple(range(self.train.seed, self.train.seed + self.seeds))
        return self.seeds

    def jobs(self) -> tuple["Job", ...]:
        """All runs, seed by seed: every architecture has its first result before any has its second."""
        _refuse_labels(self.models)
        if not self.numbers() or len(set(self.numbers())) < len(self.numbers()):
            raise ValueError(f"seeds = {list(self.numbers())}: expected different numbers, at least one.")
        return tuple(
            Job(label, seed, _run(self, label, seed)) for seed in self.numbers() for label in self.models
        )


@dataclass(frozen=True)
class Job:
    """One run of a comparison."""

    label: str
    seed: int
    config: RunConfig

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.label}-seed{self.seed}"


def _run(config: CompareConfig, label: str, seed: int) -> RunConfig:
    """The configuration of one run, that of an ordinary training."""
    settings = dict(config.models[label])
    own = settings.pop("train", {})
    recipe = {**config.train.model_dump(mode="json"), "seed": seed}
    if config.budget != "budget" and recipe["batch"] == "auto":
        recipe["batch"] = BATCH
    values = {
        "data": config.data.model_dump(mode="json"),
        "model": {"name": label, **config.model, **settings},
        "targets": config.targets.model_dump(mode="json"),
        "terms": config.terms.model_dump(mode="json"),
        "train": {**recipe, **own},
    }
    return parse(RunConfig, values, f"models.{label}")


def _refuse_labels(models: dict[str, dict[str, Any]]) -> None:
    if not models:
        raise ValueError(f"models: none is named. Known: {', '.join(ARCHITECTURES)}, or all.")
    for label, settings in models.items():
        if not LABEL.fullmatch(label) or label in CompareConfig.model_fields:
            raise ValueError(
                f"models: {label!r} cannot label an architecture: letters, digits, - and _, and none of"
                f" {', '.join(CompareConfig.model_fields)}."
            )
        own = settings.get("train") or {}
        if not isinstance(own, dict):
            raise ValueError(f"models.{label}.train = {own!r}: expected a table of keys.")
        forbidden: Sequence[str] = [key for key in SHARED if key in own]
        if forbidden:
            raise ValueError(
                f"models.{label}.train.{forbidden[0]}: must be the same for every run; say train.{forbidden[0]}."
            )
