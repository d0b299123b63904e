"""The `data:` section of a configuration."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, NonNegativeInt, PositiveFloat, model_validator

from equipot.config import Config


class SplitConfig(Config):
    """How the frames of one file are divided; `split: random` is short for `split: {by: random}`.

    `identical` is random but keeps identical frames on one side, `group` keeps whole groups there,
    `index` takes lists ("0:450", "1,5,9", or a file of integers).
    """

    by: Literal["random", "group", "identical", "index"] = "random"
    seed: NonNegativeInt = 0
    key: str | None = None  # name of the group in the file; by default `group` or `config_type`
    train: str | tuple[int, ...] | None = None  # by index
    valid: str | tuple[int, ...] | None = None
    test: str | tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _lists(self) -> "SplitConfig":
        lists = (self.train, self.valid, self.test)
        if (self.by == "index") != any(x is not None for x in lists):
            raise ValueError("lists of indices (train, valid, test) belong to by: index, and it to them")
        if self.key is not None and self.by != "group":
            raise ValueError("key names the groups of by: group")
        return self


def _named(value: Any) -> Any:
    return {"by": value} if isinstance(value, str) else value


def _amount(value: Any) -> Any:
    """`10%`, a number of frames, or a file."""
    if isinstance(value, str) and value.endswith("%"):
        try:
            share = float(value[:-1])
        except ValueError:
            share = -1.0
        if not 0 < share < 100:
            raise ValueError("expected a share such as 10%, a number of frames, or a file")
    if isinstance(value, float) or (isinstance(value, int) and value < 0):
        raise ValueError("expected a share such as 10%, a number of frames, or a file")
    return str(value) if isinstance(value, Path) else value


Amount = Annotated[int | str, BeforeValidator(_amount)]


class DataConfig(Config):
    """Which structures and labels are used, and how they are divided."""

    train: Path
    valid: Amount = "10%"
    test: Amount | None = None
    keys: dict[str, str | None] = {}  # property -> name in the file; null leaves a property out
    units: dict[str, str] = {}  # property -> unit in the file
    components: dict[str, str] = {}  # property -> order of six numbers, or of the axes of Born charges
    symmetrize: tuple[str, ...] = ()  # matrices of which the symmetric part is taken
    isolated_atoms: Path | None = None  # file of isolated atoms: reference energies
    reference_energies: dict[str, float] = {}  # element -> eV, before isolated atoms and least squares
    split: Annotated[SplitConfig, BeforeValidator(_named)] = SplitConfig()
    max_force: PositiveFloat | None = None  # eV/Å: training frames with a larger force are left out, and said
    required: bool | tuple[str, ...] = False  # true: every frame must carry every target


def share(amount: int | str, total: int) -> int | None:
    """Number of frames meant by `10%` or 50; None when the amount is a file."""
    if isinstance(amount, int):
        return amount
    return max(1, round(total * float(amount[:-1]) / 100)) if amount.endswith("%") else None
