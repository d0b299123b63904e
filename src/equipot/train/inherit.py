"""What a configuration takes over from the model file that its `start` names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equipot.config import parse
from equipot.deploy.document import ModelDocument
from equipot.deploy.model_file import read_document
from equipot.potential import PotentialConfig, TargetsConfig
from equipot.potential.targets import NAMED
from equipot.train.config import RunConfig


def inherited(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Plain values of a configuration, completed from the model file that its `start` names.

    What the user leaves out is as in the file. What contradicts it is a `ValueError` with both values.
    """
    start = values.get("start")
    path = start.get("model") if isinstance(start, Mapping) else start
    if not isinstance(path, str | Path):
        return dict(values)
    if not Path(path).exists():
        raise ValueError(
            f"{where}: start.model = {str(path)!r}: no such file. A run that started from it has a copy, and goes on"
            " with start.model=RUN/parent.equipot."
        )
    document = read_document(path)
    out = dict(values)
    out["model"] = _model(_table(values, "model", where), document, path, where)
    for name in (PotentialConfig.model_fields.keys() & RunConfig.model_fields.keys()) - {"model", "targets"}:
        out |= _agreed(document.potential, {name: _table(values, name, where)}, path, where)
    out["train"] = {"precision": document.precision, **_table(values, "train", where)}
    if "targets" in values:
        out["targets"] = _targets(_table(values, "targets", where), document.potential.targets, path, where)
    return out


def disagreement(where: str, key: str, asked: object, found: object, path: str | Path) -> ValueError:
    """The error of a key that the model file has decided otherwise."""
    return ValueError(
        f"{where}: {key} = {asked!r}, but {path} has {found!r}, and its weights fit nothing else. "
        f"Leave {key} out, or train without start."
    )


def _model(given: dict[str, Any], document: ModelDocument, path: str | Path, where: str) -> dict[str, Any]:
    own = document.potential.model
    asked = given.get("name", own.name)
    if asked != own.name:
        raise disagreement(where, "model.name", asked, own.name, path)
    return _agreed(document.potential, {"model": given}, path, where)["model"]


def _targets(given: dict[str, Any], own: TargetsConfig, path: str | Path, where: str) -> dict[str, Any]:
    """The targets asked for, the options of those which the parent has taken from it."""
    stored = own.model_dump(mode="json")
    out = {"energy": {} if own.energy is not None else None, "total_charge": own.total_charge, **given}
    if out["total_charge"] != own.total_charge:
        raise disagreement(where, "targets.total_charge", out["total_charge"], own.total_charge, path)
    for name in NAMED:
        if stored[name] is not None and isinstance(out.get(name), Mapping):
            out[name] = _same(stored[name], out[name], f"targets.{name}", path, where)
    tensors = dict(_table(out, "tensors", where))
    for name in tensors.keys() & stored["tensors"].keys():
        if isinstance(tensors[name], Mapping):
            tensors[name] = _same(
                stored["tensors"][name], tensors[name], f"targets.tensors.{name}", path, where
            )
    return {**out, "tensors": tensors}


def _agreed(
    own: PotentialConfig, given: Mapping[str, Mapping[str, Any]], path: str | Path, where: str
) -> dict[str, Any]:
    """Sections of the parent's potential, after a look at whether the given keys say the same."""
    stored = own.model_dump(mode="json")
    wanted = {name: {**stored[name], **section} for name, section in given.items()}
    asked = parse(PotentialConfig, {**stored, **wanted}, where).model_dump(mode="json")
    for section, keys in given.items():
        for key in keys:
            if asked[section][key] != stored[section][key]:
                raise disagreement(where, f"{section}.{key}", asked[section][key], stored[section][key], path)
    return {name: stored[name] for name in given}


def _same(
    stored: dict[str, Any], given: Mapping[str, Any], place: str, path: str | Path, where: str
) -> dict[str, Any]:
    for key in (k for k in given if k in stored and given[k] != stored[k]):
        raise disagreement(where, f"{place}.{key}", given[key], stored[key], path)
    return {**stored, **given}  # a key that does not exist is left to the validation


def _table(values: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    found = values.get(name, {})
    if not isinstance(found, Mapping):
        raise ValueError(f"{where}: {name} = {found!r}: expected a table of keys.")
    return dict(found)
