"""`equipot evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from equipot import api
from equipot.cli.options import AsJson, ModelFile, Quiet
from equipot.cli.screen import as_json, errors_table, out, say
from equipot.evaluate.metrics import table


def evaluate(
    model: ModelFile,
    data: Annotated[Path, typer.Argument(help="Structures with labels; keys and units as in training.")],
    keys: Annotated[
        list[str] | None, typer.Option("--key", help="Name in this file, as energy=REF_energy.")
    ] = None,
    units: Annotated[
        list[str] | None, typer.Option("--unit", help="Unit in this file, as energy=kcal/mol.")
    ] = None,
    quiet: Quiet = False,
    json_: AsJson = False,
) -> None:
    """Errors of a model on a file: MAE and RMSE per target, and of the forces per element."""
    say(f'Python: equipot.load("{model}").evaluate("{data}")', quiet=quiet or json_)
    found = api.load(model).evaluate(data, keys=pairs(keys, "--key"), units=pairs(units, "--unit"))
    if json_:
        elements = {n: {e: vars(r) for e, r in c.per_element().items()} for n, c in found.items()}
        as_json({"errors": table(found), "per_element": {n: e for n, e in elements.items() if e}})
        return
    out.print(errors_table(str(data), table(found)))
    for name, comparison in found.items():
        rows = {e: {**vars(r), "unit": comparison.unit} for e, r in comparison.per_element().items()}
        if len(rows) > 1:
            out.print(errors_table(f"\n{name} by element", rows))


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """Options of the form NAME=VALUE as a mapping."""
    found = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{option} {text!r}: expected PROPERTY=NAME, for example energy=REF_energy.")
        found[name] = value
    return found
