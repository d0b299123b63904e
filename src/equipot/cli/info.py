"""`equipot info`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from ase.data import chemical_symbols

from equipot.cli.options import AsJson
from equipot.cli.screen import as_json, complain, errors_table, out, say, show_drift
from equipot.cli.verify import proof_table
from equipot.data import conditions
from equipot.data.references import in_words
from equipot.deploy.model_file import read_document
from equipot.engines.contents import contents


def info(
    file: Annotated[Path, typer.Argument(help="A model file, NAME.equipot, or the folder of a run.")],
    atoms: Annotated[
        int | None, typer.Option(min=1, help="Measure, and say what so many atoms will cost on this machine.")
    ] = None,
    neighbors: Annotated[
        float | None, typer.Option(help="Of an atom, for --atoms; by default as in the training set.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """What a model file says of itself: architecture, elements, targets, data, errors, proofs, citation.

    Of the folder of `equipot md`: how far it is, and how many frames are there. With --atoms, also the time and the
    memory of energies and forces of a system of that size, before you run it.
    """
    if (file / "md.json").exists():
        _run(file, json_)
        return
    document = read_document(file)
    if atoms is not None:
        _cost(file, atoms, neighbors, json_)
        return
    if json_:
        as_json(document.model_dump(mode="json"))
        return
    potential, statistics = document.potential, document.statistics
    rows: dict[str, Any] = {
        "file": file,
        "architecture": f"{potential.model.name}, cutoff {potential.model.cutoff:g} Å, {document.precision}",
        "elements": ", ".join(chemical_symbols[z] for z in statistics.elements),
        "targets": ", ".join(potential.targets.names()),
        "conditions": conditions.in_words(potential.model.conditions, statistics),
        "reference energies": in_words(statistics),
        "fixed terms": ", ".join(potential.terms.names()),
        "started from": ", ".join(f"{a.name} ({a.identity[:12]}…)" for a in document.provenance.ancestors),
        "made": f"{document.provenance.created} with equipot {document.provenance.versions.get('equipot', '?')}"
        if document.provenance
        else "unknown",
        "licence": document.licence,
    }
    for name, value in ((n, v) for n, v in rows.items() if v):
        say(f"{name:20}{value}")
    for part in ("valid", "test"):
        errors: Any = document.metrics.get(part)
        if errors:
            out.print(errors_table(f"\n{part}", errors))
    drift: Any = document.metrics.get("drift")
    if drift:
        show_drift(drift)
    if document.proofs:
        out.print(proof_table(document.proofs))
    out.print(f"\n{document.citation}", markup=False)


def _run(folder: Path, json_: bool) -> None:
    from equipot.evaluate.free_memory import in_words

    found = contents(folder)
    header = found.header
    rows: dict[str, Any] = {
        "run": folder,
        "status": header["status"],
        "engine": header["engine"],
        "dynamics": f"{header['ensemble']}, {header['temperature']:g} K, steps of {header['dt']:g} fs",
        "restart": f"after step {found.done} of {found.total}",
        "trajectory": f"{found.frames} frames of {header['replicas']} replica{'s' * (header['replicas'] > 1)},"
        f" {found.time:g} ps, {in_words(float(found.size))}",
        "recorded": ", ".join(header["recorded"]),
    }
    if json_:
        as_json({**{n: str(v) for n, v in rows.items()}, "frames": found.frames, "torn": found.torn})
        return
    for name, value in rows.items():
        say(f"{name:20}{value}")
    if found.torn:
        say(
            "The last frame is not whole: the run is writing it, or was killed there. The same equipot md goes on."
        )


def _cost(file: Path, atoms: int, neighbors: float | None, json_: bool) -> None:
    import torch

    from equipot.api import load
    from equipot.evaluate.cost import forecast
    from equipot.evaluate.free_memory import free_bytes, in_words

    found = forecast(load(file).potential, atoms, neighbors)
    if json_:
        as_json(asdict(found))
        return
    say(f"{'atoms':20}{found.atoms:,}, {found.neighbors:.0f} neighbors each")
    say(
        f"{'energy and forces':20}{_duration(found.seconds)}, {1e6 * found.seconds / found.atoms:.0f} µs an atom"
    )
    say(f"{'steps in a day':20}{86400 / found.seconds:,.0f}")
    say(f"{'memory':20}{in_words(found.bytes)} of tensors, and what Python and PyTorch take")
    there = free_bytes(torch.device("cpu"))
    if there is not None and found.bytes > there:
        complain(f"this machine has {in_words(there)} free: take fewer atoms, or a smaller model.")
    sizes = " and ".join(f"{n:,}" for n, _, _ in found.measured)
    say(f"\nA line through what {sizes} atoms took on this machine, with {_threads()}.")


def _duration(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _threads() -> str:
    """In words."""
    import torch

    n = torch.get_num_threads()
    return f"{n} thread" + "s" * (n > 1)
