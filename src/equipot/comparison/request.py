"""From what a user types to what is compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack, get_args

from equipot.comparison.config import ARCHITECTURES, Budget, CompareConfig
from equipot.config import nearest, override, parse, read_yaml


class Options(TypedDict, total=False):
    """What stands beside the data and the names of the architectures."""

    budget: str | float | None  # wall time of every run, as "10min"
    steps: int | None  # optimizer steps, in the place of a wall time
    epochs: int | None  # likewise
    seeds: int | Sequence[int] | None  # how many, or which
    config: str | Path | None  # a YAML file with everything but the data
    assignments: Sequence[str]  # `train.batch=5`, `model.cutoff=4` for all, `nequip.size=small` for one


def request(
    source: str | Path | Mapping[str, Any],
    models: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> CompareConfig:
    """A comparison from a data file, a YAML file or a mapping, with everything else on top of it.

    Args:
        source: structures with labels, or the whole comparison.
        models: those to compare, by architecture or by their label in the YAML file; `all` for every architecture.
        options: budget and seeds, a YAML file, and single settings.
    """
    values, where = _values(source, options.get("config"))
    values["models"] = _chosen(models, values.get("models"))
    seeds = options.get("seeds")
    if seeds is not None:
        values["seeds"] = seeds if isinstance(seeds, int) else list(seeds)
    values = override(values, [_routed(text, values["models"]) for text in options.get("assignments", ())])
    given = {kind: v for kind in get_args(Budget) if (v := options.get(kind)) is not None}
    if given:
        recipe = values.get("train") or {}
        values["train"] = {**{k: v for k, v in recipe.items() if k not in get_args(Budget)}, **given}
    found = parse(CompareConfig, values, where)
    assert found.budget  # refuses none and several
    return found


def _values(source: str | Path | Mapping[str, Any], config: str | Path | None) -> tuple[dict[str, Any], str]:
    below = {} if config is None else read_yaml(config)
    where = "comparison" if config is None else str(config)
    if isinstance(source, Mapping):
        return {**below, **source}, where
    if Path(source).suffix in (".yaml", ".yml"):
        if config is not None:
            raise ValueError(f"{source} and --config {config}: give one YAML file, and the data beside it.")
        return read_yaml(source), str(source)
    data = below.get("data")
    return {**below, "data": {**(data if isinstance(data, dict) else {}), "train": str(source)}}, where


def _chosen(models: str | Sequence[str] | None, stored: Any) -> dict[str, Any]:
    """The architectures that are asked for, with what the YAML file says of them."""
    if isinstance(stored, str | list | tuple) or stored is None:
        stored = dict.fromkeys(_names("all" if stored is None else stored))
    if not isinstance(stored, dict):
        raise ValueError(f"models = {stored!r}: expected all, a list, or a table of architectures.")
    names = tuple(map(str, stored)) if models is None else _names(models)
    for name in names:
        if name not in stored and name not in ARCHITECTURES:
            raise ValueError(
                f"models: {name!r} does not exist.{nearest(name, sorted({*stored, *ARCHITECTURES}))}"
            )
    return {name: {} if stored.get(name) is None else stored[name] for name in names}


def _names(models: str | Sequence[str]) -> tuple[str, ...]:
    if models == "all":
        return ARCHITECTURES
    names = models.split(",") if isinstance(models, str) else models
    return tuple(name.strip() for name in names if name.strip())


def _routed(text: str, labels: Mapping[str, Any]) -> str:
    """`nequip.size=small` as a key of the comparison: `models.nequip.size=small`."""
    head, dot, _ = text.partition("=")[0].partition(".")
    if dot and head in labels:
        return f"models.{text}"
    if not dot or head in CompareConfig.model_fields:
        return text
    if head in ARCHITECTURES:
        raise ValueError(
            f"option {text!r}: {head} is not compared here ({', '.join(labels)}). Name it in --models."
        )
    sections = [*labels, *CompareConfig.model_fields, *ARCHITECTURES]
    raise ValueError(f"option {text!r}: {head!r} is neither compared nor a section.{nearest(head, sections)}")
