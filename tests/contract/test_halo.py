"""A system of which a batch holds a part: neighbors beyond it come through a halo, features included."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from contract.every_model import ARCHITECTURES, ELEMENTS, SYSTEMS, small
from equipot.batch import AtomicBatch
from equipot.kernels import chooser
from equipot.potential import frozen
from equipot.potential.edge_gradients import edge_gradients, refusal
from equipot.testing.evaluation import batch

NAMES = [kind.model_fields["name"].default for kind in ARCHITECTURES]
both = pytest.mark.parametrize("architecture", NAMES)


@dataclass
class Images:
    """Copies of atoms of the batch itself: the features of an image are those of its atom."""

    owners: Tensor
    species: Tensor

    def fill(self, values):
        return torch.cat([values, values[self.owners]])

    def to(self, device):
        return self


def with_images(systems: AtomicBatch) -> AtomicBatch:
    """The same system, every neighbor in another cell a copy."""
    away = systems.shifts.any(1)
    owners = systems.senders[away]
    senders = systems.senders.clone()
    senders[away] = systems.num_atoms + torch.arange(len(owners))
    return replace(
        systems,
        senders=senders,
        shifts=torch.zeros_like(systems.shifts),
        reverse=torch.full_like(systems.reverse, -1),
        edge_vectors=systems.vectors(),
        halo=Images(owners, systems.species[owners]),
    )


@both
@pytest.mark.parametrize("system", ["bulk", "thin cell", "slab", "molecule", "one atom"])
def test_images_are_as_good_as_shifts(architecture, system):
    potential = frozen(small(architecture, "scalars only", torch.float64))
    whole = batch(potential, [SYSTEMS[system]])
    expected = potential(whole, forces=True, virials=True)
    energies, gradient = edge_gradients(potential, with_images(whole))
    torch.testing.assert_close(energies, expected.atomic_energies, rtol=1e-12, atol=1e-10)
    forces = torch.zeros_like(whole.positions)
    forces = forces.index_add(0, whole.receivers, gradient).index_add(0, whole.senders, -gradient)
    torch.testing.assert_close(forces, expected.forces, rtol=0, atol=1e-10)


@both
def test_a_part_without_atoms(architecture):
    """Every exchange happens nevertheless, forward and backward: the others wait for it."""
    potential = frozen(small(architecture, "scalars only", torch.float64))
    asked = {"atoms": [], "none": []}
    for name, part in (("atoms", with_images(batch(potential, [SYSTEMS["bulk"]]))), ("none", empty())):
        edge_gradients(
            potential, replace(part, halo=Noting(part.halo.owners, part.halo.species, asked[name]))
        )
    assert asked["atoms"] == asked["none"]
    assert bool(asked["none"]) == (architecture != "allegro")


def test_compiled_programs_are_used_once_they_are_checked():
    """A part of a system has no mirrored edges to check them with."""
    potential = frozen(small("schnet", "scalars only", torch.float32))
    whole = batch(potential, [SYSTEMS["bulk"]])
    before = len(chooser.decisions), len(chooser.tabulated_decisions)
    edge_gradients(potential, with_images(whole))
    assert (len(chooser.decisions), len(chooser.tabulated_decisions)) == before


def test_what_cannot_be_divided_is_named():
    from equipot.config import parse
    from equipot.potential import PotentialConfig
    from equipot.testing import random_potential

    def made(**model):
        values = {"model": {"name": "segnn", "channels": 8, "num_layers": 1, "cutoff": 3.0, **model}}
        return random_potential(parse(PotentialConfig, values, "test"), ELEMENTS)

    assert refusal(made()) is None
    assert "charge" in str(refusal(made(conditions=("charge",))))
    assert "velocities" in str(refusal(made(inputs=("velocities",))))
    assert "instance" in str(refusal(made(norm="instance")))


class Ask(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, owners, asked):
        ctx.asked, ctx.owners, ctx.atoms = asked, owners, len(values)
        asked.append(("forward", values.shape[1:]))
        return torch.cat([values, values[owners]])

    @staticmethod
    def backward(ctx, gradient):
        ctx.asked.append(("backward", gradient.shape[1:]))
        return gradient[: ctx.atoms].index_add(0, ctx.owners, gradient[ctx.atoms :]), None, None


@dataclass
class Noting(Images):
    """Writes down what is asked of it."""

    asked: list

    def fill(self, values):
        return Ask.apply(values, self.owners, self.asked)


def empty() -> AtomicBatch:
    none = torch.zeros(0, dtype=torch.int64)
    return AtomicBatch(
        positions=torch.zeros(0, 3, dtype=torch.float64),
        species=none,
        system=none,
        cell=torch.zeros(1, 3, 3, dtype=torch.float64),
        pbc=torch.zeros(1, 3, dtype=torch.bool),
        senders=none,
        receivers=none,
        shifts=torch.zeros(0, 3, dtype=torch.int64),
        row_pointer=torch.zeros(1, dtype=torch.int64),
        reverse=none,
        edge_vectors=torch.zeros(0, 3, dtype=torch.float64),
        halo=Images(none, none),
    )
