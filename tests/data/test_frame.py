"""Frames and ASE's atoms."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from equipot.data.frame import Frame


def test_a_frame_becomes_atoms_and_comes_back():
    atoms = molecule("H2O", vacuum=3.0)
    atoms.pbc = [True, True, False]
    atoms.info.update(charge=1, spin=2)
    frame = Frame.from_atoms(atoms, source="a.xyz", index=4)
    back = Frame.from_atoms(frame.atoms())
    for name in ("numbers", "positions", "cell", "pbc"):
        np.testing.assert_array_equal(getattr(back, name), getattr(frame, name))
    assert (back.charge, back.spin) == (1.0, 2.0)
    assert frame.where == "a.xyz, frame 4" and frame.formula == "H2O"


def test_labels_are_where_ase_keeps_them(rng):
    stress = rng.normal(size=(3, 3))
    stress = stress + stress.T
    frame = Frame.from_atoms(molecule("H2O")).with_labels(
        energy=np.array(-1.0),
        forces=rng.normal(size=(3, 3)),
        stress=stress,
        polarizability=np.eye(3),
        born=rng.normal(size=(3, 3, 3)),
    )
    atoms = frame.atoms()
    assert atoms.get_potential_energy() == -1.0
    np.testing.assert_array_equal(atoms.get_forces(), frame.labels["forces"])
    np.testing.assert_allclose(atoms.get_stress(voigt=False), stress)
    assert atoms.info["polarizability"].shape == (9,) and atoms.arrays["born"].shape == (3, 9)


def test_old_results_of_a_calculator_are_not_labels():
    atoms = molecule("H2O")
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
    assert not Frame.from_atoms(atoms).labels


def test_an_all_zero_cell_is_no_cell():
    frame = Frame.from_atoms(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]], pbc=True))
    assert not frame.pbc.any()
    slab = Atoms("H", cell=[[3, 0, 0], [0, 3, 0], [0, 0, 0]], pbc=True)
    assert Frame.from_atoms(slab).pbc.tolist() == [True, True, False]


def test_the_volume_of_a_left_handed_cell_is_positive():
    atoms = Atoms("H", cell=[[0, 2, 0], [2, 0, 0], [0, 0, 2]], pbc=True)
    assert Frame.from_atoms(atoms).volume() == pytest.approx(8.0)


def test_a_charge_that_is_no_number_is_refused():
    atoms = molecule("H2O")
    atoms.info["charge"] = "neutral"
    with pytest.raises(ValueError, match=r"b\.xyz, frame 0: charge = 'neutral': expected one number"):
        Frame.from_atoms(atoms, source="b.xyz")
