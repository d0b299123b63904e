"""md.json: how a run was made, and by which numbers it is known to be the same run."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from equipot.batch import ATOMIC_VECTORS
from equipot.engines.recording import THERMO, digest
from equipot.engines.settings import Dynamics, Phase
from equipot.potential import Potential

_FREE = ("checkpoint",)  # settings that a restart may change


def header(
    potential: Potential,
    atoms: Atoms,
    settings: Dynamics,
    phases: Sequence[Phase],
    recorded: Sequence[str],
    masses: np.ndarray,
    engine: str,
) -> dict[str, Any]:
    """The document, but for its status and what was conserved."""
    inputs = [atoms.arrays[name] for name in ATOMIC_VECTORS if name in atoms.arrays]
    state = (
        atoms.numbers,
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        str(atoms.info.get("charge")),
        *[str(atoms.info[name]) for name in ("spin",) if name in atoms.info],
        *inputs,
    )
    return {
        "format": 1,
        "model_hash": model_hash(potential),
        "start_hash": digest(*state, masses),
        "engine": engine,
        "ensemble": settings.ensemble,
        "temperature": settings.temperature,
        "dt": settings.dt,
        "stride": settings.stride,
        "steps": phases[-1].steps,
        "replicas": settings.replicas,
        "ring": _ring(settings),
        "elements": list(atoms.symbols[: len(masses)]),
        "masses": masses.tolist(),
        "phases": [_phase(phase) for phase in phases],
        "recorded": ["energy", *recorded],
        "units": {
            "temperature": "K", "dt": "fs", "tau": "fs", "time": "fs", "masses": "amu", "positions": "Å",
            "momenta": "amu Å / (Å √(amu/eV))", "energy": "eV", "dipole": "e*Å",
            "dipole_rate": "e*Å/fs", "polarizability": "Å^3", "drift": "eV/atom/ps", "scatter": "eV/atom",
        },
        "settings": settings.model_dump(mode="json"),
    }  # fmt: skip


def _phase(phase: Phase) -> dict[str, Any]:
    return {name: value for name, value in asdict(phase).items() if name != "method" or value is not None}


def _ring(settings: Dynamics) -> dict[str, Any] | None:
    """Of a ring polymer: how its beads were moved, and what the trajectory holds of them; None for classical nuclei."""
    if settings.beads == 1:
        return None
    damped = {} if settings.method != "trpmd" else {
        "lambda": settings.pile_lambda,
        "friction": "2 lambda omega_k on the internal mode of frequency omega_k of the free ring polymer",
    }  # fmt: skip
    return {
        "beads": settings.beads,
        "method": settings.method,
        **damped,
        "positions": "of the centroid",
        "momenta": "of the centroid",
        "energy": "average over the beads, as of everything else that is recorded",
    }


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What makes a run another run: settings by their names, model, start, and what is recorded."""
    # a setting that came later had its default before
    old, new = {**Dynamics().model_dump(mode="json"), **found.get("settings", {})}, wanted["settings"]
    keys = [key for key in sorted({*old, *new} - {*_FREE}) if old.get(key) != new.get(key)]
    out = [f"{key} = {old.get(key)} there, {new.get(key)} now" for key in keys]
    names = {
        "model_hash": "another model",
        "start_hash": "another starting structure",
        "recorded": "records others",
    }
    return out + [text for key, text in names.items() if found.get(key) != wanted[key]]


def model_hash(potential: Potential) -> str:
    """SHA-256 of configuration, statistics and weights."""
    weights = [part for n, t in potential.state_dict().items() for part in (n, t.detach().cpu().numpy())]
    return digest(potential.config.model_dump_json(), potential.statistics.model_dump_json(), *weights)


def drift(picoseconds: np.ndarray, energy: np.ndarray) -> float:
    """Slope of a straight line through energies, per ps."""
    t = picoseconds - picoseconds.mean()
    return float(t @ (energy - energy.mean()) / (t @ t))


def read_header(path: Path) -> dict[str, Any]:
    """An md.json; refused when it is not one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(found, dict) or not {"settings", "status"} <= set(found):
        raise ValueError(f"{path}: not the md.json of an equipot run. Give another folder.")
    return found


def conservation(thermo: str, num_atoms: int) -> dict[str, float]:
    """Of the production in a thermo.csv: mean temperature (K), drift (eV/atom/ps) and scatter (eV/atom).

    The last two are of the energy that the ensemble conserves, and absent where it conserves none (Langevin).
    """
    table = [dict(zip(THERMO, line.split(","), strict=True)) for line in thermo.splitlines()[1:]]
    start = max(i for i, row in enumerate(table) if row["step"] == "0")
    rows = table[start:]
    out = {"temperature": float(np.mean([float(row["temperature (K)"]) for row in rows]))}
    if rows[0]["conserved (eV)"] and len(rows) > 1:
        picoseconds = np.array([float(row["time (fs)"]) for row in rows]) / 1000
        energy = np.array([float(row["conserved (eV)"]) for row in rows]) / num_atoms
        out |= {"drift": drift(picoseconds, energy), "scatter": float(energy.std())}
    return out
