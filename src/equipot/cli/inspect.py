"""`equipot inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from equipot.cli.evaluate import pairs
from equipot.cli.options import AsJson, Quiet
from equipot.cli.screen import Failed, as_json, call, out, say
from equipot.data.doctor import Diagnosis, render
from equipot.data.doctor import inspect as examine


def inspect(
    data: Annotated[
        Path, typer.Argument(help="A file of structures and labels: extxyz, npz, ASE database, ...")
    ],
    test: Annotated[
        Path | None, typer.Argument(help="A test file, to look for frames that are in both.")
    ] = None,
    keys: Annotated[
        list[str] | None, typer.Option("--key", help="Name in the file, as energy=REF_energy.")
    ] = None,
    units: Annotated[
        list[str] | None, typer.Option("--unit", help="Unit in the file, as energy=kcal/mol.")
    ] = None,
    cutoff: Annotated[float, typer.Option(help="Radius of the neighbor list, Å.")] = 5.0,
    config: Annotated[
        Path | None, typer.Option("--config", help="Write the suggested configuration here.")
    ] = None,
    quiet: Quiet = False,
    json_: AsJson = False,
) -> None:
    """The data doctor: what is in a file, what is wrong with it, and a configuration to start from."""
    names, said = pairs(keys, "--key"), pairs(units, "--unit")
    say(f"Python: {call('equipot.inspect', data, test=test, keys=names, units=said)}", quiet=quiet or json_)
    diagnosis = examine(data, test=test, keys=names, units=said, cutoff=cutoff)
    if json_:
        as_json(diagnosis.as_dict())
    elif not quiet:
        show(diagnosis)
    if config is not None:
        config.write_text(diagnosis.suggested_config, encoding="utf-8")
        say(f"Wrote {config}.", quiet=quiet or json_)
    if diagnosis.errors:
        raise Failed(2)


def show(diagnosis: Diagnosis) -> None:
    """Print a diagnosis; the configuration as it would stand in a file."""
    for part in render(diagnosis):
        out.print(part)
    say(f"\nA configuration to start from:\n\n{diagnosis.suggested_config}")
