"""The report of a simulation: how the dynamics went, its spectra, and what was proven of the model behind it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ase.formula import Formula

from equipot.deploy.atomic import write_atomically
from equipot.deploy.document import Proof
from equipot.evaluate.report import dynamics, proofs, spectra
from equipot.evaluate.report.material import SpectraLike
from equipot.evaluate.report.page import Section, code, facts, folded, page, paragraph, text
from equipot.evaluate.report.verdict import Check, banner, of_dynamics, of_proofs, ordered

RULES = (
    "Green: the run finished, its energy drifts by less than 0.1 meV/atom/ps, its mean temperature is within 10 % of"
    " what was asked for, and every proof of the model passed. Red: it did not finish, the energy drifts by more than"
    " 10 meV/atom/ps, the temperature is off by 30 %, or a proof failed. Amber: anything between. The energy of ring"
    " polymers is not judged: thermostats act on them all the time."
)


def write_simulation_report(
    run: Path, found: SpectraLike, out: Path, made_by: str = "", proven: Sequence[Proof] | None = None
) -> Path:
    """Write one HTML file about a dynamics run and its spectra.

    Args:
        run: folder of the dynamics, with md.json.
        found: spectra of it.
        out: the file to write.
        made_by: the call that makes the spectra again.
        proven: the proofs of the model that moved the atoms; None where its file was not given.
    """
    run = Path(run)
    document = json.loads((run / "md.json").read_text(encoding="utf-8"))
    sections = [_top(run, document, found, proven), spectra.shown(found), dynamics.shown(run, document)]
    if proven is not None:
        sections.append(proofs.shown(proven))
    if made_by:
        sections.append(Section("again", "To make it again", [code(made_by)]))
    write_atomically(out, page(sections[0].title, sections).encode())
    return out


def _top(
    run: Path, document: Mapping[str, Any], found: SpectraLike, proven: Sequence[Proof] | None
) -> Section:
    formula = Formula.from_list(document["elements"]).format("hill")
    kinds = ", ".join({"ir": "infrared", "raman": "Raman"}.get(kind, kind) for kind in found.kinds)
    rows = {
        "atoms": len(document["elements"]),
        "run": run.resolve().name,
        "moved by": document["engine"],
        "model": f"{found.header.model[:16]}… (hash of its weights and settings)"
        if found.header.model
        else "",
    }
    judged = banner(ordered(_checks(document, proven)), "run")
    rules = folded("The rules", paragraph(text(RULES)))
    return Section(
        "verdict",
        f"{formula} at {document['temperature']:g} K: {kinds} spectra",
        [*judged, facts(rows), rules],
    )


def _checks(document: Mapping[str, Any], proven: Sequence[Proof] | None) -> Iterator[Check]:
    yield from of_dynamics(document)
    if proven is not None:
        yield from of_proofs(proven)
