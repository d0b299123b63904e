"""How a potential is trained."""

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator

from equipot.config import Config
from equipot.data.config import DataConfig
from equipot.models import ModelConfig, PaiNNConfig
from equipot.potential import TargetsConfig, TermsConfig

Preset = Literal["quick", "standard", "best"]
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


class PlateauConfig(Config):
    """Multiply the learning rate by `factor` after `patience` validations without gain; stop below `stop_below`."""

    factor: PositiveFloat = 0.5
    patience: PositiveInt = 25
    threshold: float = Field(default=0.0, ge=0, lt=1)  # a fall by less than this share is no gain
    stop_below: NonNegativeFloat = 1e-6


class TrainConfig(Config):
    """The recipe. The defaults adapt to the data; every number of a published recipe can be set."""

    preset: Preset = "standard"
    epochs: PositiveInt | None = None  # none: from the preset and the size of the training set
    steps: PositiveInt | None = None  # optimizer steps, in the place of epochs
    budget: PositiveFloat | None = None  # seconds (or "10min", "2h"): the whole schedule is fitted into it
    batch: PositiveInt | Literal["auto"] = "auto"  # mean structures per step, all processes together
    optimizer: Literal["auto", "soap", "adamw", "adam", "amsgrad"] = (
        "auto"  # auto: soap; adamw from a model file
    )
    learning_rate: PositiveFloat | None = (
        None  # none: the architecture's, times sqrt(batch/5), at most 3 times it
    )
    weight_decay: NonNegativeFloat = 1e-3  # decoupled, on matrices of linear layers only
    schedule: Literal["warmup-stay-cooldown", "plateau", "constant"] = "warmup-stay-cooldown"
    warmup: float | None = Field(
        default=None, ge=0, le=1
    )  # fraction of the steps; none: 1 %, at least 100, or 2 % from a model file
    cooldown: float | None = Field(default=None, ge=0, le=1)  # fraction of the steps; none: the preset's
    plateau: PlateauConfig = PlateauConfig()
    loss: Literal["auto", "squared", "huber"] = "auto"
    weights: Literal["auto"] | dict[str, NonNegativeFloat] = (
        "auto"  # target -> weight of its mean squared error
    )
    energy_per_atom: bool = False  # with given weights: errors of E/N instead of E
    clip: PositiveFloat | Literal["auto"] | None = "auto"  # auto: three times the running median of the norm
    ema: bool = True
    patience: PositiveInt | None = None  # stop after so many validations without gain; none: never
    validate_every: PositiveInt | None = None  # steps; none: 40 times in a run
    checkpoint_seconds: PositiveFloat = 120.0
    keep_checkpoints: PositiveInt = 2
    precision: Literal["float32", "float64"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 1

    @field_validator("budget", mode="before", json_schema_input_type=PositiveFloat | str | None)
    @classmethod
    def _seconds(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        for unit in ("min", "s", "h", "d"):
            number = value.strip().removesuffix(unit)
            if number != value.strip():
                try:
                    return float(number) * SECONDS[unit]
                except ValueError:
                    break
        raise ValueError('give seconds, or a number with a unit such as "30s", "10min", "2h", "1d"')


#: sections that may be given as one word, and the key which that word is of
SHORT = {"data.split": "by", "start": "model", "start.old": "data"}


class OldDataConfig(Config):
    """What the parent was trained on; `old: old.xyz` is short for `old: {data: old.xyz}`.

    Read with the keys, units and split of that training. Errors on its test part, before and after, say what was
    forgotten.
    """

    data: Path  # the file that it was trained on
    test: Path | None = None  # frames to measure on; none: the test part of the parent's split
    replay: bool = False  # train on old frames too, as many as there are new ones: less is forgotten


class StartConfig(Config):
    """Fine-tuning: training that starts from a model file; `start: m.equipot` is short for `start: {model: m.equipot}`.

    Architecture, cutoff and scales are those of the file. Targets that it has start from its weights, others from
    fresh ones.
    """

    model: Path  # the file, called the parent
    freeze: tuple[
        str, ...
    ] = ()  # parts that stay as they are, by module: model, model.messages.0, heads.dipole
    references: Literal["refit", "keep"] = (
        "refit"  # energies of the elements: least squares of label − parent, or kept
    )
    heads: Literal["keep", "drop"] = "keep"  # what becomes of targets of the parent that are not asked for
    old: OldDataConfig | None = None

    @field_validator("old", mode="before")
    @classmethod
    def _file(cls, value: object) -> object:
        return {SHORT["start.old"]: value} if isinstance(value, str | Path) else value


class RunConfig(Config):
    """One training run, from the data to the model file."""

    data: DataConfig
    model: ModelConfig = PaiNNConfig()
    targets: TargetsConfig = TargetsConfig()
    terms: TermsConfig = TermsConfig()
    train: TrainConfig = TrainConfig()
    start: StartConfig | None = None

    @field_validator("start", mode="before")
    @classmethod
    def _file(cls, value: object) -> object:
        return {SHORT["start"]: value} if isinstance(value, str | Path) else value

    @field_validator("model", mode="before")
    @classmethod
    def _default_architecture(cls, value: object) -> object:
        """Hyper-parameters without a name are those of PaiNN."""
        return {"name": "painn", **value} if isinstance(value, dict) else value
