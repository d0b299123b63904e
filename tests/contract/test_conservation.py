"""Momentum, angular momentum and charge."""

from dataclasses import replace

import pytest

from contract.every_model import SYSTEMS, small
from equipot import testing


def test_net_force_vanishes(architecture, dtype, system, tolerance):
    assert testing.net_force(small(architecture, "scalars only", dtype), SYSTEMS[system]) < tolerance


@pytest.mark.parametrize("name", ["molecule", "one atom", "two far atoms"])
def test_net_torque_vanishes(architecture, dtype, name, tolerance):
    assert testing.net_torque(small(architecture, "scalars only", dtype), SYSTEMS[name]) < tolerance


@pytest.mark.parametrize("charge", [0.0, -2.0])
def test_charges_sum_to_the_total(architecture, dtype, system, charge):
    """Shifted in float64, whatever the precision of the model."""
    frame = replace(SYSTEMS[system], charge=charge)
    assert testing.total_charge_error(small(architecture, "everything", dtype), frame) < 1e-12
