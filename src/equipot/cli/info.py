"""`equipot info`."""

from typing import Any

from ase.data import chemical_symbols

from equipot.cli.options import AsJson, ModelFile
from equipot.cli.screen import as_json, errors_table, out, say
from equipot.cli.verify import proof_table
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
        "reference energies": f"{statistics.reference_source}",
        "made": f"{document.provenance.created} with equipot {document.provenance.versions.get('equipot', '?')}"
        if document.provenance
        else "unknown",
        "licence": document.licence,
    }
    for name, value in rows.items():
        say(f"{name:20}{value}")
    for part in ("valid", "test"):
        errors: Any = document.metrics.get(part)
        if errors:
            out.print(errors_table(f"\n{part}", errors))
    if document.proofs:
        out.print(proof_table(document.proofs))
    out.print(f"\n{document.citation}", markup=False)
