"""Many systems in one batch are what each is alone; the rest needs TorchSim and runs where it is installed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from engines.test_ase import crystal, periodic_potential
from engines.tiny import ethanol, potential
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.engines.torchsim.batching import Batching, Systems


def systems(*structures: Atoms, charge=None) -> Systems:
    return Systems(
        positions=torch.tensor(np.concatenate([a.positions for a in structures])),
        cell=torch.tensor(np.stack([a.cell.array for a in structures])),
        pbc=torch.tensor(structures[0].pbc),
        numbers=torch.tensor(np.concatenate([a.numbers for a in structures])),
        system=torch.arange(len(structures)).repeat_interleave(torch.tensor([len(a) for a in structures])),
        charge=charge,
    )


def same_energies(model, batching, structures):
    """A batch gives what a fresh search gives, to round-off of sums in another order."""
    found = model(batching.batch(systems(*structures)), forces=True)
    fresh = batch_of([Frame.from_atoms(a) for a in structures], model.elements, model.cutoff)
    expected = model(fresh, forces=True)
    np.testing.assert_allclose(found.energy.detach(), expected.energy.detach(), rtol=1e-13)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=1e-12)
    assert len(batching.batch(systems(*structures)).senders) == len(fresh.senders)


def test_different_systems_in_one_batch():
    model = potential()
    same_energies(model, Batching(model), [ethanol(), molecule("H2O"), molecule("CH4"), molecule("CO2")])


def test_a_list_is_used_until_an_atom_has_moved_far():
    model, structures = potential(cutoff=1.5), [ethanol(), ethanol()]
    batching = Batching(model, skin=0.4)
    same_energies(model, batching, structures)
    assert batching.searches == 2
    structures[1].positions[0] += [0.19, 0, 0]
    same_energies(model, batching, structures)
    assert batching.searches == 2
    structures[1].positions[0] += [0.02, 0, 0]
    same_energies(model, batching, structures)
    assert batching.searches == 3  # of the second alone
    structures[0].positions += 0.15
    same_energies(model, batching, structures)
    assert batching.searches == 4


def test_a_cell_that_breathes_keeps_its_list():
    model, start = periodic_potential(), crystal()
    batching = Batching(model, skin=0.5)
    for k, scale in enumerate((1.0, 1.01, 0.98, 0.99)):
        moved = start.copy()
        moved.set_cell(start.cell.array * scale, scale_atoms=True)
        moved.rattle(0.02, seed=k)
        same_energies(model, batching, [moved, start])
    assert batching.searches == 2
    squeezed = start.copy()
    squeezed.set_cell(start.cell.array * 0.8, scale_atoms=True)
    same_energies(model, batching, [squeezed, start])
    assert batching.searches == 3


@pytest.mark.parametrize("seed", range(5))
def test_no_neighbor_is_missed_in_a_sheared_cell(seed):
    """The bound σ_min(F) R − 2 max|u| against a fresh search, at deformations near its limit."""
    model = periodic_potential(cutoff=2.5)
    start = bulk("C", "diamond", a=3.6, cubic=True)
    batching = Batching(model, skin=0.6)
    rng = np.random.default_rng(seed)
    same_energies(model, batching, [start])
    for _ in range(6):
        moved = start.copy()
        moved.set_cell(start.cell.array @ (np.eye(3) + 0.06 * rng.normal(size=(3, 3))), scale_atoms=True)
        moved.positions += rng.normal(scale=0.04, size=moved.positions.shape)
        same_energies(model, batching, [moved])


def test_other_systems_are_searched_anew():
    model = potential()
    batching = Batching(model)
    same_energies(model, batching, [ethanol(), molecule("H2O")])
    same_energies(model, batching, [molecule("H2O")])
    same_energies(model, batching, [molecule("H2O"), ethanol()])
    given = systems(molecule("H2O"), charge=torch.zeros(1, dtype=torch.float64))
    assert batching.batch(given).charge.tolist() == [0.0]
    charged = replace(given, charge=torch.ones(1, dtype=torch.float64))
    assert batching.batch(charged).charge.tolist() == [1.0]


def test_what_is_wrong_is_named():
    model = potential()
    with pytest.raises(ValueError, match=r"systems, frame 1: no parameters for Cl"):
        Batching(model).batch(systems(molecule("H2O"), molecule("HCl")))
    broken = molecule("H2O")
    batching = Batching(model)
    batching.batch(systems(broken))
    broken.positions[1, 0] = np.nan
    with pytest.raises(ValueError, match="systems, frame 0: position of atom 1 is not a finite number"):
        batching.batch(systems(broken))
