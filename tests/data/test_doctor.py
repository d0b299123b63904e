"""The data doctor: every row of its table says what is wrong, where, the evidence, and the fix to paste."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from rich.console import Console

from data.samples import atom, renamed, scaled, water, waters, write
from equipot import units
from equipot.data.doctor import inspect, render


def rows(diagnosis, number):
    return [f for f in diagnosis.findings if f.row == number]


def only(diagnosis, number):
    found = rows(diagnosis, number)
    assert len(found) == 1, [f.text() for f in diagnosis.findings]
    return found[0]


def polarized(images, factor=1.0, add=None):
    for k, image in enumerate(images):
        alpha = np.diag([1.2, 1.4, 1.5 + 0.01 * k]) * factor
        image.info["polarizability"] = (alpha if add is None else alpha + add).ravel()
    return images


def test_a_good_set_gives_nothing_to_complain_about(tmp_path):
    path = write(tmp_path / "a.xyz", [atom("H"), atom("O"), *waters(30)])
    diagnosis = inspect(path)
    assert not diagnosis.findings and not diagnosis.errors
    diagnosis.refuse()
    s = diagnosis.summary
    assert (s.frames, s.isolated, s.elements, s.atoms) == (30, ("H", "O"), {"H": 60, "O": 30}, (3, 3.0, 3))
    assert s.periodicity == {"molecules": 30} and s.formulas == {"H2O": 30} and s.mean_neighbors == 2.0
    assert 0.7 < s.closest < 0.96 and s.closest_where.startswith("frame ")
    energy = next(x for x in s.labels if x.name == "energy")
    assert (energy.key, energy.unit, energy.assumed, energy.frames) == ("energy", "eV", True, 30)
    assert energy.low < energy.high < -2070


# --- row 1: no forces under the name given


def test_row_1_forces_under_another_name(tmp_path):
    path = write(tmp_path / "a.xyz", renamed(waters(4), "energy", "forces_xtb"))
    finding = only(inspect(path), 1)
    assert finding.level == "error" and finding.title == "no forces under the names that are searched"
    assert "forces_xtb: 3 numbers per atom, " in finding.evidence and "in 4 frames" in finding.evidence
    assert finding.fix == "keys.forces=forces_xtb, or targets.energy.forces=false"
    with pytest.raises(ValueError, match=r"fix: keys\.forces=forces_xtb"):
        inspect(path).refuse()


def test_row_1_energies_alone_are_a_note(tmp_path):
    path = write(tmp_path / "a.xyz", renamed(waters(4), "energy", None))
    diagnosis = inspect(path)
    assert only(diagnosis, 1).level == "note" and only(diagnosis, 1).fix == "targets.energy.forces=false"
    assert "energy: {forces: false, stress: false}" in diagnosis.suggested_config


def test_row_1_no_label_at_all(tmp_path):
    path = write(tmp_path / "a.xyz", renamed(waters(4), "energy_xtb", "forces_xtb"))
    diagnosis = inspect(path)
    finding = only(diagnosis, 1)
    assert finding.title == "no label under the names that are searched"
    assert finding.fix == "keys.energy=energy_xtb, keys.forces=forces_xtb"
    assert "keys: {energy: energy_xtb, forces: forces_xtb}" in diagnosis.suggested_config
    assert not rows(inspect(path, keys={"energy": "energy_xtb", "forces": "forces_xtb"}), 1)


# --- row 2: label in some frames only


def test_row_2_labels_in_some_frames_only(tmp_path):
    images = waters(10)
    for k in (3, 7):
        del images[k].calc.results["forces"]
    finding = only(inspect(write(tmp_path / "a.xyz", images)), 2)
    assert finding.level == "warning" and finding.title == "forces in 8 of 10 frames"
    assert finding.where.endswith("without it: frame 3, 7")
    assert "left out of its loss and errors" in finding.evidence
    assert finding.fix == "data.required=[forces] to refuse such a file"


# --- row 3: forces exactly zero on constrained atoms


def test_row_3_forces_zeroed_by_constraints(tmp_path):
    images = waters(10)
    for k in (2, 5):
        images[k].calc.results["forces"][0] = 0.0
    finding = only(inspect(write(tmp_path / "a.xyz", images)), 3)
    assert finding.level == "warning" and finding.title == "forces of exactly zero on some atoms of 2 frames"
    assert finding.where.endswith("a.xyz, frame 2, 5")
    assert "frame 2: atom 0 exactly 0 while others feel up to" in finding.evidence
    assert "the net force is" in finding.evidence
    assert "get_forces(apply_constraint=False)" in finding.fix


def test_row_3_zero_by_symmetry_is_a_note(tmp_path):
    chain = Atoms("CO2", positions=[[0, 0, 0], [1.2, 0, 0], [-1.2, 0, 0]])
    chain.calc = SinglePointCalculator(
        chain, energy=-1.0, forces=np.array([[0, 0, 0], [1.0, 0, 0], [-1.0, 0, 0]])
    )
    finding = only(inspect(write(tmp_path / "a.xyz", [chain])), 3)
    assert finding.level == "note" and "symmetry can be the reason" in finding.evidence


def test_row_3_a_resting_crystal_is_fine(tmp_path):
    crystal = bulk("Si")
    crystal.calc = SinglePointCalculator(crystal, energy=-10.0, forces=np.zeros((2, 3)))
    assert not rows(inspect(write(tmp_path / "a.xyz", [crystal])), 3)


# --- row 6: units


@pytest.mark.parametrize(
    "energy, forces",
    [
        ("Ha", "Ha/bohr"),
        ("kcal/mol", "kcal/mol/Å"),
        ("Ry", "Ry/bohr"),
        ("kJ/mol", "kJ/mol/nm"),
        ("Ha", "eV/Å"),
        ("eV", "Ha/bohr"),
    ],
)
def test_row_6_other_units_are_recognised_and_refused_until_said(tmp_path, energy, forces):
    factors = units.factor("energy", energy), units.factor("forces", forces)
    path = write(tmp_path / "a.xyz", scaled(waters(60), 1 / factors[0], 1 / factors[1]))
    diagnosis = inspect(path)
    finding = only(diagnosis, 6)
    assert finding.level == "error" and finding.title == "labels do not look like eV and eV/Å"
    assert f"total energies in {energy}" in finding.evidence and "force constant" in finding.evidence
    assert finding.fix == f"data.units={{energy: {energy}, forces: {forces}}}"
    assert f"units: {{energy: {energy}, forces: {forces}}}" in diagnosis.suggested_config
    assert not rows(inspect(path, units={"energy": energy, "forces": forces}), 6)


def test_row_6_works_without_total_energies(tmp_path):
    """Energies of formation or of pseudopotentials say nothing alone, but their changes do."""
    shifted = waters(60)
    for image in shifted:
        image.calc.results["energy"] += 2065.0
    assert not rows(inspect(write(tmp_path / "a.xyz", shifted)), 6)
    factor = 1 / units.kcal_mol
    finding = only(inspect(write(tmp_path / "b.xyz", scaled(shifted, factor, factor))), 6)
    assert "pairs of near frames" in finding.evidence
    assert finding.fix == "data.units={energy: kcal/mol, forces: kcal/mol/Å}"


def test_row_6_says_nothing_where_nothing_is_clear(tmp_path):
    rng = np.random.default_rng(0)
    images = []
    for _ in range(20):
        metal = bulk("Cu", cubic=True)
        metal.rattle(0.05, seed=int(rng.integers(1000)))
        metal.calc = SinglePointCalculator(metal, energy=rng.normal(), forces=rng.normal(size=(4, 3)))
        images.append(metal)
    assert not rows(inspect(write(tmp_path / "a.xyz", images)), 6)


def test_row_6_positions_in_bohr(tmp_path):
    images = renamed(waters(20), "energy", "forces")
    for image in images:
        image.positions /= units.bohr
    path = write(tmp_path / "a.xyz", images)
    finding = only(inspect(path), 6)
    assert finding.level == "error" and finding.title == "positions look like bohr"
    assert (
        finding.fix == "data.units={length: bohr}"
        and "times the sum of their covalent radii" in finding.evidence
    )


def test_row_6_a_unit_that_was_said_wrongly_is_a_warning(tmp_path):
    path = write(tmp_path / "a.xyz", waters(60))
    finding = only(inspect(path, units={"energy": "Ha", "forces": "Ha/Å"}), 6)
    assert (
        finding.level == "warning"
        and "after conversion from the given energy, forces unit" in finding.evidence
    )


# --- row 8: reference energies


def test_row_8_no_isolated_atoms(tmp_path):
    finding = only(inspect(write(tmp_path / "a.xyz", waters(10))), 8)
    assert finding.level == "warning" and finding.title == "no isolated-atom energy for H, O"
    assert "condition number infinite" in finding.evidence
    assert "data.reference_energies={H: ENERGY, O: ENERGY} in eV" in finding.fix


def test_row_8_names_the_one_that_is_missing_and_its_condition_number(tmp_path):
    finding = only(inspect(write(tmp_path / "a.xyz", [atom("O"), *waters(10)])), 8)
    assert finding.level == "note" and finding.title == "no isolated-atom energy for H"
    assert "H -18." in finding.evidence and "condition number 1." in finding.evidence


def test_row_8_isolated_atoms_may_be_in_a_file_of_their_own(tmp_path):
    atoms = write(tmp_path / "atoms.xyz", [atom("H"), atom("O")])
    diagnosis = inspect(write(tmp_path / "a.xyz", waters(10)), isolated_atoms=atoms)
    assert not rows(diagnosis, 8) and f"isolated_atoms: {atoms}" in diagnosis.suggested_config


# --- row 10: identical frames


def test_row_10_copies_within_a_file(tmp_path):
    images = waters(10)
    path = write(tmp_path / "a.xyz", [*images, images[2], images[4]])
    diagnosis = inspect(path)
    finding = only(diagnosis, 10)
    assert finding.title == "2 frames are identical to an earlier one"
    assert "2 = 10, 4 = 11" in finding.evidence and "data.split=identical" in finding.fix
    assert "split: identical" in diagnosis.suggested_config


def test_row_10_training_frames_in_the_test_file(tmp_path):
    train, test = waters(10, seed=1), waters(5, seed=2)
    path = write(tmp_path / "train.xyz", train)
    other = write(tmp_path / "test.xyz", [*test, train[7]])
    finding = only(inspect(path, test=other), 10)
    assert finding.title == "1 of 6 test frames are in the training set"
    assert "training frame = test frame: 7 = 5" in finding.evidence
    assert "train.xyz and " in finding.where and "take them out of one of the files" in finding.fix


# --- row 11: atoms on top of each other


def test_row_11_atoms_on_top_of_each_other(tmp_path):
    images = waters(10)
    images[3].positions[2] = images[3].positions[1] + [0.05, 0, 0]
    images[6].positions[2] = images[6].positions[1]
    finding = only(inspect(write(tmp_path / "a.xyz", images)), 11)
    assert finding.title == "atoms on top of each other in 2 frames"
    assert "frame 3: H 1 and H 2 at 0.050 Å, frame 6: H 1 and H 2 at 0.000 Å" in finding.evidence
    assert "excluded.xyz" in finding.fix


# --- row 12: force outliers


def test_row_12_force_outliers(tmp_path):
    images = waters(50)
    images[17].calc.results["forces"][2] = [0, 900.0, 0]
    path = write(tmp_path / "a.xyz", images)
    finding = only(inspect(path), 12)
    assert finding.title == "force outliers in 1 frames" and finding.where.endswith("a.xyz, frame 17")
    assert "frame 17: 900 eV/Å on atom 2; 99.9 % of the others are below" in finding.evidence
    assert "They are kept" in finding.evidence and finding.fix.startswith("data.max_force=")
    assert not rows(inspect(write(tmp_path / "b.xyz", waters(50))), 12)


# --- row 15: polarizability


def test_row_15_atomic_units(tmp_path):
    path = write(tmp_path / "a.xyz", polarized(waters(5), 1 / units.bohr**3))
    finding = only(inspect(path), 15)
    assert finding.level == "error" and finding.title == "polarizability looks like bohr^3, not Å^3"
    assert "times the sum of average atomic polarizabilities" in finding.evidence
    assert finding.fix == "data.units={polarizability: bohr^3}"
    assert not rows(inspect(path, units={"polarizability": "bohr^3"}), 15)


def test_row_15_a_unit_that_the_numbers_do_not_tell_is_asked(tmp_path):
    crystal = bulk("Cu")
    crystal.info["polarizability"] = np.eye(3).ravel() * 7
    path = write(tmp_path / "a.xyz", [crystal])
    finding = only(inspect(path), 15)
    assert finding.level == "warning" and finding.title == "the unit of the polarizability is not stated"
    assert not rows(inspect(path, units={"polarizability": "Å^3"}), 15)


def test_row_15_asymmetric(tmp_path):
    skew = np.zeros((3, 3))
    skew[0, 1] = 0.02
    finding = only(inspect(write(tmp_path / "a.xyz", polarized(waters(5), add=skew))), 15)
    assert finding.level == "warning" and finding.title == "polarizability is not symmetric in 5 frames"
    assert "antisymmetric part up to 0.01 Å^3" in finding.evidence
    assert finding.fix == "data.symmetrize=[polarizability]"
    finding = only(inspect(write(tmp_path / "b.xyz", polarized(waters(5), add=50 * skew))), 15)
    assert finding.level == "error" and "may be in another order" in finding.evidence


def test_row_15_six_numbers(tmp_path):
    image = molecule("H2O")
    image.info["polarizability"] = np.ones(6)
    with pytest.raises(ValueError, match="has 6 numbers in an unknown order"):
        inspect(write(tmp_path / "a.xyz", [image]))


# --- row 16: cells


def test_row_16_unusual_cells_are_said(tmp_path):
    left = bulk("Cu", cubic=True)
    left.cell = left.cell[[1, 0, 2]]
    slab = fcc111("Cu", (3, 3, 2), vacuum=None)
    slab.cell[2], slab.pbc = 0, [True, True, False]
    slab.info.clear()
    wide = molecule("H2O", vacuum=20.0)
    wide.pbc = True
    found = rows(inspect(write(tmp_path / "a.xyz", [bulk("Cu"), left, slab, wide]), cutoff=4.0), 16)
    assert {f.title: f.where.rpartition("frame ")[2] for f in found} == {
        "cell thinner than the cutoff of 4 Å in 2 frames": "0, 1",
        "one-atom cell in 1 frames": "0",
        "left-handed cell in 1 frames": "1",
        "zero cell vector along an open direction in 1 frames": "2",
        "periodic box so wide that no atom sees an image in 1 frames": "3",
    }
    assert all(f.level == "note" and "every periodic image" in f.evidence for f in found)


# --- row 17: typo in a key


def test_row_17_the_nearest_key(tmp_path):
    path = write(tmp_path / "a.xyz", renamed(waters(3), "REF_energy", "REF_forces"))
    with pytest.raises(
        ValueError, match=r"no 'REF_enrgy' \(keys\.energy\) in the file\. Did you mean 'REF_energy'\?"
    ):
        inspect(path, keys={"energy": "REF_enrgy"})
    with pytest.raises(ValueError, match=r"keys\.froces: no such property\. Did you mean 'forces'\?"):
        inspect(path, keys={"froces": "REF_forces"})


# --- what comes out


def test_only_isolated_atoms_are_refused(tmp_path):
    with pytest.raises(ValueError, match="only isolated atoms"):
        inspect(write(tmp_path / "a.xyz", [atom("H")]))


def test_the_diagnosis_is_plain_data_and_can_be_printed(tmp_path):
    images = polarized(waters(10), 1 / units.bohr**3)
    diagnosis = inspect(write(tmp_path / "a.xyz", images))
    plain = json.loads(json.dumps(diagnosis.as_dict()))
    assert plain["summary"]["frames"] == 10 and plain["findings"][0]["row"] == 15
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for part in render(diagnosis):
        console.print(part)
    console.file.close()
    text = console.export_text()
    for expected in (
        "error polarizability looks like bohr^3",
        "where",
        "evidence",
        "fix",
        "eV (assumed)",
    ):
        assert expected in text


def test_the_suggested_configuration_is_one(tmp_path):
    from equipot.api import run_config

    images = polarized(waters(10))
    for image in images:
        image.calc.results["dipole"] = np.ones(3)
    diagnosis = inspect(write(tmp_path / "a.xyz", [atom("H"), atom("O"), *images]), cutoff=4.5)
    path = tmp_path / "config.yaml"
    path.write_text(diagnosis.suggested_config, encoding="utf-8")
    config = run_config(path)
    assert config.data.keys["energy"] == "energy" and config.data.units["polarizability"] == "Å^3"
    assert config.targets.names() == ("energy", "forces", "dipole", "polarizability")
    assert config.targets.total_charge == 0 and diagnosis.suggested_config.startswith(
        "# The file does not give"
    )
    assert config.model.cutoff == 4.5


def test_a_mixed_set_is_counted(tmp_path):
    pair = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    summary = inspect(write(tmp_path / "a.xyz", [pair, bulk("Si"), water(np.random.default_rng(0))])).summary
    assert summary.periodicity == {"molecules": 2, "crystals": 1} and summary.atoms == (2, 2.0, 3)
