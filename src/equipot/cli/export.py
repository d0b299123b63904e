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
    python_free: Annotated[
        bool, typer.Option("--python-free", help="Compile the model for lmp itself (minutes).")
    ] = False,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Where to write.")] = Path("lammps"),
    quiet: Quiet = False,
) -> None:
    """What an engine needs beside the model file: inputs to start from, structures in its form."""
    say(
        f"Python: {call('equipot.export', model, to, start, out=folder, python_free=python_free or None)}",
        quiet=quiet,
    )
    files = api.export(model, to, start, folder, python_free)
    program = "lmp" if python_free else "python -m equipot.engines.lammps"
    say(f"wrote   {', '.join(map(str, files))}", quiet=quiet)
    say(f"next    cd {folder} && mpirun -n 2 {program} -in in.lammps", quiet=quiet)
