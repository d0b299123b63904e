"""The data doctor: what is in a file, what is wrong with it, and a configuration to start from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from equipot.data import checks, structure_checks
from equipot.data.conditions import check_conditions, varying
from equipot.data.findings import Finding
from equipot.data.frame import Frame
from equipot.data.labels import CANDIDATES, NO_LABEL
from equipot.data.read import Frames, read
from equipot.data.summary import Summary, summarize
from equipot.potential.targets import NAMED

_TARGETS = ("energy", *NAMED)
_STYLE = {"error": "bold red", "warning": "yellow", "note": "cyan"}


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A data set in numbers, and what to know about it."""

    summary: Summary
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]  # conventions that were applied, and what was not read
    suggested_config: str  # YAML

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What must be answered before a training."""
        return tuple(f for f in self.findings if f.level == "error")

    def refuse(self) -> None:
        """Raise ValueError when there is an error, with its whole text."""
        if self.errors:
            raise ValueError(f"{self.summary.path}:\n" + "\n".join(f.text() for f in self.errors))

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for `--json`."""
        return {
            "summary": asdict(self.summary),
            "findings": [f.as_dict() for f in self.findings],
            "notes": list(self.notes),
            "suggested_config": self.suggested_config,
        }


def inspect(
    data: str | Path | Frames,
    *,
    test: str | Path | Frames | None = None,
    keys: Mapping[str, str | None] | None = None,
    units: Mapping[str, str] | None = None,
    isolated_atoms: str | Path | None = None,
    cutoff: float = 5.0,
) -> Diagnosis:
    """Examine a file, and a test file beside it. A file that cannot be read raises ValueError."""
    frames = data if isinstance(data, Frames) else read(data, keys, units)
    if not frames.structures:
        raise ValueError(f"{frames.path}: only isolated atoms, no structure to learn from.")
    isolated = read(isolated_atoms, keys, units, isolated=True).isolated if isolated_atoms else ()
    found = examine(frames, isolated, cutoff)
    if test is not None:
        other = test if isinstance(test, Frames) else read(test, keys, units)
        found += structure_checks.check_identical(frames.structures, other.structures)
    order = ("error", "warning", "note")
    findings = tuple(sorted(found, key=lambda f: (order.index(f.level), f.row)))
    return Diagnosis(
        summary=summarize(frames, cutoff),
        findings=findings,
        notes=frames.notes,
        suggested_config=_config(frames, findings, test, isolated_atoms, cutoff),
    )


def examine(frames: Frames, isolated: Sequence[Frame] = (), cutoff: float = 5.0) -> list[Finding]:
    """Every check of one file."""
    return [
        *checks.check_forces(frames),
        *checks.check_partial_labels(frames),
        *checks.check_zero_forces(frames),
        *checks.check_units(frames),
        *checks.check_reference_energies(frames, isolated),
        *check_conditions(frames),
        *structure_checks.check_identical(frames.structures),
        *structure_checks.check_overlaps(frames),
        *checks.check_force_outliers(frames),
        *checks.check_polarizability(frames),
        *structure_checks.check_cells(frames, cutoff),
    ]


def _config(
    frames: Frames,
    findings: Sequence[Finding],
    test: str | Path | Frames | None,
    isolated_atoms: str | Path | None,
    cutoff: float,
) -> str:
    """The configuration that says what was read, with the fixes of the findings in it."""
    data: dict[str, Any] = {"train": frames.path, "valid": "10%"}
    if test is None:
        data["test"] = "10%"
    else:
        data["test"] = test.path if isinstance(test, Frames) else str(test)
    if isolated_atoms is not None:
        data["isolated_atoms"] = str(isolated_atoms)
    used = {f.used_as: f for f in frames.found if f.used_as is not None}
    labels = [name for name in CANDIDATES if name in used and name not in NO_LABEL]
    data["keys"] = {name: used[name].name for name in labels}
    data["units"] = {name: used[name].unit for name in labels if used[name].unit}
    for finding in findings:
        for name, value in finding.settings.items():
            data[name] = {**data.get(name, {}), **value} if isinstance(value, Mapping) else value
    targets, comments = _targets(frames, (*frames.labels, *data["keys"]))
    model: dict[str, Any] = {"name": "painn", "cutoff": cutoff}
    structures = frames.structures
    conditions = [n for n in varying(structures) if all(getattr(f, n) is not None for f in structures)]
    if conditions:
        model["conditions"] = conditions
    sections = {
        "data": data,
        "model": model,
        "targets": targets,
        "train": {"preset": "standard", "seed": 1},
    }
    return "".join(comments) + "".join(f"{name}: {_flow(value)}\n" for name, value in sections.items())


