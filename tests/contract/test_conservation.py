"""Momentum, angular momentum and charge."""

from dataclasses import replace

import pytest

from contract.every_model import SYSTEMS
from equipot import testing


def test_net_force_vanishes(made, system, tolerance):
    assert testing.net_force(made("scalars only"), SYSTEMS[system]) < tolerance


@pytest.mark.parametrize("name", ["molecule", "one atom", "two far atoms"])
def test_net_torque_vanishes(made, name, tolerance):
    assert testing.net_torque(made("scalars only"), SYSTEMS[name]) < tolerance


@pytest.mark.parametrize("charge", [0.0, -2.0])
def test_charges_sum_to_the_total(made, system, charge):
    """Shifted in float64, whatever the precision of the model."""
    frame = replace(SYSTEMS[system], charge=charge)
    assert testing.total_charge_error(made("everything"), frame) < 1e-12
