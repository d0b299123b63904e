"""Radial networks in training: computed once for two mirrored edges, with the numbers and gradients of both."""

import copy

import pytest
import torch

from contract.every_model import BASES, SYSTEMS, small
from equipot.nn.radial_network import RadialNetwork
from equipot.testing.evaluation import batch

WITH_NETWORKS = [name for name in ("schnet", *BASES) if name not in ("allegro", "segnn")]


def gradients(potential, given, training):
    """Energy, forces and the gradient of a loss of both by all weights."""
    potential.train(training)
    potential.zero_grad()
    found = potential(given, forces=True, create_graph=True, targets=("energy",))
    (found.energy.sum() + found.forces.square().sum()).backward()
    weights = [p.grad.clone() for p in potential.parameters() if p.grad is not None]
    return [found.energy.detach(), found.forces.detach(), *weights]


@pytest.mark.parametrize("system", ["molecule", "bulk", "thin cell", "one atom"])
@pytest.mark.parametrize("architecture", WITH_NETWORKS)
def test_training_gives_the_numbers_of_evaluation(architecture, system, monkeypatch):
    rows = []

    def counted(compute):
        def wrapper(self, at):
            rows.append(len(at.r))
            return compute(self, at)

        return wrapper

    for name in ("_computed", "_factors"):
        monkeypatch.setattr(RadialNetwork, name, counted(getattr(RadialNetwork, name)))
    potential = copy.deepcopy(small(architecture, "scalars only", torch.float64)).requires_grad_(True)
    given = batch(potential, [SYSTEMS[system], SYSTEMS["molecule"]])
    found = gradients(potential, given, training=True)
    edges, in_training = len(given.senders), set(rows)
    expected = gradients(potential.eval(), given, training=False)
    for a, b in zip(found, expected, strict=True):
        assert float((a - b).abs().max()) < 1e-10 * max(float(b.abs().max()), 1.0)
    assert edges // 2 in in_training and edges not in in_training and edges in rows


def test_where_edge_vectors_are_asked_for_every_edge_is_computed():
    """Virials of atoms are gradients by the vector of every edge."""
    potential = copy.deepcopy(small("schnet", "scalars only", torch.float64))
    given = batch(potential, [SYSTEMS["molecule"]])
    expected = potential.eval()(given, virials=True)
    found = potential.train()(given, virials=True)
    assert torch.equal(found.virials, expected.virials)
