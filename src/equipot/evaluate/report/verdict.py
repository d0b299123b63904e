"""Whether a model can be trusted, in one line, with the numbers that say so.

Every check is a number and two limits. Below the first it is green, above the second red, between them amber. The
worst numbers are those that are largest in units of their first limit.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from equipot.evaluate.metrics import Comparison
from equipot.evaluate.readable import of_errors
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Section, paragraph, text

Level = Literal["green", "amber", "red"]

SPREAD = (0.1, 0.3)  # RMS error over the standard deviation of the labels: R² of 0.99 and 0.91
GENERALIZATION = (1.5, 3.0)  # test error over validation error
DRIFT = (1e-4, 1e-2)  # eV/atom/ps; the second heats by 100 K within a picosecond
RULES = (
    "Green: every proof passed, the RMS error of every target is below 10 % of the spread (standard deviation) of its "
    "labels, errors on the test set are below 1.5 times those on the validation set, and the energy in dynamics drifts "
    "by less than 0.1 meV/atom/ps. Red: a proof failed, an error is above 30 % of the spread or three times that of the "
    "validation set, or the energy drifts by more than 10 meV/atom/ps. Amber: anything between, or not known."
)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    value: float | None  # None: not measured
    limits: tuple[float, float]
    shown: str  # the number as it is read
    words: str  # what it says

    @property
    def level(self) -> Level:
        """The color; what was not measured is amber."""
        if self.value is None:
            return "amber"
        if not math.isfinite(self.value) or self.value > self.limits[1]:
            return "red"
        return "green" if self.value <= self.limits[0] else "amber"

    @property
    def severity(self) -> float:
        """The number in units of its first limit; infinite where it is not a number."""
        if self.value is None:
            return -1.0
        if self.limits[0] == 0:
            return math.inf if self.value > 0 else 0.0
        ratio = self.value / self.limits[0]
        return math.inf if math.isnan(ratio) else ratio


def checks(material: Material) -> list[Check]:
    """Everything that is judged, the worst first."""
    found = [*_errors(material), *_generalization(material), *_proofs(material), *_dynamics(material)]
    return sorted(found, key=lambda c: (-("green", "amber", "red").index(c.level), -c.severity))


def overall(found: Sequence[Check]) -> Level:
    """The worst color of all."""
    levels = {c.level for c in found}
    return next((c for c in ("red", "amber", "green") if c in levels), "amber")  # type: ignore[return-value]


def section(material: Material) -> Section:
    """The top of the page."""
    found = checks(material)
    level = overall(found)
    heading = {
        "green": "Green: what was measured is in order.",
        "amber": "Amber: usable with care.",
        "red": "Red: do not rely on this model yet.",
    }[level]
    lines = [f"<strong>{heading}</strong>"]
    for label, levels in (("Not good", ("red",)), ("Look at", ("amber",)), ("Good", ("green",))):
        words = [c.words for c in found if c.level in levels]
        if words:
            lines.append(f"<b>{label}:</b> {text('; '.join(words))}.")
    worst = "".join(
        f'<div class="{c.level}"><span>{text(c.name)}</span><b>{text(c.shown)}</b></div>'
        for c in sorted(found, key=lambda c: -c.severity)[:3]
        if c.value is not None
    )
    notes = "".join(paragraph(text(n), "note") for n in material.notes)
    verdict = f'<div class="verdict {level}">{"".join(map(paragraph, lines))}</div>'
    rules = f"<details><summary>The rules</summary>{paragraph(text(RULES))}</details>"
    return Section("verdict", _title(material), [verdict, f'<div class="worst">{worst}</div>', notes, rules])


def spread(comparison: Comparison) -> float:
    """Standard deviation of the labels about the mean of each component, what a constant would be wrong by."""
    return float(np.sqrt(((comparison.label - comparison.label.mean(0)) ** 2).mean()))


def relative_error(comparison: Comparison) -> float | None:
    """RMS error over spread; None where the labels do not differ."""
    wide = spread(comparison)
    return comparison.errors.rmse / wide if wide > 0 else None


def _title(material: Material) -> str:
    targets = ", ".join(n for n in material.potential.config.targets.names() if n != "stress")
    name = {"painn": "PaiNN", "schnet": "SchNet"}.get(material.document.potential.model.name)
    files = ", ".join(f.name for f in material.document.provenance.data) or material.folder.name
    return f"{name or material.document.potential.model.name} on {files}: {targets}"


def _errors(material: Material) -> Iterator[Check]:
    if material.part is None:
        yield Check(
            name="errors",
            value=None,
            limits=SPREAD,
            shown="",
            words="errors are not known: no labels to compare with",
        )
    if material.part == "valid":
        words = "there is no test set, and the validation set was used to choose the weights"
        yield Check(name="test set", value=None, limits=SPREAD, shown="", words=words)
    for name, comparison in material.judged.items():
        relative, readable = relative_error(comparison), of_errors(comparison.unit)
        rmse = f"{comparison.errors.rmse * readable.factor:.3g} {readable.unit}"
        share = "" if relative is None else f", {100 * relative:.2g} % of the spread"
        yield Check(
            name=f"{name}, RMS error ({material.part})",
            value=relative,
            limits=SPREAD,
            shown=rmse + share,
            words=f"{name} within {rmse}" + (share or ", all labels alike"),
        )


def _generalization(material: Material) -> Iterator[Check]:
    valid, test = (material.evaluations.get(p, {}) for p in ("valid", "test"))
    ratios = {
        n: test[n].errors.rmse / valid[n].errors.rmse for n in test if n in valid and valid[n].errors.rmse > 0
    }
    if not ratios:
        return
    name = max(ratios, key=lambda n: ratios[n])
    yield Check(
        name="test over validation error",
        value=ratios[name],
        limits=GENERALIZATION,
        shown=f"{ratios[name]:.2f} ({name})",
        words=f"test errors are at most {ratios[name]:.2f} times the validation errors ({name})",
    )


def _proofs(material: Material) -> Iterator[Check]:
    proofs = material.document.proofs
    if not proofs:
        words = "no proofs yet (equipot verify makes them)"
        yield Check(name="proofs", value=None, limits=(0, 0), shown="", words=words)
        return
    failed = [p for p in proofs if not p.passed]
    for p in failed:
        value = math.inf if p.value is None else p.value
        yield Check(
            name=f"proof of {p.name}",
            value=value,
            limits=(p.limit, p.limit),
            shown=f"{value:.1e}, limit {p.limit:.0e}",
            words=f"the proof of {p.name} failed",
        )
    if not failed:
        ratio = max((p.value or 0.0) / p.limit for p in proofs if p.limit > 0)
        words = f"all {len(proofs)} proofs passed"
        yield Check(name="proofs", value=ratio, limits=(1, 1), shown=f"{ratio:.2g} of the limit", words=words)


def _dynamics(material: Material) -> Iterator[Check]:
    if material.dynamics is None:
        return
    found = json.loads((material.dynamics / "md.json").read_text(encoding="utf-8"))
    if found.get("status") != "finished":
        words = f"dynamics did not finish ({found.get('status')})"
        yield Check(
            name="dynamics", value=math.inf, limits=DRIFT, shown=str(found.get("status")), words=words
        )
    drift = (found.get("conservation") or {}).get("drift")
    if drift is not None:
        shown = f"{1000 * abs(drift):.2g} meV/atom/ps"
        yield Check(
            name="energy drift in dynamics",
            value=abs(drift),
            limits=DRIFT,
            shown=shown,
            words=f"energy in dynamics drifts by {shown}",
        )
