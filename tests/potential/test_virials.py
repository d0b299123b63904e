"""Virials of atoms: their sum, their behavior under rotations, and the heat flux that they make."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from equipot import testing
from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.potential import PotentialConfig
from equipot.testing import crystal, molecule, random_potential, slab, thin_cell

ELEMENTS = (1, 6, 8)
CUTOFF = 3.0
SMALL = {"channels": 8, "num_radial": 6, "cutoff": CUTOFF}


def potential(name: str = "painn", layers: int = 2, zbl: bool = True):
    values = {"model": {"name": name, "num_layers": layers, **SMALL}, "terms": {"zbl": zbl}}
    return random_potential(parse(PotentialConfig, values, "test"), ELEMENTS)


def batch(*frames):
    return batch_of(frames, ELEMENTS, CUTOFF)


@pytest.fixture(params=["schnet", "painn", "nequip"])
def model(request):
    return potential(request.param)


@pytest.mark.parametrize("frame", [crystal(ELEMENTS), thin_cell(ELEMENTS)], ids=["bulk", "thin cell"])
def test_virials_sum_to_the_stress(model, frame):
    """Against the derivative by strain, which is another way through the graph: round-off alone between them."""
    out = model(batch(frame), stress=True, virials=True)
    total = out.virials.sum(0)
    torch.testing.assert_close(total, -frame.volume() * out.stress[0], rtol=1e-10, atol=1e-10)
    assert total.abs().max() > 0.1 and out.virials.dtype == torch.float64


@pytest.mark.parametrize("frame", [molecule(ELEMENTS), slab(ELEMENTS)], ids=["molecule", "slab"])
def test_without_a_volume_they_sum_to_the_derivative_by_strain(model, frame):
    """There is no stress, but Σ W = −∂E/∂ε all the same; by five-point differences."""
    total, h = model(batch(frame), virials=True).virials.sum(0), 1e-4
    strains = [(i, j) for i in range(3) for j in range(i + 1)]

    def energy(i, j, step):
        deform = np.eye(3)
        deform[i, j] += step  # not symmetric: rotations cost nothing, so that both halves say the same
        return model(
            batch(replace(frame, positions=frame.positions @ deform, cell=frame.cell @ deform))
        ).energy

    for i, j in strains:
        weights = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
        slope = sum(w * energy(i, j, k * h) for k, w in weights) / h
        torch.testing.assert_close(total[i, j], -slope[0].detach(), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(total[j, i], total[i, j], rtol=1e-9, atol=1e-9)


def test_forces_and_stress_are_the_same_with_virials_beside_them(model):
    systems = batch(crystal(ELEMENTS), crystal(ELEMENTS, seed=2))
    alone = model(systems, forces=True, stress=True)
    together = model(systems, forces=True, stress=True, virials=True)
    torch.testing.assert_close(together.forces, alone.forces, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(together.stress, alone.stress, rtol=1e-12, atol=1e-14)
    assert systems.edge_vectors is None


def test_they_turn_with_the_structure_and_do_not_know_the_batch(model):
    """As every other property does; the contract checks the rest of the symmetries for every model."""
    frames = [crystal(ELEMENTS), thin_cell(ELEMENTS)]
    for check in (testing.rotation, testing.reflection):
        assert check(model, frames[0])["virials"] < 1e-10
    assert testing.batch_composition(model, frames)["virials"] < 1e-10
    assert testing.supercell(model, frames[1], (2, 1, 2))["virials"] < 1e-10


def test_an_atom_without_neighbors_has_none(model):
    found = model(batch(testing.one_atom(6)), forces=True, virials=True)
    assert found.virials.shape == (1, 3, 3) and not found.virials.any()


def test_they_can_be_trained_on(model):
    out = model(batch(crystal(ELEMENTS)), virials=True, create_graph=True)
    weights = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(out.virials.square().sum(), weights, allow_unused=True)
    assert all(bool(torch.isfinite(g).all()) for g in gradients if g is not None)
    assert max(float(g.abs().max()) for g in gradients if g is not None) > 0


def heat_flux_by_differences(model, frame, velocities, h: float = 1e-5) -> torch.Tensor:
    """The potential part of d/dt Σ_i r_i E_i of a molecule that moves: Σ_i r_i (dU_i/dt + F_i · v_i), eV Å/time."""

    def moved(step):
        return batch(replace(frame, positions=frame.positions + step * h * velocities))

    weights = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
    rates = sum(w * model(moved(k)).atomic_energies.detach() for k, w in weights) / h
    work = (model(batch(frame), forces=True).forces * torch.from_numpy(velocities)).sum(-1)
    return torch.from_numpy(frame.positions).T @ (rates + work)


@pytest.mark.parametrize(
    ("name", "layers"),
    [("schnet", 1), ("painn", 1), ("nequip", 1), ("mace", 1), ("allegro", 2), ("allegro", 3)],
)
def test_the_heat_flux_of_a_strictly_local_model_is_the_sum_of_virials_times_velocities(name, layers):
    """One layer, or Allegro of any depth: the energy of an atom depends on its own edges alone."""
    model, frame = potential(name, layers), molecule(ELEMENTS, 8)
    velocities = np.random.default_rng(0).normal(size=frame.positions.shape)
    expected = heat_flux_by_differences(model, frame, velocities)
    virials = model(batch(frame), virials=True).virials
    found = torch.einsum("jab,jb->a", virials, torch.from_numpy(velocities))
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["schnet", "painn", "nequip"])
def test_that_of_a_message_passing_model_is_not(name):
    """What the docstring warns of: two layers carry energy farther than one edge."""
    model, frame = potential(name, layers=2), molecule(ELEMENTS, 8)
    velocities = np.random.default_rng(0).normal(size=frame.positions.shape)
    expected = heat_flux_by_differences(model, frame, velocities)
    virials = model(batch(frame), virials=True).virials
    found = torch.einsum("jab,jb->a", virials, torch.from_numpy(velocities))
    assert (found - expected).abs().max() > 1e-2 * expected.abs().max()


def test_virials_need_an_energy():
    values = {"model": {"name": "painn", "num_layers": 1, **SMALL}, "targets": {"energy": None, "dipole": {}}}
    model = random_potential(parse(PotentialConfig, values, "test"), ELEMENTS)
    with pytest.raises(ValueError, match="virials need an energy; this model predicts dipole"):
        model(batch(molecule(ELEMENTS)), virials=True)
