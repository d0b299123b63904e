"""Fixed terms and reference energies in a whole run: measured without, said aloud, stored, and read again."""

import pytest
import yaml
from ase import Atoms

from equipot import api
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.deploy.model_file import load, read_document
from equipot.potential.terms.zbl import ZBL


@pytest.fixture
def short(settings) -> dict:
    settings["train"] |= {"epochs": 1}
    return settings


def test_a_run_with_repulsion_keeps_it_in_the_file_and_in_the_calculator(short, tmp_path):
    run = api.train(short | {"terms": {"zbl": True}}, tmp_path / "run")
    potential, document = load(run.model)
    assert document.potential.terms.zbl and document.run["terms"] == {"zbl": True}
    pair = Atoms("O2", positions=[[0, 0, 0], [0, 0, 0.5]], info={"charge": 0})
    pair.calc = api.load(run.model).calculator()
    alone = float(ZBL((1, 8), 3.0)(batch_of([Frame.from_atoms(pair)], (1, 8), 3.0)).sum())
    assert alone > 100
    without = document.potential.model_copy(update={"terms": type(document.potential.terms)()})
    plain = type(potential)(without, document.statistics).double()
    plain.load_state_dict(potential.state_dict())
    bare = float(plain(batch_of([Frame.from_atoms(pair)], (1, 8), 3.0)).energy.detach())
    assert pair.get_potential_energy() == pytest.approx(bare + alone, abs=1e-9)
    assert pair.get_forces()[1, 2] > 100
    assert all(p.passed for p in api.load(run.model).verify(quick=True))


def test_scales_are_those_of_what_the_terms_leave(short, tmp_path):
    """Training molecules have bonds of 0.96 Å ± 0.08, where H and O repel within 0.97 Å."""
    scales = [
        read_document(
            api.train(short | {"terms": {"zbl": on}}, tmp_path / str(on)).model
        ).statistics.energy_scale
        for on in (False, True)
    ]
    assert scales[0] != scales[1]


def test_training_says_where_reference_energies_come_from_and_warns(short, tmp_path):
    said: list[str] = []
    run = api.train(short, tmp_path / "run", say=said.append)
    assert any(
        s.startswith("reference energies: least squares for H, O, condition number infinite") for s in said
    )
    (warning,) = [s for s in said if s.startswith("warning:")]
    assert "fix: data.isolated_atoms=FILE, or data.reference_energies={H: ENERGY, O: ENERGY} in eV" in warning
    statistics = read_document(run.model).statistics
    assert statistics.reference_condition is None and statistics.reference_fitted == (1, 8)


def test_training_without_doubt_does_not_warn(short, tmp_path):
    said: list[str] = []
    short["data"]["reference_energies"] = {"H": -13.0, "O": -70.0}
    run = api.train(short, tmp_path / "run", say=said.append)
    shift = read_document(run.model).statistics.energy_shift
    assert f"reference energies: given; mean cohesion {shift:.4g} eV per atom on top" in said
    assert abs(shift) > 1 and not any("warning" in s for s in said)


@pytest.mark.parametrize("exact", [True, False])
def test_a_trained_model_may_promise_the_energies_of_free_atoms(exact, short, tmp_path):
    """The mean cohesion is no constant then: an atom alone would have it."""
    short["data"]["reference_energies"] = {"H": -13.0, "O": -70.0}
    short["model"] = {"name": "mace", "channels": 4, "l_max": 1, "cutoff": 3.0, "exact_isolated_limit": exact}
    calculator = api.load(api.train(short, tmp_path / "run").model).calculator()
    energies = [calculator.get_potential_energy(Atoms(symbol)) for symbol in ("H", "O")]
    assert (energies == [-13.0, -70.0]) is exact


def test_a_run_from_before_terms_goes_on(short, tmp_path):
    """The stored configuration lacks the key; at its default it is the same run."""
    run = api.train(short, tmp_path / "run")
    path = run.folder / "config.yaml"
    old = yaml.safe_load(path.read_text())
    del old["terms"]
    path.write_text(yaml.safe_dump(old))
    assert api.train(short, tmp_path / "run").metrics == run.metrics
    with pytest.raises(ValueError, match=r"terms\.zbl: False there, True now"):
        api.train(short | {"terms": {"zbl": True}}, tmp_path / "run")
