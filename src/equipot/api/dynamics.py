"""Runs on the engines, and what engines need."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from equipot.api.model import Model, load
from equipot.config import parse
from equipot.engines.dynamics import run_dynamics
from equipot.engines.ipi.advice import advice
from equipot.engines.ipi.alone import write_inputs
from equipot.engines.settings import Dynamics
from equipot.train.run import Observer, Say


def md(
    model: Model | str | Path,
    start: Atoms | Sequence[Atoms] | str | Path,
    settings: Dynamics | Mapping[str, Any] | None = None,
    out: str | Path = "md",
    observe: Observer = lambda step, total, text: None,
    say: Say = lambda text: None,
) -> Path:
    """Molecular dynamics on any engine; the folder holds trajectories with dipoles, polarizabilities, restarts."""
    model = model if isinstance(model, Model) else load(model)
    if isinstance(start, str | Path):
        start = model.last_structure(start)
    chosen = settings if isinstance(settings, Dynamics) else parse(Dynamics, dict(settings or {}), "dynamics")
    first = start if isinstance(start, Atoms) else start[0]
    if chosen.beads > 1:
        say(advice(first, chosen.temperature, chosen.beads))
    run = run_dynamics(
        model.potential, start, chosen, Path(out), progress=lambda s, t: observe(s, t, ""), say=say
    )
    if chosen.engine == "ipi":
        model.save(run / "i-pi" / "model.equipot")
        write_inputs(run / "i-pi", first, chosen, model.potential.targets)
    return run


def export(
    model: Model | str | Path,
    to: str = "lammps",
    start: Atoms | str | Path | None = None,
    out: str | Path = "lammps",
    python_free: bool = False,
) -> list[Path]:
    """What an engine needs beside the model file: the files that were written.

    `python_free`: compiled, so that LAMMPS runs without Python; minutes.
    """
    from equipot.engines.lammps.export import export as export_to_lammps

    if to != "lammps":
        raise ValueError(f"export: found to={to!r}; expected 'lammps'.")
    model = model if isinstance(model, Model) else load(model)
    start = model.last_structure(start) if isinstance(start, str | Path) else start
    return export_to_lammps(model.potential, Path(out), start, python_free)
