"""Frozen potentials: the numbers of the model, from tables, with forces that are derivatives of the energy."""

import pytest
import torch

from equipot import testing
from equipot.config import parse
from equipot.nn.radial_network import RadialFunction
from equipot.potential import PotentialConfig
from equipot.potential.freeze import TOLERANCE, frozen, table_errors
from equipot.testing import crystal, molecule

ELEMENTS, CUTOFF = (1, 6, 8), 4.0
TABULATED = {
    "schnet": {},
    "painn": {},
    "nequip": {"l_max": 2},
    "mace": {"l_max": 2},
    "ictp": {"l_max": 2},
    "tensornet": {},
}


def potential_of(name: str, dtype: torch.dtype, **options):
    model = {
        "name": name,
        "channels": 8,
        "num_layers": 2,
        "cutoff": CUTOFF,
        **TABULATED.get(name, {}),
        **options,
    }
    return testing.random_potential(parse(PotentialConfig, {"model": model}, "test"), ELEMENTS).to(dtype)


@pytest.mark.parametrize(
    ("dtype", "tolerance", "expected_within"), [(torch.float64, 1e-9, 1e-6), (torch.float32, TOLERANCE, 1e-4)]
)
@pytest.mark.parametrize("name", TABULATED)
def test_tables_give_the_numbers_of_the_network(name, dtype, tolerance, expected_within):
    potential = potential_of(name, dtype)
    quick = frozen(potential, tolerance)
    errors = table_errors(quick)
    assert errors and max(errors.values()) <= tolerance
    for frame in (molecule(ELEMENTS), crystal(ELEMENTS)):
        expected, found = (testing.predict(p, frame) for p in (potential, quick))
        assert testing.worst(testing.compare(potential, found, expected)) < expected_within


@pytest.mark.parametrize("name", TABULATED)
def test_forces_of_tables_are_gradients_and_smooth(name):
    quick = frozen(potential_of(name, torch.float64), 1e-7)
    assert testing.forces_by_differences(quick, molecule(ELEMENTS)) < 1e-6
    assert testing.worst(testing.cutoff_jump(quick)) < 1e-7


def test_the_potential_itself_is_left_alone():
    potential = potential_of("mace", torch.float64)
    assert table_errors(frozen(potential, 1e-6))
    assert not table_errors(potential) and all(p.requires_grad for p in potential.parameters())
    assert all(m.table is None for m in potential.modules() if isinstance(m, RadialFunction))


def test_tables_that_are_not_good_enough_are_not_used():
    """No number of knots that is worth having resolves this; the network itself answers then."""
    potential = potential_of("mace", torch.float64)
    quick = frozen(potential, 1e-15)
    assert not table_errors(quick)
    frame = molecule(ELEMENTS)
    torch.testing.assert_close(testing.predict(quick, frame).energy, testing.predict(potential, frame).energy)


def test_double_precision_keeps_every_digit_unless_told_otherwise():
    assert not table_errors(frozen(potential_of("mace", torch.float64)))
    assert table_errors(frozen(potential_of("mace", torch.float32)))


def test_what_has_no_network_of_the_distance_is_as_it_was():
    potential = potential_of("segnn", torch.float32)
    quick, frame = frozen(potential), molecule(ELEMENTS)
    assert not table_errors(quick)
    torch.testing.assert_close(
        testing.predict(quick, frame).energy, testing.predict(potential, frame).energy, atol=0, rtol=0
    )
