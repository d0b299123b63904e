"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Plain JSON on standard output.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder to write to.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Settings as key=value, for example model.name=painn train.epochs=100."),
]
ModelFile = Annotated[Path, typer.Argument(help="A model file, NAME.equipot.")]
