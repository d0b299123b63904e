"""`equipot evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from equipot import api
from equipot.cli.options import AsJson, ModelFile, Quiet
from equipot.cli.screen import as_json, call, errors_table, out, say
from equipot.evaluate.metrics import table
from equipot.units import INTERNAL


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
    names, said = pairs(keys, "--key"), pairs(units, "--unit")
    silent = quiet or json_
    say(
        f"Python: {call('equipot.load', model)}.{call('evaluate', data, keys=names, units=said)}",
        quiet=silent,
    )
    loaded = api.load(model)
    options = loaded.reading(data, names, said)
    found = loaded.evaluate(api.read(data, **options))
    inherited = {
        n: u for n, u in options["units"].items() if n in found and u != INTERNAL.get(n) and n not in said
    }
    if inherited:
        listing = ", ".join(f"{n} in {u}" for n, u in inherited.items())
        say(f"Units as in the training: {listing}. Others: --unit NAME=UNIT.", quiet=silent)
    absent = [n for n in loaded.names if n not in found]
    if absent:
        say(f"Not in this file, and not compared: {', '.join(absent)}.", quiet=silent)
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
