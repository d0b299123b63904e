"""How a potential is trained."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator

from equipot.config import Config
from equipot.data.config import DataConfig
from equipot.models import ModelConfig, PaiNNConfig
from equipot.potential import TargetsConfig

Preset = Literal["quick", "standard", "best"]
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


class PlateauConfig(Config):
    """Multiply the learning rate by `factor` after `patience` validations without gain; stop below `stop_below`."""

    factor: PositiveFloat = 0.5
    patience: PositiveInt = 25
    stop_below: NonNegativeFloat = 1e-6


class TrainConfig(Config):
    """The recipe. The defaults adapt to the data; every number of a published recipe can be set."""

    preset: Preset = "standard"
    epochs: PositiveInt | None = None  # none: from the preset and the size of the training set
    steps: PositiveInt | None = None  # optimizer steps, in the place of epochs
    budget: PositiveFloat | None = None  # seconds (or "10min", "2h"): the whole schedule is fitted into it
    batch: PositiveInt | Literal["auto"] = "auto"  # mean structures per step, all processes together
    optimizer: Literal["adamw", "adam", "amsgrad"] = "adamw"
    learning_rate: PositiveFloat | None = (
        None  # none: the architecture's, times sqrt(batch/5), at most 3 times it
    )
    weight_decay: NonNegativeFloat = 1e-3  # decoupled, on matrices of linear layers only
    schedule: Literal["warmup-stay-cooldown", "plateau", "constant"] = "warmup-stay-cooldown"
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


class RunConfig(Config):
    """One training run, from the data to the model file."""

    data: DataConfig
    model: ModelConfig = PaiNNConfig()
    targets: TargetsConfig = TargetsConfig()
    train: TrainConfig = TrainConfig()

    @field_validator("model", mode="before")
    @classmethod
    def _default_architecture(cls, value: object) -> object:
        """Hyper-parameters without a name are those of PaiNN."""
        return {"name": "painn", **value} if isinstance(value, dict) else value
