"""Every output of every model turns, mirrors, moves and permutes with the structure."""

from dataclasses import replace

import pytest
import torch

from contract.every_model import SYSTEMS, small
from equipot import testing

CHECKS = [
    testing.rotation,
    testing.reflection,
    testing.translation,
    testing.permutation,
    testing.periodic_images,
    testing.edge_order,
    testing.memory_layout,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_symmetry(check, made, system, tolerance):
    residuals = check(made("everything"), SYSTEMS[system])
    assert testing.worst(residuals) < tolerance, residuals


@pytest.mark.parametrize("check", CHECKS[:4], ids=lambda check: check.__name__)
@pytest.mark.parametrize("targets", ["at positions", "extensive"])
def test_other_forms_of_the_heads(check, targets, made, tolerance):
    residuals = check(made(targets), SYSTEMS["molecule"])
    assert testing.worst(residuals) < tolerance, residuals


def test_dipole_of_an_ion_moves_with_its_charge(made, tolerance):
    ion = replace(SYSTEMS["molecule"], charge=1.0)
    for targets in ("everything", "at positions"):  # measured from the centre of mass, and from the origin
        residuals = testing.translation(made(targets), ion)
        assert residuals["dipole"] < tolerance


def test_batch_equals_loop(made, tolerance):
    molecules = [SYSTEMS[name] for name in ("molecule", "one atom", "two far atoms", "molecule")]
    crystals = [SYSTEMS[name] for name in ("bulk", "thin cell", "bulk")]
    for frames in (molecules, crystals):
        residuals = testing.batch_composition(made("everything"), frames)
        assert testing.worst(residuals) < tolerance, residuals


def test_outputs_are_not_trivially_small(architecture):
    """Otherwise everything above says nothing."""
    potential = small(architecture, "everything", torch.float64)
    found = dict(testing.predict(potential, SYSTEMS["molecule"]).items())
    assert {n for n, v in found.items() if float(v.abs().max()) < 0.05} == set()
