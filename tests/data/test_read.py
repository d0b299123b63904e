"""Reading by name and unit: raw labels, nothing guessed in silence, clear words for what cannot be read."""

import bz2
import gzip
import lzma
import pickle

import ase.db
import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from data.samples import atom, renamed, scaled, water, waters, write
from equipot import units
from equipot.data.read import read


def message(path, *args, **options) -> str:
    with pytest.raises(ValueError) as error:
        read(path, *args, **options)
    return str(error.value)


# --- formats


@pytest.mark.parametrize(
    "suffix, opener", [("", open), (".gz", gzip.open), (".bz2", bz2.open), (".xz", lzma.open)]
)
def test_extended_xyz_plain_and_compressed(tmp_path, suffix, opener):
    images = waters(4)
    plain = write(tmp_path / "a.xyz", images).read_bytes()
    path = tmp_path / f"b.xyz{suffix}"
    with opener(path, "wb") as file:
        file.write(plain)
    frames = read(path)
    assert len(frames) == 4 and frames.labels == ("energy", "forces")
    for frame, image in zip(frames, images, strict=True):
        assert frame.labels["energy"] == pytest.approx(image.calc.results["energy"], abs=1e-6)
        np.testing.assert_allclose(frame.labels["forces"], image.calc.results["forces"], atol=1e-7)


def test_database_with_results_and_with_data(tmp_path):
    path = tmp_path / "a.db"
    image = water(np.random.default_rng(0))
    with ase.db.connect(path) as database:
        database.write(image, REF_energy=-7.0, data={"REF_forces": np.ones((3, 3)), "alpha": np.eye(3)})
    frame = read(path, {"energy": "REF_energy", "forces": "REF_forces", "polarizability": "alpha"})[0]
    assert frame.labels["energy"] == -7.0
    np.testing.assert_array_equal(frame.labels["forces"], np.ones((3, 3)))
    np.testing.assert_array_equal(frame.labels["polarizability"], np.eye(3))
    calculated = read(path, {"energy": "energy", "forces": "forces"})[0]
    assert calculated.labels["energy"] == pytest.approx(image.calc.results["energy"])


def test_a_database_that_states_its_units_is_believed(tmp_path):
    path = tmp_path / "a.db"
    with ase.db.connect(path) as database:
        database.metadata = {
            "_property_unit_dict": {"E": "kcal/mol", "F": "kcal/mol/Ang"},
            "_distance_unit": "Ang",
        }
        database.write(molecule("H2O"), data={"E": np.array([-1.0]), "F": np.ones((3, 3))})
    frames = read(path, {"energy": "E", "forces": "F"})
    assert frames[0].labels["energy"] == pytest.approx(-units.kcal_mol)
    assert frames[0].labels["forces"][0, 0] == pytest.approx(units.kcal_mol)
    assert [f.unit for f in frames.found if f.used_as == "energy"] == ["kcal/mol"]


