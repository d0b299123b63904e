"""`equipot export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from equipot import api
from equipot.cli.options import ModelFile, Quiet
from equipot.cli.screen import call, say


def export(
    model: ModelFile,
    to: Annotated[Literal["lammps"], typer.Option(help="The engine that shall run it.")] = "lammps",
    start: Annotated[
        Path | None, typer.Option(help="A structure to start from: any file that ASE reads; its last frame.")
    ] = None,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Where to write.")] = Path("lammps"),
    quiet: Quiet = False,
) -> None:
    """What an engine needs beside the model file: inputs to start from, structures in its form."""
    say(f"Python: {call('equipot.export', model, to, start, out=folder)}", quiet=quiet)
    files = api.export(model, to, start, folder)
    say(f"wrote   {', '.join(map(str, files))}", quiet=quiet)
    say(f"next    cd {folder} && mpirun -n 2 python -m equipot.engines.lammps -in in.lammps", quiet=quiet)
