"""`equipot verify`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from equipot import api
from equipot.cli.options import AsJson, ModelFile, Quiet
from equipot.cli.screen import Failed, as_json, call, hint, out, say
from equipot.deploy.document import Proof
from equipot.engines.agreement import missing


def verify(
    model: ModelFile,
    frames: Annotated[
        Path | None, typer.Argument(help="Structures to prove it on; none: the model's own.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One structure and a short dynamics.")] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            help="Also prove that these engines compute the same: names with commas, or all installed."
        ),
    ] = None,
    store: Annotated[bool, typer.Option(help="Write the proof sheet into the model file.")] = True,
    quiet: Quiet = False,
    json_: AsJson = False,
) -> None:
    """Prove a model: symmetries, derivatives, smoothness, extensivity, conservation. Exit code 3 when a proof fails."""
    given = [] if frames is None else [f"equipot.read({str(frames)!r}).structures[:3]"]
    given += [] if engine is None else [f"engines={engine!r}"]
    say(f"Python: {call('equipot.load', model)}.verify({', '.join(given)})", quiet=quiet or json_)
    loaded = api.load(model)
    structures = None if frames is None else api.read(frames, **loaded.reading(frames)).structures[:3]
    unproved = list(missing()) if engine == "all" else []
    proofs = loaded.verify(structures, quick=quick, store=store, engines=engine or (), say=unproved.append)
    if json_:
        as_json([p.model_dump() for p in proofs])
    elif not quiet:
        out.print(proof_table(proofs))
        if store:
            say(f"The sheet is stored in {model}.")
    for line in unproved:
        hint(line)
    if not all(p.passed for p in proofs):
        raise Failed(3)


def proof_table(proofs: tuple[Proof, ...]) -> Table:
    """One line per proof."""
    table = Table(title="proof sheet", title_justify="left", box=None, pad_edge=False, padding=(0, 2))
    for column in ("", "proof", "found", "limit", ""):
        table.add_column(column, justify="right" if column in ("found", "limit") else "left")
    for p in proofs:
        mark = "[green]passed[/green]" if p.passed else "[bold red]FAILED[/bold red]"
        table.add_row(mark, p.name, f"{p.value:.1e}", f"{p.limit:.0e}", p.detail)
    return table
