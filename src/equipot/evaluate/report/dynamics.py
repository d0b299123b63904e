"""Molecular dynamics with the model: temperature, and what should be conserved."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from plotly.subplots import make_subplots

from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Drawing, Section, drawings, facts
from equipot.evaluate.report.style import BLUE, GREY, VERMILLION, styled


def section(material: Material) -> Section | None:
    """The dynamics that the model was used for."""
    found, folder = material.thermodynamics, material.dynamics
    return None if found is None or folder is None else shown(folder, found)


def shown(folder: Path, found: Mapping[str, Any]) -> Section:
    """Temperature and conserved energy of a run over time; `found` is its md.json."""
    parts = [facts(_summary(found))]
    if (folder / "thermo.csv").exists():
        parts.append(drawings([_course(folder / "thermo.csv", found)]))
    return Section("dynamics", "Dynamics", parts)


def _summary(found: Mapping[str, Any]) -> dict[str, object]:
    measured = found.get("conservation") or {}
    phases = ", ".join(
        f"{p['name'].upper()} {p['steps'] * found['dt'] / 1000:g} ps{_rule(p)}" for p in found["phases"]
    )
    drift, scatter, mean = (measured.get(name) for name in ("drift", "scatter", "temperature"))
    return {
        "phases": phases,
        "replicas": found["replicas"],
        "time step": f"{found['dt']:g} fs, a sample every {found['stride']} steps",
        "temperature": f"{found['temperature']:g} K asked for"
        + ("" if mean is None else f", {mean:.1f} K on average in production"),
        f"{_conserved(found)} drift": "" if drift is None else f"{1000 * drift:.2g} meV/atom/ps",
        f"{_conserved(found)} scatter": "" if scatter is None else f"{1000 * scatter:.2g} meV/atom",
        "engine": found["engine"],
        "status": found["status"],
    }


def _conserved(found: Mapping[str, Any]) -> str:
    """What should stay as it is: of ring polymers, the account of what their thermostats gave and took."""
    return "conserved quantity, per bead:" if found.get("ring") else "energy"


def _rule(phase: dict[str, Any]) -> str:
    return f" ({phase['thermostat']}, {phase['tau']:g} fs)" if phase.get("thermostat") else ""


def _course(path: Path, found: Mapping[str, Any]) -> Drawing:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([float(r[name] or "nan") for r in rows]) for name in rows[0] if name != "phase"}
    atoms = len(found["masses"])
    time, start = _continued(columns["time (fs)"]), _last_start(columns["step"])
    conserved = np.where(np.arange(len(time)) >= start, columns["conserved (eV)"], np.nan)
    known = np.flatnonzero(np.isfinite(conserved))
    drift = 1000 * (conserved - (conserved[known[0]] if len(known) else 0.0)) / atoms
    count = 2 if len(known) else 1
    plot = make_subplots(rows=count, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    plot.add_scatter(
        x=time,
        y=columns["temperature (K)"],
        line={"color": BLUE, "width": 1.2},
        name="temperature",
        row=1,
        col=1,
    )
    plot.update_yaxes(title_text="temperature / K", row=1, col=1)
    if len(known):
        plot.add_scatter(
            x=time, y=drift, line={"color": VERMILLION, "width": 1.2}, name="conserved energy", row=2, col=1
        )
        plot.update_yaxes(title_text="conserved energy<br>meV/atom", row=2, col=1)
    plot.add_hline(y=found["temperature"], line={"color": GREY, "width": 1, "dash": "dash"}, row=1, col=1)  # type: ignore[arg-type]
    if start:
        plot.add_vline(x=time[start], line={"color": GREY, "width": 1, "dash": "dot"})
    plot.update_xaxes(title_text="time / ps", row=count, col=1)
    caption = "Means over the replicas. Dashed: the temperature asked for; dotted: the production begins."
    data = {
        "time (ps)": time,
        "phase": [r["phase"] for r in rows],
        **{k: v for k, v in columns.items() if k != "time (fs)"},
    }
    return Drawing(
        name="dynamics",
        caption=caption,
        plot=styled(plot, 200 + 130 * count, showlegend=False),
        data=data,
        wide=True,
    )


def _continued(time: np.ndarray) -> np.ndarray:
    """Time in ps, running on where a phase begins at zero again."""
    jumps = np.where(np.diff(time, prepend=time[:1]) < 0, -np.diff(time, prepend=time[:1]), 0.0)
    return (time + np.cumsum(jumps)) / 1000


def _last_start(step: np.ndarray) -> int:
    """Row where the last phase begins."""
    return int(np.flatnonzero(step == 0)[-1]) if (step == 0).any() else 0
