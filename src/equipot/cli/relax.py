"""`equipot relax`."""

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer
from ase import Atoms
from ase.io import write

from equipot import api
from equipot.cli.options import AsJson, ModelFile, Quiet
from equipot.cli.screen import Failed, as_json, call, complain, say
from equipot.engines.relax import NotRelaxed, Relaxation


def relax(
    model: ModelFile,
    start: Annotated[Path, typer.Argument(help="Structures: any file that ASE reads; its last frame.")],
    every: Annotated[bool, typer.Option("--all", help="All frames, one after another.")] = False,
    cell: Annotated[bool, typer.Option("--cell", help="The cell too, at zero pressure.")] = False,
    fmax: Annotated[float, typer.Option(help="Largest force left, eV/Å.")] = 0.01,
    steps: Annotated[int, typer.Option(min=1, help="Of the optimizer, at most.")] = 1000,
    optimizer: Annotated[
        str, typer.Option(help="bfgs; lbfgs for thousands of atoms; fire where these fail.")
    ] = "bfgs",
    file: Annotated[Path, typer.Option("--out", "-o", help="Extended XYZ to write.")] = Path(
        "relaxed.extxyz"
    ),
    quiet: Quiet = False,
    json_: AsJson = False,
) -> None:
    """Relax structures to the nearest minimum with ASE, in float64. Constraints of the file are kept.

    What does not converge is written to NAME-unfinished.extxyz, and the exit code is 2.
    """
    options: dict[str, Any] = {"fmax": fmax, "steps": steps, "cell": cell, "optimizer": optimizer}
    defaults = signature(api.Model.relax).parameters
    chosen = {n: v for n, v in options.items() if v != defaults[n].default}
    say(f"Python: {call('equipot.relax', model, start, **chosen)}.atoms", quiet=quiet or json_)
    loaded = api.load(model)
    starts = loaded.structures(start)
    starts = starts if every else starts[-1:]
    done: list[Relaxation] = []
    for k, atoms in enumerate(starts):
        done.append(_relaxed(loaded, atoms, options))
        say(f"{atoms.symbols}: {done[k].words()}", quiet=quiet or json_)
    good, bad = [r for r in done if r.converged], [r for r in done if not r.converged]
    rest = file.with_name(f"{file.stem}-unfinished.extxyz")
    for path, relaxations in ((file, good), (rest, bad)):
        if relaxations:
            _write(path, [r.atoms for r in relaxations])
            say(str(path), quiet=quiet or json_)
    if json_:
        as_json(
            {
                "files": [str(p) for p, rs in ((file, good), (rest, bad)) if rs],
                "structures": [_row(r) for r in done],
            }
        )
    if bad:
        complain(
            f"{len(bad)} of {len(done)} structures are not relaxed; the worst force left is"
            f" {max(r.force for r in bad):.2g} eV/Å, expected below {fmax:g}. Their last structures are in"
            f" {rest}: go on from there with more --steps, or look at what is wrong with them."
        )
        raise Failed(2)


def _relaxed(model: api.Model, atoms: Atoms, options: dict[str, Any]) -> Relaxation:
    try:
        return model.relax(atoms, **options)
    except NotRelaxed as error:
        return error.relaxation


def _write(path: Path, frames: Sequence[Atoms]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, frames, format="extxyz")


def _row(found: Relaxation) -> dict[str, Any]:
    return {
        "formula": found.atoms.get_chemical_formula(), "converged": found.converged, "steps": found.steps,
        "energy_before_eV": found.energies[0], "energy_after_eV": found.energies[1], "force_eV/Å": found.force,
        "stress_eV/Å^3": found.stress, "volume_before_Å^3": found.volumes[0], "volume_after_Å^3": found.volumes[1],
    }  # fmt: skip
