"""Energies: reference energies in double precision, derivatives, and what is refused."""

import copy
from dataclasses import replace

import pytest
import torch

from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.potential import Potential, PotentialConfig
from equipot.potential.per_element import PerElement
from equipot.statistics import Statistics
from equipot.testing import crystal, molecule, random_potential, slab

ELEMENTS = (1, 6, 8)
CONFIG = parse(
    PotentialConfig,
    {"model": {"name": "painn", "channels": 8, "num_layers": 2, "num_radial": 6, "cutoff": 3.0}},
    "test",
)


def batch(*frames):
    return batch_of(frames, ELEMENTS, 3.0)


@pytest.fixture
def potential():
    return random_potential(CONFIG, ELEMENTS)


def test_constants_of_elements_stay_double():
    """float32 resolves 10⁵ eV to 8 meV."""
    energy = -123456.789012345
    constants = torch.nn.Sequential(PerElement([energy, 1.0])).float().half().bfloat16()[0]
    assert constants(torch.tensor([0, 1, 0])).tolist() == [energy, 1.0, energy]
    assert not constants.state_dict()
    assert copy.deepcopy(constants).values.dtype == torch.float64


def test_large_reference_energies_cost_no_precision():
    """Total energies of heavy atoms, and the differences between structures to 1e-9 eV."""
    small = Statistics(elements=ELEMENTS, mean_neighbors=1.0, reference_energies=(0.0,) * 3)
    large = small.model_copy(update={"reference_energies": (-1e5, -3e5, -7e5)})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        without = Potential(CONFIG, small)
    with_references = Potential(CONFIG, large)
    with_references.load_state_dict(without.state_dict())
    systems = batch(molecule(ELEMENTS))
    reference = 2 * (-1e5 - 3e5 - 7e5)
    with torch.no_grad():
        energy, expected = with_references(systems).energy, without(systems).energy
    assert energy.dtype == torch.float64
    assert float(energy - reference) == pytest.approx(float(expected), abs=1e-8)
    assert torch.equal(with_references(systems, forces=True).forces, without(systems, forces=True).forces)


def test_energy_is_the_sum_over_atoms(potential):
    out = potential(batch(molecule(ELEMENTS), molecule(ELEMENTS, 4)))
    torch.testing.assert_close(out.energy[0], out.atomic_energies[:6].sum())
    torch.testing.assert_close(out.energy[1], out.atomic_energies[6:].sum())


def test_the_scale_multiplies_the_model_and_not_the_references(potential):
    twice = Potential(
        CONFIG,
        potential.statistics.model_copy(update={"energy_scale": 2 * potential.statistics.energy_scale}),
    ).double()
    twice.load_state_dict(potential.state_dict())
    systems = batch(molecule(ELEMENTS))
    references = potential.reference_energies(systems.species)
    torch.testing.assert_close(
        twice(systems).atomic_energies - references, 2 * (potential(systems).atomic_energies - references)
    )


def test_derivatives_leave_no_graph_and_do_not_touch_the_batch(potential):
    systems = batch(crystal(ELEMENTS))
    positions = systems.positions.clone()
    out = potential(systems, forces=True, stress=True)
    assert all(not value.requires_grad for _, value in out.items())
    assert torch.equal(systems.positions, positions) and not systems.positions.requires_grad
    assert potential(systems, forces=True, create_graph=True).forces.requires_grad


def test_forces_are_computed_under_no_grad(potential):
    with torch.no_grad():
        forces = potential(batch(molecule(ELEMENTS)), forces=True).forces
    assert forces.abs().max() > 0.1


@pytest.mark.parametrize("frame", [molecule(ELEMENTS), slab(ELEMENTS)], ids=["molecule", "slab"])
def test_stress_without_a_volume_is_refused(potential, frame):
    with pytest.raises(ValueError, match="periodic in three directions"):
        potential(batch(frame), stress=True)


def test_stress_in_a_mixed_batch_is_unknown_where_there_is_no_volume(potential):
    stress = potential(batch(crystal(ELEMENTS), molecule(ELEMENTS)), stress=True).stress
    assert torch.isfinite(stress[0]).all()
    assert torch.isnan(stress[1]).all()


def test_stress_of_a_compressed_crystal_is_negative_pressure(potential):
    """σ = (1/V) ∂E/∂ε, so that its trace is 3 ∂E/∂V: positive where expansion costs energy."""

    def energy(scale):
        frame = crystal(ELEMENTS)
        return potential(
            batch(replace(frame, positions=frame.positions * scale, cell=frame.cell * scale))
        ).energy[0]

    frame, h = crystal(ELEMENTS), 1e-5
    slope = (energy(1 + h) - energy(1 - h)) / (2 * h) / frame.volume()
    stress = potential(batch(frame), stress=True).stress[0]
    torch.testing.assert_close(stress.trace(), slope.detach(), rtol=1e-6, atol=1e-9)


def test_precision_is_that_of_the_parameters(potential):
    systems = batch(molecule(ELEMENTS))
    exact, rounded = (
        potential(systems).energy.detach(),
        copy.deepcopy(potential).float()(systems).energy.detach(),
    )
    assert exact.dtype == rounded.dtype == torch.float64
    assert 0 < abs(float(exact - rounded)) < 1e-4


def test_unknown_targets_are_refused_with_the_nearest_one(potential):
    with pytest.raises(ValueError, match=r"no target 'enrgy'\. Did you mean 'energy'\?"):
        potential(batch(molecule(ELEMENTS)), targets=["enrgy"])
    with pytest.raises(ValueError, match=r"no target 'quadrupole'\. Known: .*energy"):
        potential(batch(molecule(ELEMENTS)), targets=["quadrupole"])


def test_derivatives_of_the_energy_may_be_named_among_the_targets(potential):
    out = potential(batch(molecule(ELEMENTS)), forces=True, targets=["energy", "forces", "stress"])
    assert set(dict(out.items())) == {"energy", "atomic_energies", "forces"}
