"""From data to models: one, or all architectures beside each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from equipot.api.model import Model
from equipot.comparison.config import CompareConfig
from equipot.comparison.course import Observe
from equipot.comparison.request import Options as CompareOptions
from equipot.comparison.request import request as compare_config
from equipot.comparison.run import compare as run_comparison
from equipot.comparison.table import ModelTable
from equipot.config import override, parse, read_yaml
from equipot.train.config import SHORT, RunConfig
from equipot.train.inherit import inherited
from equipot.train.run import Observer, Run, Say
from equipot.train.run import train as train_run


def run_config(
    source: str | Path | Mapping[str, Any],
    assignments: Sequence[str] = (),
    start: Model | str | Path | Mapping[str, Any] | None = None,
) -> RunConfig:
    """The configuration of a training run from a YAML file, a data file or a mapping, with `a.b=value` on top.

    `start`, or that section in the source, names a model file: what is not said is as in that file.
    """
    where = "configuration"
    values: dict[str, Any]
    if isinstance(source, Mapping):
        values = dict(source)
    elif Path(source).suffix in (".yaml", ".yml"):
        values, where = read_yaml(source), str(source)
    else:
        values = {"data": {"train": str(source)}}
    if start is not None:
        values["start"] = start.path if isinstance(start, Model) else start
    return parse(RunConfig, inherited(override(values, assignments, SHORT), where), where)


def train(
    source: str | Path | Mapping[str, Any] | RunConfig,
    out: str | Path | None = None,
    *,
    start: Model | str | Path | Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
    observe: Observer = lambda step, total, text: None,
    say: Say = lambda text: None,
) -> Run:
    """Train from a configuration or straight from a data file; started again, it resumes.

    Args:
        source: a configuration, as YAML file, mapping or `RunConfig`, or a data file.
        out: run folder.
        start: a model to train on, or a mapping with more about it: the keys of the `start` section.
        assignments: `a.b=value` on top of the configuration.
        observe: called after every step.
        say: what becomes of messages.
    """
    if isinstance(source, RunConfig) and (start is not None or assignments):
        raise ValueError(
            "a RunConfig is complete: give start and assignments to run_config, or a mapping to train."
        )
    config = source if isinstance(source, RunConfig) else run_config(source, assignments, start)
    folder = Path(out) if out is not None else default_folder(config)
    return train_run(config, folder, observe=observe, say=say)


def default_folder(config: RunConfig) -> Path:
    """runs/DATA-ARCHITECTURE, with -tuned behind it when training starts from a model file."""
    stem = Path(config.data.train).name.split(".")[0]
    return Path("runs") / f"{stem}-{config.model.name}{'' if config.start is None else '-tuned'}"


def compare(
    source: str | Path | Mapping[str, Any] | CompareConfig,
    models: str | Sequence[str] | None = None,
    out: str | Path | None = None,
    *,
    observe: Observe = lambda moment: None,
    say: Say = lambda text: None,
    **options: Unpack[CompareOptions],
) -> ModelTable:
    """Train several architectures on the same frames with the same budget; the table, which also lies in the folder.

    Options are budget, steps or epochs of every run, seeds, config, assignments. Started again in the same folder,
    finished runs are kept and an unfinished one goes on.
    """
    config = source if isinstance(source, CompareConfig) else compare_config(source, models, **options)
    return run_comparison(config, Path(out or compare_folder(config)), observe=observe, say=say)


def compare_folder(config: CompareConfig) -> Path:
    """runs/compare-DATA."""
    return Path("runs") / f"compare-{Path(config.data.train).name.split('.')[0]}"
