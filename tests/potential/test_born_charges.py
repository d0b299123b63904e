"""Born effective charges: the sum rule, their index order, and the derivative of a dipole as the same thing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.potential import PotentialConfig, born_charges, sum_rule_violation
from equipot.testing import crystal, molecule, predict, random_potential, worst
from equipot.testing import rotation as rotated

ELEMENTS = (1, 6, 8)
CRYSTAL = crystal(ELEMENTS)
ION = replace(molecule(ELEMENTS), charge=1.0)


def potential(name: str = "painn", **targets):
    model = {"name": name, "channels": 8, "num_layers": 2, "cutoff": 3.0}
    return random_potential(parse(PotentialConfig, {"model": model, "targets": targets}, "test"), ELEMENTS)


def batch(model, *frames):
    return batch_of(frames, model.elements, model.cutoff)


@pytest.mark.parametrize("name", ["painn", "nequip"])  # from products of vectors, and from features 1e and 2e
def test_they_sum_to_the_total_charge_and_are_not_symmetric(name):
    model = potential(name, born_charges={})
    systems = batch(model, CRYSTAL, ION)
    found = born_charges(model, systems)
    sums = systems.sum_over_systems(found)
    expected = torch.stack([torch.zeros(3, 3), torch.eye(3)]).double()
    torch.testing.assert_close(sums, expected, rtol=0, atol=1e-12)
    assert (found - found.transpose(1, 2)).abs().max() > 0.1
    assert worst(rotated(model, CRYSTAL)) < 1e-10


def test_the_violation_before_the_rule_is_what_the_shift_took_away():
    model = potential(born_charges={})
    systems = batch(model, CRYSTAL)
    violation = sum_rule_violation(model, systems)
    assert violation.abs().max() > 0.1
    head = model.heads["born_charges"]
    raw = head.unconstrained(model.features(systems), systems)
    torch.testing.assert_close(raw.sum(0), violation[0], rtol=0, atol=1e-12)
    found = predict(model, CRYSTAL).born_charges
    torch.testing.assert_close(raw - violation / len(raw), found, rtol=0, atol=1e-12)


@pytest.mark.parametrize("origin", ["center of mass", "coordinates"])
def test_a_dipole_is_differentiated(origin):
    """Z[i, a, b] = ∂M_a/∂r_ib, of an ion: the dipole about the center of mass does not move with it."""
    model = potential(dipole={"origin": origin})
    found = born_charges(model, batch(model, ION)).numpy()
    np.testing.assert_allclose(found.sum(0), np.eye(3), atol=1e-12)
    step, masses = 1e-5, np.array([1.008, 12.011, 15.999])[np.searchsorted(ELEMENTS, ION.numbers)]
    for atom, b in ((0, 1), (2, 0)):
        shift = np.zeros_like(ION.positions)
        shift[atom, b] = step
        ends = [
            predict(model, replace(ION, positions=ION.positions + sign * shift)).dipole[0].numpy()
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * step)
        if origin == "center of mass":
            slope[b] += masses[atom] / masses.sum()
        np.testing.assert_allclose(found[atom, :, b], slope, atol=1e-7)


def test_they_turn_with_the_molecule():
    """Σ_i Z_i·(n × r_i) = n × μ for a neutral molecule: fails for the transposed order."""
    model, frame = potential(dipole={}), molecule(ELEMENTS)
    found = born_charges(model, batch(model, frame)).numpy()
    dipole = predict(model, frame).dipole[0].numpy()
    axis = np.array([0.3, -0.5, 0.8])
    turn = np.cross(axis, frame.positions)
    np.testing.assert_allclose(np.einsum("iab,ib->a", found, turn), np.cross(axis, dipole), atol=1e-10)
    assert np.abs(np.einsum("iba,ib->a", found, turn) - np.cross(axis, dipole)).max() > 1e-2


def test_a_model_with_neither_says_what_to_train():
    model = potential()
    with pytest.raises(ValueError, match="no Born charges, and no dipole to differentiate"):
        born_charges(model, batch(model, CRYSTAL))
    with pytest.raises(ValueError, match="not Born charges"):
        sum_rule_violation(potential(dipole={}), batch(model, CRYSTAL))
