"""A finite range: smooth at the cutoff, additive, the same in every description of a crystal."""

import pytest
import torch

from contract.every_model import ELEMENTS, SYSTEMS, small
from equipot import testing

# What two linear extrapolations over 1e-5 Å leave of a curved function, and round-off/1e-5 in single precision.
JUMP = {torch.float64: 1e-7, torch.float32: 1e-4}


@pytest.mark.parametrize("targets", ["everything", "at positions"])
def test_nothing_jumps_at_the_cutoff(architecture, dtype, targets):
    residuals = testing.cutoff_jump(small(architecture, targets, dtype))
    assert testing.worst(residuals) < JUMP[dtype], residuals


def test_distant_molecules_add(architecture, dtype, tolerance):
    potential = small(architecture, "extensive", dtype)
    other = testing.molecule(ELEMENTS, num_atoms=4, seed=5)
    residuals = testing.fragments_add(potential, SYSTEMS["molecule"], other)
    assert {"energy", "forces", "dipole", "polarizability", "octupole", "irreps_atom"} <= set(residuals)
    assert testing.worst(residuals) < tolerance, residuals


def test_distant_atoms_add(architecture, dtype, tolerance):
    potential = small(architecture, "extensive", dtype)
    residuals = testing.fragments_add(potential, testing.one_atom(1), testing.one_atom(8))
    assert testing.worst(residuals) < tolerance, residuals


def test_isolated_atoms_are_finite_and_feel_no_force(architecture, dtype):
    assert testing.worst(testing.isolated_atoms(small(architecture, "everything", dtype))) == 0.0


@pytest.mark.parametrize("name", ["thin cell", "slab"])
def test_a_cell_equals_its_supercell(architecture, dtype, name, tolerance):
    residuals = testing.supercell(small(architecture, "everything", dtype), SYSTEMS[name], (3, 2, 2))
    assert {"energy", "forces", "charges"} <= set(residuals)
    assert testing.worst(residuals) < tolerance, residuals


@pytest.mark.parametrize("name", ["bulk", "thin cell"])
def test_left_handed_cells(architecture, dtype, name, tolerance):
    residuals = testing.handedness(small(architecture, "everything", dtype), SYSTEMS[name])
    assert "stress" in residuals
    assert testing.worst(residuals) < tolerance, residuals