@pytest.mark.parametrize("suffix", ["traj", "json"])
def test_other_formats_of_ase(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    ase.io.write(path, waters(3))
    assert read(path).labels == ("energy", "forces")


def test_a_format_without_labels_gives_structures(tmp_path):
    path = tmp_path / "POSCAR"
    ase.io.write(path, bulk("Si"), format="vasp")
    frames = read(path)
    assert frames[0].pbc.all() and frames[0].num_atoms == 2 and not frames.labels


@pytest.mark.parametrize(
    "names",
    [("R", "z", "E", "F"), ("coords", "nuclear_charges", "energies", "forces")],
    ids=["MD17", "rMD17"],
)
def test_npz_of_the_md17_kind(tmp_path, names):
    path = _npz(tmp_path, names)
    frames = read(path, units={"energy": "kcal/mol", "forces": "kcal/mol/Å"})
    assert len(frames) == 5 and set(frames.labels) == {"energy", "forces"}
    image = waters(5)[2]
    assert frames[2].labels["energy"] == pytest.approx(image.calc.results["energy"])
    np.testing.assert_allclose(frames[2].labels["forces"], image.calc.results["forces"], atol=1e-12)


def _npz(tmp_path, names=("R", "z", "E", "F"), **extra):
    images = waters(5)
    arrays = {
        names[0]: np.array([a.positions for a in images]),
        names[1]: images[0].numbers.astype(np.uint8),
        names[2]: np.array([[a.calc.results["energy"]] for a in images]) / units.kcal_mol,
        names[3]: np.array([a.calc.results["forces"] for a in images]) / units.kcal_mol,
        "theory": np.array("springs"),
    }
    np.savez(tmp_path / "a.npz", **arrays, **extra)
    return tmp_path / "a.npz"


def test_npz_is_refused_until_its_units_are_said(tmp_path):
    text = message(_npz(tmp_path))
    assert "an npz file does not say the unit of energy and forces" in text
    assert "It looks like kcal/mol" in text
    assert "Paste data.units={energy: kcal/mol, forces: kcal/mol/Å}" in text


def test_npz_of_another_layout_lists_what_it_has(tmp_path):
    np.savez(tmp_path / "a.npz", coord=np.zeros((4, 9)), box=np.zeros((4, 9)))
    text = message(tmp_path / "a.npz")
    assert "no positions under R" in text and "coord (4, 9)" in text and "Paste keys.positions=NAME" in text


# --- names


def test_labels_under_customary_names_are_found_and_listed(tmp_path):
    path = write(tmp_path / "a.xyz", renamed(waters(3), "REF_energy", "REF_forces"))
    frames = read(path)
    assert {f.used_as: f.name for f in frames.found if f.used_as} == {
        "energy": "REF_energy",
        "forces": "REF_forces",
    }
    found = next(f for f in frames.found if f.used_as == "forces")
    assert (found.per, found.shape, found.frames, found.unit, found.assumed) == (
        "atom",
        (3,),
        3,
        "eV/Å",
        True,
    )


def test_a_name_that_is_not_there_lists_what_is_and_the_nearest(tmp_path):
    path = write(tmp_path / "a.xyz", renamed(waters(3), "energy_xtb", "forces_xtb"))
    text = message(path, {"forces": "force_xtb"})
    assert "no 'force_xtb' (keys.forces) in the file. Did you mean 'forces_xtb'?" in text
    assert "forces_xtb: 3 numbers per atom" in text and "in 3 frames" in text
    assert "Paste keys.forces=NAME, or targets.energy.forces=false to do without." in text


def test_required_forces_that_are_nowhere_list_the_arrays_of_the_file(tmp_path):
    path = write(tmp_path / "a.xyz", renamed(waters(3), "energy", "forces_xtb"))
    with pytest.raises(ValueError) as error:
        read(path).require(["energy", "forces"])
    assert "no forces found. Numbers per atom in the file:\n  forces_xtb: 3 numbers per atom" in str(
        error.value
    )
    assert "Paste keys.forces=NAME, or targets.energy.forces=false" in str(error.value)


def test_a_typo_in_a_property_names_the_nearest(tmp_path):
    path = write(tmp_path / "a.xyz", waters(2))
    assert "keys.engery: no such property. Did you mean 'energy'?" in message(path, {"engery": "E"})
    assert "units.force: no such quantity. Did you mean 'forces'?" in message(path, units={"force": "eV/Å"})
    assert "unit of energy: found 'hartree'. Did you mean 'Hartree'?" in message(
        path, units={"energy": "hartree"}
    )


def test_two_candidates_with_different_numbers_are_ambiguous(tmp_path):
    images = renamed(waters(3), "REF_energy", None)
    for image, other in zip(images, waters(3), strict=True):
        image.calc = SinglePointCalculator(image, energy=other.calc.results["energy"] + 1.0)
    path = write(tmp_path / "a.xyz", images)
    text = message(path)
    assert "energy is ambiguous, 'energy' and 'REF_energy' differ (frame 0: " in text
    assert "Paste keys.energy=energy or keys.energy=REF_energy" in text
    assert read(path, {"energy": "REF_energy"})[0].labels["energy"] == pytest.approx(
        waters(3)[0].calc.results["energy"], abs=1e-6
    )


def test_two_candidates_with_equal_numbers_are_one(tmp_path):
    images = renamed(waters(3), "TotEnergy", "force")
    for image, other in zip(images, waters(3), strict=True):
        image.calc = SinglePointCalculator(image, **other.calc.results)
    assert set(read(write(tmp_path / "a.xyz", images)).labels) == {"energy", "forces"}


def test_null_leaves_a_property_out(tmp_path):
    path = write(tmp_path / "a.xyz", waters(2))
    assert read(path, {"forces": None}).labels == ("energy",)


def test_bare_words_of_a_comment_are_no_labels(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("1\n charge 1.0 dipole 0.3 energy\nH 0 0 0\n")
    frame = read(path)[0]
    assert not frame.labels and frame.charge is None


def test_declared_tensors_are_read_as_rows(tmp_path):
    image = waters(1)[0]
    image.info["quadrupole"] = np.arange(6.0)
    image.arrays["born"] = np.arange(27.0).reshape(3, 9)
    path = write(tmp_path / "a.xyz", [image])
    frame = read(path, {"born_charges": "born"}, tensors={"born_charges": (3, 3), "quadrupole": (6,)})[0]
    assert frame.labels["born_charges"].shape == (3, 3, 3) and frame.labels["quadrupole"].shape == (1, 6)


# --- labels


def test_forces_are_the_raw_ones_whatever_is_constrained(tmp_path):
    image = water(np.random.default_rng(0))
    raw = image.calc.results["forces"].copy()
    image.set_constraint(FixAtoms([0]))
    database = tmp_path / "a.db"
    with ase.db.connect(database) as connection:
        connection.write(image)
    trajectory = tmp_path / "a.traj"
    ase.io.write(trajectory, image)
    moved = renamed([image], "REF_energy", "REF_forces")
    moved[0].set_constraint(FixAtoms([0]))
    ase.io.write(
        tmp_path / "a.xyz",
        moved,
        format="extxyz",
        columns=["symbols", "positions", "REF_forces", "move_mask"],
    )
    for path in (database, trajectory, tmp_path / "a.xyz"):
        np.testing.assert_allclose(read(path)[0].labels["forces"], raw, atol=1e-8)


def test_missing_labels_are_absent_not_zero(tmp_path):
    images = waters(3)
    images[1].calc = None
    frames = read(write(tmp_path / "a.xyz", images))
    assert [set(f.labels) for f in frames] == [{"energy", "forces"}, set(), {"energy", "forces"}]
    assert frames.count("energy") == 2
    with pytest.raises(ValueError, match="1 of 3 frames have no energy, the first is frame 1"):
        frames.require(["energy"], everywhere=True)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_nan_labels_name_frame_and_atom(tmp_path, number):
    images = waters(3)
    images[2].calc.results["forces"][1, 2] = number
    path = write(tmp_path / "a.xyz", images)
    assert f"a.xyz, frame 2, atom 1: forces is {number}" in message(path)
    images = waters(3)
    images[1].calc.results["energy"] = number
    assert f"b.xyz, frame 1: energy is {number}" in message(write(tmp_path / "b.xyz", images))


def test_a_label_that_is_no_number_is_named(tmp_path):
    path = write(tmp_path / "a.xyz", renamed(waters(2), "REF_energy", None))
    lines = path.read_text().splitlines()
    lines[6] = 'Properties=species:S:1:pos:R:3 REF_energy=********** pbc="F F F"'
    path.write_text("\n".join(lines))
    assert "a.xyz, frame 1: REF_energy = '**********' is not a number" in message(path)


def test_units_are_converted_by_name(tmp_path):
    images = scaled(waters(2), 1 / units.hartree, units.bohr / units.hartree)
    frames = read(write(tmp_path / "a.xyz", images), units={"energy": "Ha", "forces": "Ha/bohr"})
    for frame, image in zip(frames, waters(2), strict=True):
        assert frame.labels["energy"] == pytest.approx(image.calc.results["energy"], abs=1e-5)
        np.testing.assert_allclose(frame.labels["forces"], image.calc.results["forces"], atol=1e-5)


def test_a_unit_of_energy_does_not_silently_become_that_of_forces(tmp_path):
    path = write(tmp_path / "a.xyz", waters(2))
    assert "leave the unit of forces open. Paste units.forces=Ha/Å" in message(path, units={"energy": "Ha"})
    assert "Paste units.forces=eV/bohr" in message(path, units={"length": "bohr"})
    crystal = bulk("Si")
    crystal.calc = SinglePointCalculator(crystal, energy=-1.0, stress=np.ones(6))
    assert "leave the unit of stress open" in message(
        write(tmp_path / "b.xyz", [crystal]), units={"energy": "Ha"}
    )


def test_positions_in_bohr(tmp_path):
    path = write(tmp_path / "a.xyz", [molecule("H2O")])
    np.testing.assert_allclose(
        read(path, units={"length": "bohr"})[0].positions, molecule("H2O").positions * units.bohr, atol=1e-7
    )


def test_a_virial_becomes_a_stress_with_its_sign(tmp_path):
    crystal = bulk("Si")
    crystal.info["virial"] = np.diag([3.0, 2.0, 1.0])
    frames = read(write(tmp_path / "a.xyz", [crystal]))
    np.testing.assert_allclose(frames[0].labels["stress"], -np.diag([3.0, 2.0, 1.0]) / crystal.get_volume())
    assert frames.labels == ("stress",) and "−W/V" in frames.notes[0]


def test_stress_and_virial_that_disagree_are_refused(tmp_path):
    crystal = bulk("Si")
    crystal.info["virial"] = np.eye(3)
    crystal.calc = SinglePointCalculator(crystal, stress=np.array([1.0, 1, 1, 0, 0, 0]))
    text = message(write(tmp_path / "a.xyz", [crystal]))
    assert "stress and virial disagree" in text and "keys.virial=null" in text


def test_six_numbers_of_a_stress_are_in_the_order_of_ase(tmp_path):
    crystal = bulk("Si")
    crystal.info["REF_stress"] = np.arange(1.0, 7.0)
    stress = read(write(tmp_path / "a.xyz", [crystal]))[0].labels["stress"]
    np.testing.assert_array_equal(stress, [[1, 6, 5], [6, 2, 4], [5, 4, 3]])


def test_stress_without_a_volume_is_left_out_and_said(tmp_path):
    image = molecule("H2O")
    image.calc = SinglePointCalculator(image, energy=-1.0, stress=np.zeros(6))
    frames = read(write(tmp_path / "a.xyz", [image]))
    assert frames.labels == ("energy",)
    assert any("stress of frames that are not periodic" in note for note in frames.notes)


def test_six_numbers_of_a_polarizability_ask_for_their_order(tmp_path):
    image = molecule("H2O")
    image.info["polarizability"] = np.arange(1.0, 7.0)
    path = write(tmp_path / "a.xyz", [image])
    text = message(path)
    assert "polarizability has 6 numbers in an unknown order" in text
    assert "data.components={polarizability: xx yy zz yz xz xy}" in text
    frame = read(path, components={"polarizability": "xx xy xz yy yz zz"})[0]
    np.testing.assert_array_equal(frame.labels["polarizability"], [[1, 2, 3], [2, 4, 5], [3, 5, 6]])
    assert "expected an order of" in message(path, components={"polarizability": "xx yy"})


def test_nine_numbers_stay_as_they_are_unless_symmetrized(tmp_path):
    image = molecule("H2O")
    image.info["polarizability"] = np.arange(9.0)
    path = write(tmp_path / "a.xyz", [image])
    np.testing.assert_array_equal(read(path)[0].labels["polarizability"], np.arange(9.0).reshape(3, 3))
    symmetric = read(path, symmetrize=["polarizability"])[0].labels["polarizability"]
    np.testing.assert_array_equal(symmetric, symmetric.T)


# --- isolated atoms, charges, groups


def test_isolated_atoms_are_kept_apart(tmp_path):
    lone = bulk("Si", "sc", a=2.5)
    frames = read(write(tmp_path / "a.xyz", [atom("H"), *waters(2), molecule("O"), lone]))
    assert [f.isolated for f in frames] == [True, False, False, True, False]
    assert len(frames.structures) == 3 and len(frames.isolated) == 2
    assert read(write(tmp_path / "b.xyz", [lone]), isolated=True)[0].isolated


def test_an_ion_is_no_reference_atom(tmp_path):
    ion = molecule("H")
    ion.info["charge"] = 1
    frame = read(write(tmp_path / "a.xyz", [ion]))[0]
    assert not frame.isolated and frame.charge == 1.0


def test_charge_spin_and_group(tmp_path):
    image = molecule("H2O")
    image.info.update(total_charge=-1, multiplicity=2, config_type="md_300K", temperature=300)
    path = write(tmp_path / "a.xyz", [image])
    frame = read(path)[0]
    assert (frame.charge, frame.spin, frame.group) == (-1.0, 2.0, "md_300K")
    assert read(path, {"group": "temperature"})[0].group == "300"


# --- files that cannot be read


@pytest.mark.parametrize("name", ["a.xyz", "a.db", "a.npz", "a.traj", "a.whatever"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    assert f"{name}: the file is empty" in message(tmp_path / name)


def test_blank_lines_are_an_empty_file_too(tmp_path):
    (tmp_path / "a.xyz").write_text("\n\n")
    assert "the file is empty" in message(tmp_path / "a.xyz")


def test_a_missing_file_and_a_folder(tmp_path):
    assert "no such file" in message(tmp_path / "nowhere.xyz")
    assert "is a folder" in message(tmp_path)


def test_a_truncated_file_says_where_and_what_can_be_saved(tmp_path):
    path = write(tmp_path / "a.xyz", waters(3))
    path.write_text("\n".join(path.read_text().splitlines()[:-2]))
    text = message(path)
    assert "a.xyz, frame 2: truncated: 3 atoms announced in line 11, 1 found" in text
    assert "delete its last 3 lines to keep the 2 frames before" in text


def test_a_cut_line_is_not_read_as_an_atom(tmp_path):
    path = write(tmp_path / "a.xyz", waters(2))
    path.write_text(path.read_text()[:-40])
    assert "a.xyz, frame 1: not readable as extended XYZ: line 10 has" in message(path)


@pytest.mark.parametrize(
    "columns, line, said",
    [
        (
            "pos:R:3:forces:R:3",
            "H 0 0 0,7 0 0 0",
            "line 6 has '0,7' in column pos, where a number such as 0.001",
        ),
        (
            "pos:R:3:forces:R:3",
            "H 0 0 0 0 0 ****",
            "line 6 has '****' in column forces, where a number such as",
        ),
        (
            "pos:R:3:forces:R:3",
            "H 0 0 0.7-1.2 0 0",
            "line 6 has 6 columns, expected 7 (species, pos, forces). ",
        ),
        ("pos:R:3:tag:I:1", "H 0 0 0.7 1.5", "line 6 has '1.5' in column tag, where a whole number belongs"),
        ("pos:Q:3", "H 0 0 0.7", "Unknown property type: Q. See the comment of the frame, line 5."),
    ],
)
def test_a_wrong_atom_line_is_found(tmp_path, columns, line, said):
    path = tmp_path / "a.xyz"
    path.write_text(f"1\n\nH 0 0 0\n1\nProperties=species:S:1:{columns}\n{line}\n")
    assert f"a.xyz, frame 1: not readable as extended XYZ: {said}" in message(path)


def test_frames_behind_a_blank_line_are_not_lost(tmp_path):
    path = write(tmp_path / "a.xyz", waters(1))
    path.write_text(path.read_text() + "\n" + path.read_text())
    assert "a.xyz, frame 1: line 6 should be a number of atoms, found ''" in message(path)


def test_columns_that_properties_does_not_name_are_said(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("1\n\nH 0 0 0 0.1 0.2 0.3\n")
    assert "frame 0: 7, named 4): the others are not read" in read(path).notes[0]
    path.write_text('1\nProperties="species:S:1:pos:R:3:forces:R:3"\nH 0 0 0 0.1 0.2 0.3\n')
    assert not read(path).notes


def test_labels_that_are_nan_everywhere_are_no_missing_labels(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("1\nREF_energy=nan\nH 0 0 0\n" * 2)
    assert "a.xyz, frame 0: REF_energy is nan" in message(path)


def test_blank_lines_at_the_end_are_harmless(tmp_path):
    path = write(tmp_path / "a.xyz", waters(2))
    path.write_text(path.read_text() + "\n\n")
    assert len(read(path)) == 2


@pytest.mark.parametrize("suffix, opener", [(".gz", gzip.open), (".bz2", bz2.open), (".xz", lzma.open)])
def test_a_truncated_archive(tmp_path, suffix, opener):
    path = tmp_path / f"a.xyz{suffix}"
    with opener(path, "wb") as file:
        file.write(write(tmp_path / "a.xyz", waters(20)).read_bytes())
    path.write_bytes(path.read_bytes()[:-200])
    assert "the file is damaged or truncated" in message(path)


def test_damaged_npz_and_database(tmp_path):
    path = _npz(tmp_path)
    path.write_bytes(path.read_bytes()[:-300])
    assert "not a readable npz file, damaged or truncated" in message(path)
    (tmp_path / "a.db").write_bytes(b"SQLite format 3\x00 and then nothing")
    assert "not readable as an ASE database" in message(tmp_path / "a.db")


def test_an_unknown_format(tmp_path):
    (tmp_path / "a.whatever").write_text("hello\n")
    assert "unknown format" in message(tmp_path / "a.whatever")


def test_an_element_that_does_not_exist(tmp_path):
    (tmp_path / "a.xyz").write_text("1\n\nQq 0 0 0\n")
    said = message(tmp_path / "a.xyz")
    assert "a.xyz, frame 0: not readable as extended XYZ: found 'Qq' where a chemical symbol belongs" in said


def test_a_place_without_an_element(tmp_path):
    """X is what ASE calls it; a model would learn it as one more element."""
    (tmp_path / "a.xyz").write_text("2\n\nH 0 0 0\nX 0 0 1\n")
    assert "a.xyz, frame 0: atom 1 is X, a place without an element. Remove it" in message(tmp_path / "a.xyz")


@pytest.mark.parametrize(
    ("properties", "line", "missing"),
    [("pos:R:3", "0 0 1", "of chemical symbols"), ("species:S:1:forces:R:3", "H 0 0 1", "of positions")],
)
def test_columns_without_which_there_is_no_structure(tmp_path, properties, line, missing):
    """ASE reads both without a word."""
    (tmp_path / "a.xyz").write_text(f"1\nProperties={properties} energy=1.0\n{line}\n")
    assert f"a.xyz, frame 0: no column {missing}: Properties names" in message(tmp_path / "a.xyz")


class _Trap:
    """Would write a file if it were ever unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("name", ["a.pkl", "a.pt", "a.xyz", "a.dat", "a.npz"])
def test_pickles_are_refused_and_never_run(tmp_path, name):
    target = tmp_path / "executed"
    (tmp_path / name).write_bytes(pickle.dumps(_Trap(target)))
    text = message(tmp_path / name)
    assert "could run code when opened" in text or "not data" in text
    assert not target.exists()


def test_npz_with_objects_is_refused_and_never_run(tmp_path):
    target = tmp_path / "executed"
    objects = np.array([_Trap(target)], dtype=object)
    np.savez(tmp_path / "a.npz", R=np.zeros((1, 1, 3)), z=np.array([1]), E=objects)
    assert "holds Python objects (pickle), which could run code when opened" in message(tmp_path / "a.npz")
    assert not target.exists()


# --- published sets, where they are at hand


@pytest.mark.slow
def test_published_sets_can_be_read(test_data):
    kcal = {"energy": "kcal/mol", "forces": "kcal/mol/Å"}
    for path in sorted(test_data.glob("*/*.xyz.xz")):
        assert len(read(path))
    for path in test_data.glob("*ethanol*/*.npz"):
        assert set(read(path, units=kcal).labels) == {"energy", "forces"}
