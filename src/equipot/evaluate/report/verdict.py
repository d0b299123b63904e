"""Whether a model can be trusted, in one line, with the numbers that say so.

Every check is a number and two limits. Below the first it is green, above the second red, between them amber. The
worst numbers are those that are largest in units of their first limit.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from equipot.deploy.document import Proof
from equipot.evaluate.readable import number, of_errors
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Section, folded, paragraph, text
from equipot.evaluate.report.relative import relative_error

Level = Literal["green", "amber", "red"]

SPREAD = (0.1, 0.3)  # RMS error over the standard deviation of the labels: R² of 0.99 and 0.91
GENERALIZATION = (1.5, 3.0)  # test error over validation error
DRIFT = (1e-4, 1e-2)  # eV/atom/ps; the second heats by 100 K within a picosecond
TEMPERATURE = (0.1, 0.3)  # of the temperature asked for
RULES = (
    "Green: every proof passed; the RMS error of every target is below 10 % of the spread (standard deviation) of its"
    " labels, energies counted from the reference energies of the atoms; errors on the test set are below 1.5 times"
    " those on the validation set; in dynamics the energy drifts by less than 0.1 meV/atom/ps, and the temperature is"
    " within 10 % of what was asked for. Red: a proof failed, an error is above 30 % of the spread or three times that"
    " of the validation set, dynamics did not finish, its energy drifts by more than 10 meV/atom/ps or its temperature"
    " is off by 30 %. Amber: anything between, and what is not known."
)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    value: float | None  # None: not measured
    limits: tuple[float, float]
    shown: str = ""  # the number as it is read
    beside: str = ""  # what it is compared with
    words: str  # what it says, as a sentence without its stop

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
    found = [*_errors(material), *_generalization(material), *of_proofs(material.document.proofs)]
    return ordered([*found, *_dynamics(material)])


def ordered(found: Iterable[Check]) -> list[Check]:
    """The worst first."""
    return sorted(found, key=lambda c: (-("green", "amber", "red").index(c.level), -c.severity))


def overall(found: Sequence[Check]) -> Level:
    """The worst color of all."""
    levels = {c.level for c in found}
    return next((c for c in ("red", "amber", "green") if c in levels), "amber")  # type: ignore[return-value]


def section(material: Material) -> Section:
    """The top of the page."""
    notes = "".join(paragraph(text(n), "note") for n in material.notes)
    rules = folded("The rules", paragraph(text(RULES)))
    return Section("verdict", _title(material), [*banner(checks(material), "model"), notes, rules])


def banner(found: Sequence[Check], what: str) -> list[str]:
    """The color of all checks, what is not good first, and the three worst numbers."""
    level = overall(found)
    heading = {
        "green": "Green: what was measured is in order.",
        "amber": "Amber: usable with care.",
        "red": f"Red: do not rely on this {what} yet.",
    }[level]
    lines = [paragraph(f"<strong>{heading}</strong>"), *_words(found)]
    return [f'<div class="verdict {level}">{"".join(lines)}</div>', _worst(found)]


def _words(found: Sequence[Check]) -> list[str]:
    """What is not good first."""
    labels: tuple[tuple[str, Level], ...] = (("Not good", "red"), ("Look at", "amber"), ("Good", "green"))
    out = []
    for label, level in labels:
        words = "; ".join(c.words for c in found if c.level == level)
        out += [paragraph(f"<b>{label}:</b> {text(words)}.")] if words else []
    return out


def _worst(found: Sequence[Check]) -> str:
    """The three worst numbers."""
    measured = sorted((c for c in found if c.value is not None), key=lambda c: -c.severity)
    cards = (
        f'<div class="{c.level}"><span>{text(c.name)}</span><b>{text(c.shown)}</b><span>{text(c.beside)}</span></div>'
        for c in measured[:3]
    )
    return f'<div class="worst">{"".join(cards)}</div>'


def _title(material: Material) -> str:
    targets = ", ".join(n for n in material.potential.config.targets.names() if n != "stress")
    name = {"painn": "PaiNN", "schnet": "SchNet"}.get(material.document.potential.model.name)
    files = ", ".join(f.name for f in material.document.provenance.data) or material.folder.name
    return f"{name or material.document.potential.model.name} on {files}: {targets}"


def _errors(material: Material) -> Iterator[Check]:
    if material.part is None:
        words = "errors are not known: no labels to compare with"
        yield Check(name="errors", value=None, limits=SPREAD, words=words)
    if material.part == "valid":
        words = "there is no test set, and the validation set was used to choose the weights"
        yield Check(name="test set", value=None, limits=SPREAD, words=words)
    for name, comparison in material.judged.items():
        relative, readable = relative_error(comparison), of_errors(comparison.unit)
        rmse = f"{number(comparison.errors.rmse * readable.factor)} {readable.unit}"
        share = "labels all alike" if relative is None else f"{number(100 * relative, 2)} % of the spread"
        yield Check(
            name=f"RMS error of {name}, {material.part} set",
            value=relative,
            limits=SPREAD,
            shown=rmse,
            beside=share,
            words=f"{name}: RMS error {rmse} ({share})",
        )


def _generalization(material: Material) -> Iterator[Check]:
    valid, test = (material.evaluations.get(p, {}) for p in ("valid", "test"))
    both = [n for n in test if n in valid and valid[n].errors.rmse > 0]
    if not both:
        return
    ratios = {n: test[n].errors.rmse / valid[n].errors.rmse for n in both}
    name = max(ratios, key=lambda n: ratios[n])
    yield Check(
        name="test over validation error",
        value=ratios[name],
        limits=GENERALIZATION,
        shown=f"{ratios[name]:.2f}",
        beside=f"largest for {name}",
        words=f"test errors are at most {ratios[name]:.2f} times the validation errors",
    )


def of_proofs(proofs: Sequence[Proof]) -> Iterator[Check]:
    """Those that failed; when none did, the closest to its limit."""
    if not proofs:
        words = "no proofs yet (equipot verify makes them)"
        yield Check(name="proofs", value=None, limits=(0.0, 0.0), words=words)
        return
    for p in (p for p in proofs if not p.passed):
        value = math.inf if p.value is None else p.value
        yield Check(
            name=f"proof of {p.name}",
            value=math.inf,
            limits=(p.limit, p.limit),
            shown=f"{value:.1e}",
            beside=f"limit {p.limit:.0e}",
            words=f"the proof of {p.name} failed",
        )
    if all(p.passed for p in proofs):
        closest = max(proofs, key=_used)
        yield Check(
            name="proofs",
            value=_used(closest),
            limits=(1.0, 1.0),
            shown=f"{100 * _used(closest):.2g} % of a limit",
            beside=f"the closest, {closest.name}",
            words=f"all {len(proofs)} proofs passed",
        )


def _used(proof: Proof) -> float:
    """How much of the limit a passed proof takes."""
    return (proof.value or 0.0) / proof.limit if proof.limit else 0.0


def _dynamics(material: Material) -> Iterator[Check]:
    if material.thermodynamics is not None:
        yield from of_dynamics(material.thermodynamics)


def of_dynamics(found: Mapping[str, Any]) -> Iterator[Check]:
    """What a run says of itself in md.json: its end, its temperature, and the energy where it should be conserved."""
    measured = found.get("conservation") or {}
    if found.get("status") != "finished":
        words = f"dynamics did not finish: its state is {found.get('status')!r}"
        yield Check(name="dynamics", value=math.inf, limits=DRIFT, shown="not finished", words=words)
    if "drift" in measured and not found.get("ring"):  # thermostats of ring polymers do work of their own
        shown = f"{number(1000 * abs(measured['drift']), 2)} meV/atom/ps"
        yield Check(
            name="energy drift in dynamics",
            value=abs(measured["drift"]),
            limits=DRIFT,
            shown=shown,
            words=f"energy in dynamics drifts by {shown}",
        )
    if "temperature" in measured:
        wanted, mean = found["temperature"], measured["temperature"]
        yield Check(
            name="temperature in dynamics",
            value=abs(mean - wanted) / wanted,
            limits=TEMPERATURE,
            shown=f"{mean:.0f} K",
            beside=f"{wanted:g} K asked for",
            words=f"mean temperature in dynamics {mean:.0f} K, {wanted:g} K asked for",
        )
