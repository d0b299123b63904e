"""Configuration: frozen, typed, and every unknown key an error that names the nearest right one."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

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
        said: dict[str, list[str]] = {}  # alternatives of a union complain one by one about the same value
        for one in error.errors():
            subject, complaint = _explain(kind, one)
            said.setdefault(subject, []).append(complaint)
        lines = [f"{where}: {subject}{' Or: '.join(dict.fromkeys(c))}" for subject, c in said.items()]
        raise ValueError("\n".join(lines)) from None


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


def override(
    values: dict[str, Any], assignments: Sequence[str], short: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Apply `a.b=value` in order; the value is read as YAML, so `3`, `true` and `[1, 2]` mean what they say.

    `short` are the sections that may be one word, and the key which it stands for: after `a=word`, `a.b=value` adds to
    the table {key: word}. Below any other word there is nothing to set, and that is said.
    """
    out = _copy(values)
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ValueError(f"option {text!r}: expected key=value, for example train.epochs=100.")
        *parents, last = key.split(".")
        node = out
        for depth, parent in enumerate(parents, 1):
            node[parent] = _section(node.get(parent), ".".join(parents[:depth]), text, short or {})
            node = node[parent]
        try:
            node[last] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(
                f"option {text!r}: the value is not valid YAML; expected a number, a word, [a, list] or {{a: table}}."
            ) from None
    return out


def nearest(word: str, known: Sequence[str]) -> str:
    """' Did you mean X?' when something is close, else the list of what is known."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(sorted(known))}."


def _section(found: Any, path: str, option: str, short: Mapping[str, str]) -> dict[str, Any]:
    """What stands at the path of an option, as a table."""
    if found is None or isinstance(found, dict):
        return found or {}
    if path in short:
        return {short[path]: found}
    raise ValueError(f"option {option!r}: {path} = {found!r} is not a table of keys.")


def _copy(values: dict[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in values.items()}


def _explain(kind: type[BaseModel], error: Any) -> tuple[str, str]:
    """What is wrong where: the subject, and what is said of it."""
    steps, known = _walk(kind, error["loc"])
    path, message = ".".join(steps), error["msg"]
    match error["type"]:
        case "extra_forbidden":
            return f"unknown key {path!r}.", nearest(steps[-1], known)
        case "missing":
            return f"{path!r} is missing.", ""
        case "union_tag_invalid":
            tags = [tag.strip(" '") for tag in error["ctx"]["expected_tags"].split(",")]
            return f"{path}.name = {error['ctx']['tag']!r} does not exist.", nearest(
                error["ctx"]["tag"], tags
            )
        case "union_tag_not_found":
            return f"{path}.name is missing.", ""
        case "model_type":
            message = "Input should be a table of keys"
    return f"{path} = {error.get('input')!r}: ", f"{message.removeprefix('Value error, ').removesuffix('.')}."


def _walk(kind: type[BaseModel], loc: Sequence[Any]) -> tuple[list[str], list[str]]:
    """The keys of a place as the user writes them, and the keys allowed at the last one.

    Pydantic's location also names the alternatives of unions, be they tagged or not.
    """
    path: list[str] = []
    known: list[str] = []
    here: list[Any] = [kind]
    for place, step in enumerate(loc):
        models = [k for k in here if isinstance(k, type) and issubclass(k, BaseModel)]
        fields = [k.model_fields[step] for k in models if step in k.model_fields]
        mappings = [k for k in here if get_origin(k) is dict]
        tagged = [k for k in models if step in [f.default for f in k.model_fields.values()]]
        if models and (fields or (place == len(loc) - 1 and not tagged)):
            path.append(str(step))
            known = sorted({name for k in models for name in k.model_fields})
            here = [part for f in fields for part in _parts(f.annotation)]
        elif tagged:
            here = tagged
        elif mappings and "[" not in str(step):
            path.append(str(step))
            here = [part for k in mappings for part in _parts(get_args(k)[1])]
    return path, known


def _parts(annotation: Any) -> list[Any]:
    """The alternatives of a union, without what is annotated to them."""
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [p for alternative in get_args(annotation) for p in _parts(alternative)]
    return [annotation]
