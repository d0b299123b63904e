"""Charge and multiplicity: every architecture can be told of them, and none replaces a missing one."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from contract.every_model import ELEMENTS, SYSTEMS, configuration
from equipot import testing
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.potential import Potential
from equipot.testing import random_potential


@cache
def conditioned(architecture: str, *names: str, targets: str = "scalars only") -> Potential:
    """A small model that reads the conditions; all heads where asked for."""
    config = configuration(architecture, targets)
    model = config.model.model_copy(update={"conditions": names})
    return random_potential(config.model_copy(update={"model": model}), ELEMENTS)


def in_state(charge: float | None, spin: float | None, name: str = "molecule") -> Frame:
    return replace(SYSTEMS[name], charge=charge, spin=spin)


def energies(potential: Potential, *frames: Frame) -> torch.Tensor:
    return potential(batch_of(frames, ELEMENTS, potential.cutoff)).energy.detach()


def test_charge_and_multiplicity_change_the_energy(architecture):
    """Each by itself, and forces with them: curves of different states are not parallel."""
    potential = conditioned(architecture, "charge", "spin")
    states = [in_state(*s) for s in ((0.0, 1.0), (1.0, 1.0), (0.0, 3.0), (-1.0, 2.0))]
    out = potential(batch_of(states, ELEMENTS, potential.cutoff), forces=True)
    energy, forces = out.energy.detach(), out.forces.view(4, -1, 3)
    for a, b in ((0, 1), (0, 2), (1, 3)):
        assert abs(float(energy[a] - energy[b])) > 1e-3
        assert float((forces[a] - forces[b]).abs().max()) > 1e-3


def test_a_batch_of_states_equals_a_loop(architecture):
    potential = conditioned(architecture, "charge", "spin")
    frames = [
        in_state(q, s, n)
        for n in ("molecule", "one atom", "two far atoms")
        for q, s in ((0.0, 1.0), (1.0, 2.0))
    ]
    assert testing.worst(testing.batch_composition(potential, frames)) < 1e-10


@pytest.mark.parametrize(
    "check", [testing.rotation, testing.reflection, testing.permutation], ids=lambda c: c.__name__
)
def test_symmetries_of_every_head(architecture, check):
    potential = conditioned(architecture, "charge", "spin", targets="everything")
    residuals = check(potential, in_state(1.0, 2.0))
    assert testing.worst(residuals) < 1e-10, residuals


def test_derivatives(architecture):
    potential = conditioned(architecture, "charge")
    assert testing.forces_by_differences(potential, in_state(1.0, None), max_components=9) < 1e-7
    assert testing.worst(testing.cutoff_jump(potential, max_pairs=2)) < 1e-7


def test_what_the_model_does_not_read_is_nothing_to_it(architecture):
    """The charge alone: a multiplicity that is there changes no bit."""
    potential = conditioned(architecture, "charge")
    assert torch.equal(energies(potential, in_state(1.0, 2.0)), energies(potential, in_state(1.0, None)))


@pytest.mark.parametrize(
    ("names", "state", "message"),
    [
        (
            ("charge",),
            (None, 1.0),
            r"reads the total charge .* data\.keys\.charge; an ase\.Atoms .* atoms\.info\['charge'\]",
        ),
        (("charge", "spin"), (0.0, None), r"reads the multiplicity .* data\.keys\.spin"),
        (
            ("charge",),
            (2.0, None),
            r"system 0 of the batch: total charge 2; this model was trained on -1, 0, 1",
        ),
        (("spin",), (None, 5.0), r"system 0 of the batch: multiplicity 5; this model was trained on 1, 2, 3"),
    ],
)
def test_missing_and_unseen_values_are_refused(names, state, message):
    with pytest.raises(ValueError, match=message):
        energies(conditioned("painn", *names), in_state(*state))


def test_fragments_of_equal_state_add_and_others_are_not_compared():
    """Neutral singlets far apart make a neutral singlet; a cation and a neutral molecule share one charge."""
    potential = conditioned("painn", "charge", "spin")
    neutral, other = in_state(0.0, 1.0), replace(testing.molecule(ELEMENTS, 4, seed=5), spin=1.0)
    residuals = testing.fragments_add(potential, neutral, other)
    assert {"energy", "forces"} <= set(residuals) and testing.worst(residuals) < 1e-10
    assert testing.fragments_add(potential, in_state(1.0, 1.0), other) == {}
    gap = 3 * potential.cutoff
    both = replace(
        neutral,
        numbers=np.concatenate([neutral.numbers, other.numbers]),
        positions=np.concatenate([neutral.positions, other.positions + np.array([gap + 10.0, 0, 0])]),
        charge=1.0,
        vectors={},
    )
    cation = in_state(1.0, 1.0)
    apart = float(energies(potential, cation).sum() + energies(potential, other).sum())
    assert abs(float(energies(potential, both).sum()) - apart) > 1e-3  # what the documentation warns of


def test_a_charged_cell_is_not_compared_with_its_supercell():
    potential = conditioned("painn", "charge")
    assert testing.supercell(potential, in_state(1.0, None, "thin cell"), (2, 1, 1)) == {}
    residuals = testing.supercell(potential, in_state(0.0, None, "thin cell"), (2, 1, 1))
    assert testing.worst(residuals) < 1e-10


def test_on_a_gpu_or_compiled_an_unseen_value_is_not_a_number():
    """There a message would cost a synchronization in every step: nothing passes for an energy all the same."""
    potential = conditioned("painn", "charge")
    row = potential.conditions.rows[0]
    row._refuse_unseen = lambda found, matches: None
    try:
        assert torch.isnan(energies(potential, in_state(2.0, None))).all()
    finally:
        del row._refuse_unseen
