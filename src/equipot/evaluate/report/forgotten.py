"""What fine-tuning changed on the data of the model that it started from."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from equipot.evaluate.readable import number, of_errors
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Section, facts, paragraph, table, text

_WORDS = (
    "Errors on the same frames before, of the model that training started from, and after. Relative energies: without"
    " the reference energies that suit these frames best, so that another level of theory does not hide the rest."
)


def section(material: Material) -> Section | None:
    """Errors before and after, on old and on new frames; None for a model that was trained from scratch."""
    ancestors = material.document.provenance.ancestors
    if not ancestors:
        return None
    drift = cast(Mapping[str, Mapping[str, Any]], material.document.metrics.get("drift") or {})
    names = [f"{a.name} (identity {a.identity[:16]}…)" for a in ancestors]
    parts = [facts({"started from": names[0], "which started from": ", ".join(names[1:])})]
    if "old" not in drift:
        words = (
            "What was forgotten is not known: the parent's file carries no frame of its data, and none was given"
            " (start.old.data=FILE)."
        )
        parts.append(paragraph(text(words)))
    for name, title in (("old", "On old frames"), ("new", "On new frames")):
        if name in drift:
            parts += [f"<h3>{title}</h3>", *_compared(drift[name])]
    return Section("forgotten", "What was forgotten", [*parts, paragraph(text(_WORDS), "note")])


def _compared(found: Mapping[str, Any]) -> list[str]:
    words, rows = f"{found['frames']} frames: {found['what']}.", found["rows"].items()
    if not found["labelled"]:
        words += " Without labels of theirs, this is how far apart the two models are."
        columns = ("target", "mean absolute difference", "RMS difference", "unit", "numbers")
        return [paragraph(text(words)), table(columns, (_difference(n, r) for n, r in rows), words=(0, 3))]
    columns = (
        "target",
        "MAE before",
        "MAE after",
        "RMSE before",
        "RMSE after",
        "unit",
        "after / before",
        "labels",
    )
    return [paragraph(text(words)), table(columns, (_change(n, r) for n, r in rows), words=(0, 5))]


def _difference(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, *_errors(row, ("after",)), of_errors(str(row["unit"])).unit, f"{row['count']:,}")


def _change(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    before, after = row["before"], row["after"]
    known = before and after and before["mae"] > 0
    ratio = number(after["mae"] / before["mae"], 2) if known else ""
    values = _errors(row, ("before", "after"))
    return (name, *values, of_errors(str(row["unit"])).unit, ratio, f"{row['count']:,}")


def _errors(row: Mapping[str, Any], models: Sequence[str]) -> list[str]:
    """MAE of each model, then RMSE of each; none for a model without the target."""
    factor = of_errors(str(row["unit"])).factor
    return [
        number(row[m][measure] * factor) if row[m] else "none" for measure in ("mae", "rmse") for m in models
    ]
