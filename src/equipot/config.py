"""Configuration: frozen, typed, and every unknown key an error that names the nearest right one."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError


class Config(BaseModel):
    """Base of everything a user may configure and of everything a model file records."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=True, protected_namespaces=())


C = TypeVar("C", bound=Config)


def parse(kind: type[C], values: Any, where: str) -> C:
    """Validate plain values; a `ValueError` says where, what was found, what was expected."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ValueError("\n".join(_explain(kind, e, where) for e in error.errors())) from None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file as a mapping; what is not YAML is refused with its line."""
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text file. A configuration is YAML.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(f"{path}: found {type(values).__name__}, expected `key: value` lines.")
    return values


def override(values: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Apply `a.b=value` in order; the value is read as YAML, so `3`, `true` and `[1, 2]` mean what they say."""
    out = _copy(values)
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ValueError(f"option {text!r}: expected key=value, for example train.epochs=100.")
        *parents, last = key.split(".")
        node = out
        for parent in parents:
            below = node.get(parent)
            node[parent] = below if isinstance(below, dict) else {}
            node = node[parent]
        node[last] = yaml.safe_load(value)
    return out


def nearest(word: str, known: Sequence[str]) -> str:
    """' Did you mean X?' when something is close, else the list of what is known."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(sorted(known))}."


def _copy(values: dict[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in values.items()}


def _explain(kind: type[BaseModel], error: Any, where: str) -> str:
    path = ".".join(str(p) for p in error["loc"])
    found = error.get("input")
    if error["type"] == "extra_forbidden":
        known = _known_keys(kind, error["loc"][:-1])
        return f"{where}: unknown key {path!r}.{nearest(str(error['loc'][-1]), known)}"
    if error["type"] == "missing":
        return f"{where}: {path!r} is missing."
    return f"{where}: {path} = {found!r}: {error['msg']}."


def _known_keys(kind: Any, loc: Sequence[Any]) -> list[str]:
    """Keys allowed at a place inside nested configurations and tagged unions."""
    kinds = [kind]
    for step in loc:
        below: list[Any] = []
        for k in kinds:
            if isinstance(k, type) and issubclass(k, BaseModel):
                if step in k.model_fields:
                    below += _configs(k.model_fields[step].annotation)
                elif any(f.default == step for f in k.model_fields.values()):
                    below.append(k)  # the tag of a union, itself a step of pydantic's location
        kinds = below or kinds
    return sorted({name for k in kinds for name in k.model_fields})


def _configs(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [c for part in get_args(annotation) for c in _configs(part)]
