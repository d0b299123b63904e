"""Strictly local models some atoms at a time: the same numbers, and no trace of where the blocks end."""

import pytest
import torch

from contract.every_model import ARCHITECTURES, SYSTEMS, small
from contract.test_halo import with_images
from equipot.engines.lammps.messages import messages
from equipot.potential import frozen
from equipot.potential.blocks import EDGES
from equipot.potential.edge_gradients import edge_gradients
from equipot.testing.evaluation import batch

NAMES = [kind.model_fields["name"].default for kind in ARCHITECTURES]
DERIVED = ("atomic_energies", "energy", "forces", "stress", "virials")


def divided(edges: int, dtype: torch.dtype = torch.float64):
    """A potential, and the same one in blocks of so many edges."""
    whole, parts = (frozen(small("allegro", "scalars only", dtype)) for _ in range(2))
    whole.block, parts.block = None, edges
    return whole, parts


@pytest.mark.parametrize("edges", [1, 20, 60])
@pytest.mark.parametrize("systems", [("bulk",), ("one atom", "bulk", "two far atoms", "thin cell")])
def test_blocks_give_the_numbers_of_the_whole(systems, edges):
    whole, parts = divided(edges)
    given = batch(whole, [SYSTEMS[name] for name in systems])
    assert len(given.senders) > edges
    expected, found = (p(given, forces=True, stress=len(systems) == 1, virials=True) for p in (whole, parts))
    for name, value in expected.items():
        assert name in DERIVED
        torch.testing.assert_close(found.get(name), value, rtol=1e-12, atol=1e-11)


def test_energies_without_derivatives():
    whole, parts = divided(40)
    given = batch(whole, [SYSTEMS["bulk"]])
    with torch.no_grad():
        torch.testing.assert_close(parts(given).energy, whole(given).energy, rtol=1e-12, atol=1e-11)


def test_a_part_of_a_system_in_blocks():
    """As LAMMPS hands it over, with copies of atoms behind the atoms."""
    whole, parts = divided(40)
    given = with_images(batch(whole, [SYSTEMS["bulk"]]))
    weights = torch.linspace(0.0, 1.0, given.num_atoms, dtype=torch.float64)
    found = (edge_gradients(p, given, weights) for p in (whole, parts))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-12, atol=1e-11)


def test_second_derivatives_are_refused_instead_of_missing():
    _, parts = divided(40)
    found = parts(batch(parts, [SYSTEMS["bulk"]]), forces=True, create_graph=True)
    with pytest.raises(RuntimeError):
        found.forces.square().sum().backward()


def test_every_target_still_comes():
    potential = frozen(small("allegro", "everything", torch.float64))
    given = batch(potential, [SYSTEMS["molecule"]])
    expected = potential(given, forces=True)
    potential.block = 10
    found = potential(given, forces=True)
    assert set(dict(found.items())) == set(dict(expected.items()))
    torch.testing.assert_close(found.dipole, expected.dipole)


@pytest.mark.parametrize("architecture", NAMES)
def test_what_is_called_strictly_local_exchanges_nothing(architecture):
    potential = frozen(small(architecture, "scalars only", torch.float64))
    local = messages(potential).local
    assert potential.config.model.strictly_local == local
    assert potential.block == (EDGES if local else None)
