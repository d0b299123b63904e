"""Whole runs on molecules in several states, and what users hear who leave a charge or a multiplicity out."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from equipot import api
from equipot.deploy.model_file import read_document
from train.conftest import molecules

SPINS = {0: 1, 1: 2, -1: 2}  # of H2O and its ions


def ions(count: int) -> list[Atoms]:
    """Water, its cation and its anion at the same geometries; a charge costs an energy and pulls the atoms apart."""
    frames = []
    for k, atoms in enumerate(molecules(count)):
        charge = (0, 1, -1)[k % 3]
        away = atoms.positions - atoms.positions.mean(axis=0)
        energy = atoms.get_potential_energy() + charge * (9.0 - 2.0 * float((away**2).sum()))
        forces = atoms.calc.results["forces"] + charge * 4.0 * away
        state = Atoms(atoms.numbers, atoms.positions, info={"charge": charge, "spin": SPINS[charge]})
        state.calc = SinglePointCalculator(state, energy=energy, forces=forces)
        frames.append(state)
    return frames


@pytest.fixture
def settings(tmp_path) -> dict:
    write(tmp_path / "ions.xyz", ions(60), format="extxyz")
    return {
        "data": {"train": str(tmp_path / "ions.xyz"), "valid": 6, "test": 9},
        "model": {
            "name": "painn",
            "channels": 8,
            "num_layers": 2,
            "num_radial": 6,
            "cutoff": 3.0,
            "conditions": ["charge", "spin"],
        },
        "train": {"batch": 4, "epochs": 2, "precision": "float64", "checkpoint_seconds": 1e6},
    }


def rewritten(settings: dict, change) -> dict:
    """The settings with a file of changed frames."""
    frames = read(settings["data"]["train"], index=":")
    change(frames)
    write(settings["data"]["train"], frames, format="extxyz")
    return settings


@pytest.mark.slow
def test_a_model_that_reads_the_charge_learns_what_another_cannot(settings, tmp_path):
    """The same positions with energies some 6 eV apart: without the charge, two thirds of that is the best there is."""
    settings["train"] |= {"epochs": 20, "learning_rate": 1e-2}
    errors = {}
    for names in ((), ("charge",)):
        settings["model"]["conditions"] = list(names)
        run = api.train(settings, tmp_path / f"{len(names)}")
        errors[names] = run.metrics["test"]["energy"]["mae"]
    assert errors[()] > 3.0
    assert errors[("charge",)] < 0.1 * errors[()]


def test_states_go_through_file_calculator_and_proofs(settings, tmp_path):
    run = api.train(settings, tmp_path / "run")
    document = read_document(run.model)
    assert document.statistics.conditions == {"charge": (-1.0, 0.0, 1.0), "spin": (1.0, 2.0)}
    assert document.units["spin"] == "1" and {f.spin for f in document.fingerprints} <= {1.0, 2.0}
    model = api.load(run.model)
    frames = api.read(settings["data"]["train"])
    assert model.evaluate(frames)["energy"].errors.count == 60
    atoms = frames[0].atoms()
    atoms.calc = model.calculator()
    energies = {}
    for charge, spin in ((0, 1), (1, 2), (0, 1), (-1, 2)):
        atoms.info |= {"charge": charge, "spin": spin}
        energies.setdefault((charge, spin), []).append(atoms.get_potential_energy())
    neutral = energies.pop((0, 1))
    assert neutral[0] == neutral[1] and all(abs(e[0] - neutral[0]) > 1e-3 for e in energies.values())
    sheet = model.verify(quick=True)
    assert [p.name for p in sheet if not p.passed] == []
    assert {"extensivity", "supercell"} <= {p.name for p in sheet}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f[7].info.pop("charge"),
            r"frame 7: no total charge, .*model\.conditions.*\n.*data\.keys\.charge=NAME",
        ),
        (lambda f: f[9].info.pop("spin"), r"frame 9: no multiplicity, .*\n.*data\.keys\.spin=NAME"),
        (
            lambda f: f[3].info.update(spin=0),
            r"frame 3: spin = 0; expected the multiplicity .* number of unpaired",
        ),
        (
            lambda f: f[4].info.update(spin=1),
            r"frame 4: H2O of total charge 1 has 9 electrons, which cannot have the multiplicity 1",
        ),
    ],
    ids=["no charge", "no spin", "unpaired electrons", "parity"],
)
def test_training_refuses_a_frame_without_its_state(settings, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        api.train(rewritten(settings, change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_training_refuses_a_state_of_the_test_set_that_it_never_saw(settings, tmp_path):
    frames = ions(6)
    frames[0].info |= {"charge": -2, "spin": 1}
    write(tmp_path / "test.xyz", frames, format="extxyz")
    settings["data"]["test"] = str(tmp_path / "test.xyz")
    with pytest.raises(ValueError, match=r"test\.xyz, frame 0: total charge -2, .* trained on -1, 0, 1"):
        api.train(settings, tmp_path / "run")


def test_a_charge_of_all_frames_and_one_of_each_exclude_one_another(settings, tmp_path):
    settings["targets"] = {"total_charge": 0}
    with pytest.raises(ValueError, match="Leave one of the two keys out"):
        api.train(settings, tmp_path / "run")


def test_numbers_that_are_no_charges_are_refused(settings, tmp_path):
    def smear(frames):
        for k, atoms in enumerate(frames):
            atoms.info["charge"] = 0.01 * k

    settings["data"] |= {"valid": 1, "test": 1}
    settings["model"]["conditions"] = ["charge"]
    more = {**settings, "data": {**settings["data"]}}
    write(more["data"]["train"], ions(90), format="extxyz")
    with pytest.raises(ValueError, match=r"88 different values of charge, .* data\.keys\.charge=NAME"):
        api.train(rewritten(more, smear), tmp_path / "run")


def test_the_calculator_names_what_it_misses(settings, tmp_path):
    calculator = api.load(api.train(settings, tmp_path / "run").model).calculator()
    atoms = ions(1)[0]
    for info, message in (
        ({}, r"atoms, frame 0: no total charge.*\n.*atoms\.info\['charge'\]"),
        ({"charge": 0}, r"no multiplicity.*\n.*atoms\.info\['spin'\]"),
        ({"charge": -2, "spin": 1}, r"total charge -2, but this model was trained on -1, 0, 1"),
    ):
        atoms.info, atoms.calc = dict(info), calculator
        with pytest.raises(ValueError, match=message):
            atoms.get_potential_energy()


def test_dynamics_of_an_ion_keeps_its_state(settings, tmp_path):
    """Replicas are copies in one state; the header knows it, so that a restart from another is another run."""
    run = api.train(settings, tmp_path / "run")
    start = ions(2)[1]
    start.calc = None
    options = {"time": 0.01, "equilibration": 0.002, "temperature": 10, "replicas": 2, "max_temperature": 1e6}
    options |= {"max_force": 1e4}
    folder = api.md(run.model, start, options, tmp_path / "md")
    assert read(folder / "trajectory-001.extxyz").info.items() >= {"charge": 1, "spin": 2}.items()
    start.info.pop("spin")
    with pytest.raises(ValueError, match="no multiplicity"):
        api.md(run.model, start, options, tmp_path / "other")


def test_old_documents_know_no_conditions(settings, tmp_path):
    settings["model"]["conditions"] = []
    document = read_document(api.train(settings, tmp_path / "run").model)
    assert document.statistics.conditions == {} and "spin" not in document.units
    assert np.isfinite(document.statistics.energy_scale)
