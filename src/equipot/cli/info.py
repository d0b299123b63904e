"""`equipot info`."""

from typing import Any

from ase.data import chemical_symbols

from equipot.cli.options import AsJson, ModelFile
from equipot.cli.screen import as_json, errors_table, out, say, show_drift
from equipot.cli.verify import proof_table
from equipot.data import conditions
from equipot.data.references import in_words
from equipot.deploy.model_file import read_document


def info(file: ModelFile, json_: AsJson = False) -> None:
    """What a model file says of itself: architecture, elements, targets, data, errors, proofs, citation."""
    document = read_document(file)
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
