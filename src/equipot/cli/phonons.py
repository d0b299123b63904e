"""`equipot phonons`."""

from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from equipot import api
from equipot.cli.options import AsJson, ModelFile, Quiet
from equipot.cli.screen import as_json, call, complain, out, progress, say
from equipot.spectra.phonons.files import header
from equipot.spectra.phonons.result import Thermal

SHOWN = (0.0, 100.0, 200.0, 300.0, 500.0, 1000.0)  # K, of the table on the screen


def phonons(
    model: ModelFile,
    start: Annotated[Path, typer.Argument(help="A crystal: any file that ASE reads; its last frame.")],
    supercell: Annotated[
        tuple[int, int, int], typer.Option(help="How often the cell is repeated along its vectors.")
    ] = (2, 2, 2),
    relax: Annotated[bool, typer.Option(help="Go to the minimum first, its symmetry kept.")] = True,
    cell: Annotated[bool, typer.Option(help="There with the cell; without: atoms only.")] = True,
    path: Annotated[
        str, typer.Option(help="Special points of the bands, as GXWK,LG; auto: the customary ones.")
    ] = "auto",
    mesh: Annotated[
        tuple[int, int, int] | None, typer.Option(help="Points of the primitive cell; default: 60 Å of them.")
    ] = None,
    displacement: Annotated[float, typer.Option(help="Å.")] = 0.01,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("phonons"),
    quiet: Quiet = False,
    json_: AsJson = False,
) -> None:
    """Phonons of a crystal through phonopy: bands, density of states, free energy, entropy, heat capacity.

    Needs equipot[phonons]. Imaginary modes are reported, drawn below zero, and left out of the thermal properties.
    """
    silent = quiet or json_
    options: dict[str, Any] = {
        "supercell": supercell, "relax": relax, "cell": cell, "path": path, "mesh": mesh, "displacement": displacement,
    }  # fmt: skip
    defaults = signature(api.phonons).parameters
    changed = {n: v for n, v in options.items() if v != defaults[n].default}
    say(f"Python: {call('equipot.phonons', model, start, **changed)}.write({str(folder)!r})", quiet=silent)
    with progress("displacements", quiet=silent) as observe:
        found = api.phonons(
            model, start, **options, observe=observe, say=lambda text: say(text, quiet=silent)
        )
    written = found.write(folder)
    if json_:
        as_json({"files": [str(p) for p in written], "header": header(found)})
    elif not quiet:
        out.print(_table(found.formula, found.thermal))
        for file in written:
            say(str(file))
    for warning in found.warnings():
        complain(warning)


def _table(formula: str, thermal: Thermal) -> Table:
    table = Table(
        title=f"\nper mole of {formula}", title_justify="left", box=None, pad_edge=False, padding=(0, 2)
    )
    for column in ("K", "free energy kJ/mol", "entropy J/K/mol", "heat capacity J/K/mol"):
        table.add_column(column, justify="right")
    for k in np.flatnonzero(np.isin(thermal.temperature, SHOWN)):
        values = (thermal.free_energy[k], thermal.entropy[k], thermal.heat_capacity[k])
        table.add_row(f"{thermal.temperature[k]:.0f}", *(f"{value:.3f}" for value in values))
    return table
