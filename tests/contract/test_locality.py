"""A finite range: smooth at the cutoff, additive, the same in every description of a crystal."""

import pytest

from contract.every_model import ELEMENTS, SYSTEMS
from equipot import testing

# What two linear extrapolations over 1e-5 Å leave of a curved function, and round-off/1e-5 in single precision.
JUMP = {"float64": 1e-7, "float32": 1e-4, "fast": 1e-4}


@pytest.mark.parametrize("targets", ["everything", "at positions"])
def test_nothing_jumps_at_the_cutoff(made, precision, targets):
    residuals = testing.cutoff_jump(made(targets))
    assert testing.worst(residuals) < JUMP[precision], residuals


def test_distant_molecules_add(made, tolerance):
    potential = made("extensive")
    other = testing.molecule(ELEMENTS, num_atoms=4, seed=5)
    residuals = testing.fragments_add(potential, SYSTEMS["molecule"], other)
    assert {"energy", "forces", "dipole", "polarizability", "octupole", "irreps_atom"} <= set(residuals)
    assert testing.worst(residuals) < tolerance, residuals


def test_distant_atoms_add(made, tolerance):
    potential = made("extensive")
    residuals = testing.fragments_add(potential, testing.one_atom(1), testing.one_atom(8))
    assert testing.worst(residuals) < tolerance, residuals


def test_isolated_atoms_are_finite_and_feel_no_force(made):
    assert testing.worst(testing.isolated_atoms(made("everything"))) == 0.0


@pytest.mark.parametrize("name", ["thin cell", "slab"])
def test_a_cell_equals_its_supercell(made, name, tolerance):
    residuals = testing.supercell(made("everything"), SYSTEMS[name], (3, 2, 2))
    assert {"energy", "forces", "charges"} <= set(residuals)
    assert testing.worst(residuals) < tolerance, residuals


@pytest.mark.parametrize("name", ["bulk", "thin cell"])
def test_left_handed_cells(made, name, tolerance):
    residuals = testing.handedness(made("everything"), SYSTEMS[name])
    assert "stress" in residuals
    assert testing.worst(residuals) < tolerance, residuals
