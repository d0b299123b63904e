"""The keys of the configuration, explained from the classes that define them; and their JSON schema for editors."""

import inspect
import json
import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from equipot.config import nearest
from equipot.train.config import RunConfig

FIELD, METHOD, COMMENT = re.compile(r"    (\w+): "), re.compile(r"    (?:def|@)"), re.compile(r"  # (.*)$")
NAMES = {int: "integer", float: "number", str: "text", bool: "true or false", types.NoneType: "null"}


def schema() -> str:
    """The JSON schema of a configuration. An editor that is given it completes and checks keys while they are typed."""
    values = RunConfig.model_json_schema()
    for kind in _kinds(RunConfig):
        table = values if kind is RunConfig else values["$defs"][kind.__name__]
        for name, remark in comments(kind).items():
            table["properties"][name]["description"] = remark
    return json.dumps(values, indent=2, ensure_ascii=False)


def explain(key: str) -> str:
    """What a key such as `train.budget` means: its type, its default and the remark beside it."""
    lines = list(described())
    for chosen in (
        [text for path, text in lines if path == key or path.startswith(f"{key}.")],
        [text for path, text in lines if path.rpartition(".")[2] == key],  # `budget` alone
    ):
        if chosen:
            return "\n".join(chosen)
    words = [path.rpartition(".")[2] for path, _ in lines]
    hint = nearest(key.rpartition(".")[2], words).partition(" Known:")[0]
    sections = ", ".join(RunConfig.model_fields)
    raise ValueError(f"no key {key!r} in the configuration.{hint} Its sections are {sections}.")


def described() -> Iterator[tuple[str, str]]:
    """Every key by its path with a line about it, in the order of the classes; an architecture after the other."""
    yield from _below(RunConfig, "", "")


def _below(kind: type[BaseModel], prefix: str, owner: str) -> Iterator[tuple[str, str]]:
    remarks = comments(kind)
    for name, field in kind.model_fields.items():
        path, inner = f"{prefix}{name}", models(field.annotation)
        remark = remarks.get(name) or (_doc(inner[0]) if len(inner) == 1 else "")
        text = f"{path}{owner}: {spelled(field.annotation)}, {default(field)}"
        yield path, f"{text}\n    {remark}" if remark else text
        under = f"{path}.NAME." if get_origin(field.annotation) is dict else f"{path}."
        for model in inner:
            mine = f" of {model.model_fields['name'].default}" if len(inner) > 1 else owner
            yield from _below(model, under, mine)


def _doc(kind: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(kind) or "").split())


def comments(kind: type[BaseModel]) -> dict[str, str]:
    """Key -> the comment beside it, in the class or one that it is made of."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base is BaseModel or not issubclass(base, BaseModel):
            continue
        name = None
        for line in inspect.getsource(base).splitlines():
            if start := FIELD.match(line):
                name = start[1]
            elif METHOD.match(line):
                name = None
            if name is not None and (remark := COMMENT.search(line)):
                found[name] = remark[1]
    return found


def _kinds(kind: type[BaseModel]) -> set[type[BaseModel]]:
    below = [m for field in kind.model_fields.values() for m in models(field.annotation)]
    return {kind}.union(*(_kinds(m) for m in below))


def models(annotation: Any) -> list[type[BaseModel]]:
    """The tables that a key may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in get_args(annotation) for m in models(part)]


def spelled(annotation: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return spelled(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(spelled(a) for a in arguments))
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin is dict:
        return f"table of {spelled(arguments[1])}"
    if origin is tuple:
        return f"list of {spelled(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return NAMES.get(annotation, "file" if annotation.__name__ == "Path" else annotation.__name__)


def default(field: Any) -> str:
    """What holds when the key is left out."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "may be left out"
    return f"default {json.dumps(value, ensure_ascii=False, default=str)}"