def _targets(frames: Frames, carried: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """A target for every label, and what the user has to check."""
    comments: list[str] = []
    targets: dict[str, Any] = {n: {} for n in _TARGETS if n in carried}
    if "energy" in carried:
        targets["energy"] = {"forces": "forces" in carried, "stress": "stress" in carried}
    else:
        targets = {"energy": None, **targets}
    periodic = any(f.pbc.any() for f in frames.structures)
    if periodic and "dipole" in targets:
        targets["dipole"] = {"form": "atomic"}
    needs_charge = "charges" in targets or "born_charges" in targets or ("dipole" in targets and not periodic)
    if needs_charge and any(f.charge is None for f in frames.structures):
        targets["total_charge"] = 0
        comments = [
            "# The file does not give total charges: total_charge 0 says that all systems are neutral.\n"
        ]
    return targets, comments


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.strip()


def render(diagnosis: Diagnosis) -> list[RenderableType]:
    """The diagnosis for a terminal, to be printed part by part; the suggested configuration is text to paste."""
    parts: list[RenderableType] = [_facts(diagnosis.summary), _labels(diagnosis.summary)]
    parts += [Text(f"note: {note}", style="cyan") for note in diagnosis.notes]
    for f in diagnosis.findings:
        text = Text(f"{f.level} ", style=_STYLE[f.level])
        text.append(f.title, style="bold")
        text.append(f"\n  where     {f.where}\n  evidence  {f.evidence}", style="default")
        if f.fix:
            text.append(f"\n  fix       {f.fix}", style="green")
        parts.append(text)
    if not diagnosis.findings:
        parts.append(Text("nothing to complain about", style="green"))
    return parts


def _facts(s: Summary) -> Table:
    table = Table(title=s.path, title_justify="left", show_header=False, box=None)
    low, median, high = s.atoms
    closest = "none within the cutoff" if s.closest is None else f"{s.closest:.3f} Å ({s.closest_where})"
    facts = {
        "frames": f"{s.frames}" + (f" and isolated atoms {', '.join(s.isolated)}" if s.isolated else ""),
        "kind": ", ".join(f"{n} {kind}" for kind, n in s.periodicity.items()) + f" ({s.kind})",
        "elements": ", ".join(f"{symbol} {n}" for symbol, n in s.elements.items()),
        "atoms": f"{low}" if low == high else f"{low} to {high}, median {median:g}",
        "formulas": ", ".join(f"{formula} {n}" for formula, n in s.formulas.items()),
        "groups": ", ".join(f"{group} {n}" for group, n in s.groups.items()),
        "closest pair": closest,
        "neighbors": f"{s.mean_neighbors:.1f} within {s.cutoff:g} Å",
    }
    for name, value in facts.items():
        if value:
            table.add_row(name, value)
    return table


def _labels(s: Summary) -> Table:
    table = Table(title="labels: name in the file, unit in the file", title_justify="left", box=None)
    for column in ("label", "key", "unit", "frames", "lowest", "highest", "RMS"):
        left = column in ("label", "key", "unit")
        table.add_column(column, justify="left" if left else "right", no_wrap=column != "key")
    for x in s.labels:
        unit = f"{x.unit} (assumed)" if x.assumed else x.unit
        numbers = (f"{value:.4g}" for value in (x.low, x.high, x.rms))
        table.add_row(x.name, x.key, unit, f"{x.frames}/{s.frames}", *numbers)
    return table
