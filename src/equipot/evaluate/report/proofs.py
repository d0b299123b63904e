"""The proof sheet of the model file."""

from collections.abc import Sequence

from equipot.deploy.document import Proof
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Section, paragraph, table


def section(material: Material) -> Section:
    """The proofs of the model file."""
    return shown(material.document.proofs)


def shown(proofs: Sequence[Proof]) -> Section:
    """Every proof with what was measured and the limit."""
    if not proofs:
        words = "None yet: <code>equipot verify model.equipot</code> measures them and stores them in the model file."
        return Section("proofs", "Proofs", [paragraph(words)])
    rows = [
        (
            p.name,
            _number(p),
            f"{p.limit:.0e}" if p.limit else "0",
            "passed" if p.passed else "FAILED",
            p.detail,
        )
        for p in proofs
    ]
    passed = sum(p.passed for p in proofs)
    words = f"{passed} of {len(proofs)} passed. Errors are relative and measured in float64, unless said otherwise."
    columns = ("proof", "measured", "limit", "verdict", "how")
    return Section("proofs", "Proofs", [paragraph(words, "note"), table(columns, rows, words=(0, 3, 4))])


def _number(proof: Proof) -> str:
    return "not finite" if proof.value is None else f"{proof.value:.1e}" if proof.value else "0"
