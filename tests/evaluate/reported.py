"""A short run with dynamics and spectra, for the tests of the report."""

import json
from pathlib import Path

import numpy as np
from ase.io import write

from equipot import api
from equipot.deploy.document import Proof
from equipot.deploy.model_file import with_proofs
from equipot.engines.recording import THERMO
from train.conftest import molecules


def train(folder: Path) -> Path:
    """A model of bent water with dipoles, two groups, and one proof; the folder of its run."""
    frames = molecules(40)
    for k, atoms in enumerate(frames):
        atoms.info["group"] = ("cold", "hot</script><b>")[k % 2]
    write(folder / "water.xyz", frames, format="extxyz")
    settings = {
        "data": {"train": str(folder / "water.xyz"), "valid": 6, "test": 8},
        "model": {"name": "painn", "channels": 4, "num_layers": 2, "num_radial": 6, "cutoff": 3.0},
        "targets": {"dipole": {}, "total_charge": 0},
        "train": {
            "batch": 4,
            "epochs": 3,
            "precision": "float64",
            "validate_every": 8,
            "checkpoint_seconds": 1e6,
        },
    }
    run = api.train(settings, folder / "run")
    with_proofs(
        run.model, [Proof(name="equivariance", value=1e-15, limit=1e-10, passed=True, detail="1 frame")]
    )
    return run.folder


def dynamics(folder: Path, drift: float = 1e-6, status: str = "finished") -> Path:
    """The header and the course of a run of two phases."""
    folder.mkdir()
    header = {
        "engine": "ase", "temperature": 300.0, "dt": 0.5, "stride": 4, "replicas": 2, "masses": [16.0, 1.0, 1.0],
        "elements": ["O", "H", "H"],
        "phases": [
            {"name": "nvt", "steps": 20, "thermostat": "langevin", "tau": 100.0},
            {"name": "nve", "steps": 40, "thermostat": None, "tau": None},
        ],
        "conservation": {"temperature": 295.0, "drift": drift, "scatter": 1e-5}, "status": status,
    }  # fmt: skip
    (folder / "md.json").write_text(json.dumps(header))
    rng = np.random.default_rng(0)
    rows = [",".join(THERMO)]
    for phase, steps, conserved in (("nvt", 20, ""), ("nve", 40, "-300.0")):
        for step in range(0, steps + 1, 4):
            kelvin = 300 + 20 * rng.normal()
            rows.append(f"{phase},{step},{step * 0.5},{kelvin},-300.1,0.1,-300.0,{conserved}")
    (folder / "thermo.csv").write_text("\n".join(rows) + "\n")
    return folder
