"""The repulsion of nuclei: against numbers worked out one by one, at the end of its range, and in a potential."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms

from equipot import testing
from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.potential import Potential, PotentialConfig
from equipot.potential.terms import Terms, TermsConfig
from equipot.potential.terms.zbl import ZBL

ELEMENTS = (1, 6, 8)
CUTOFF = 3.0
RADII = {1: 0.31, 6: 0.76, 8: 0.66}  # Å, Cordero et al., Dalton Trans. 2008, 2832
MODEL = {"name": "painn", "channels": 8, "num_layers": 2, "num_radial": 6, "cutoff": CUTOFF}


def configuration(zbl: bool, **model) -> PotentialConfig:
    return parse(PotentialConfig, {"model": {**MODEL, **model}, "terms": {"zbl": zbl}}, "test")


@pytest.fixture(params=["painn", "nequip"])
def potential(request) -> Potential:
    return testing.random_potential(configuration(True, name=request.param), ELEMENTS)


def pair(a: int, b: int, distance: float) -> Frame:
    return Frame.from_atoms(Atoms([a, b], positions=[[0, 0, 0], [0, 0, distance]]))


def by_hand(a: int, b: int, r: float, cutoff: float = CUTOFF) -> float:
    """V(r) in eV from SI constants, term by term, with the envelope written out."""
    end = min(RADII[a] + RADII[b], cutoff)
    if r >= end:
        return 0.0
    joule = (1.602176634e-19 * a) * (1.602176634e-19 * b) / (4 * math.pi * 8.8541878128e-12 * r * 1e-10)
    length = 0.8854 * 0.529177210903 / (a**0.23 + b**0.23)
    x, y = r / length, r / end
    screening = (
        0.18175 * math.exp(-3.19980 * x) + 0.50986 * math.exp(-0.94229 * x)
        + 0.28022 * math.exp(-0.40290 * x) + 0.02817 * math.exp(-0.20162 * x)
    )  # fmt: skip
    envelope = 1 - 28 * y**6 + 48 * y**7 - 21 * y**8
    return joule / 1.602176634e-19 * screening * envelope


def energies(frames: list[Frame], cutoff: float = CUTOFF) -> torch.Tensor:
    batch = batch_of(frames, ELEMENTS, cutoff)
    return batch.sum_over_systems(ZBL(ELEMENTS, cutoff)(batch))


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 8), (6, 8), (8, 8)])
def test_pairs_against_numbers_worked_out_one_by_one(a, b):
    """Constants of the units module are those of CODATA to nine digits, so e²/4πε₀ agrees to 1e-9."""
    distances = (0.05, 0.2, 0.5, 0.6, 0.9, 1.3, 2.0)
    expected = [by_hand(a, b, r) for r in distances]
    np.testing.assert_allclose(energies([pair(a, b, r) for r in distances]), expected, rtol=2e-9, atol=1e-300)


def test_many_atoms_are_the_sum_of_their_pairs_each_once():
    frame = testing.molecule(ELEMENTS, 6, seed=3)
    squeezed = replace(frame, positions=0.6 * frame.positions)
    pairs = [(i, j) for i in range(6) for j in range(i)]
    z, r = squeezed.numbers.tolist(), squeezed.positions
    expected = sum(by_hand(z[i], z[j], float(np.linalg.norm(r[i] - r[j]))) for i, j in pairs)
    assert expected > 1.0
    assert float(energies([squeezed])) == pytest.approx(expected, rel=2e-9)


def test_periodic_images_repel():
    """One oxygen atom in a cubic cell of 1.2 Å: three pairs of images."""
    frame = Frame(
        numbers=np.array([8]), positions=np.zeros((1, 3)), cell=1.2 * np.eye(3), pbc=np.ones(3, bool)
    )
    assert float(energies([frame])) == pytest.approx(3 * by_hand(8, 8, 1.2), rel=2e-9)


@pytest.mark.parametrize("cutoff", [3.0, 1.1])
def test_value_slope_and_curvature_vanish_at_the_end_of_the_range(cutoff):
    """Just inside R, V = c (R − r)³/6 and so on with one c: what is left of it is the third derivative."""
    end, gap = min(2 * RADII[8], cutoff), 1e-4
    third = [
        abs(d) / gap**n * math.factorial(n)
        for n, d in zip((3, 2, 1), derivatives(end - gap, cutoff), strict=True)
    ]
    np.testing.assert_allclose(third, third[0], rtol=1e-2)  # the fourth derivative, gap · V⁗/V‴ = 1e-3
    assert third[0] > 100  # eV/Å³: the limits above are not those of zeros
    assert derivatives(end + gap, cutoff) == [0.0, 0.0, 0.0]


def derivatives(r: float, cutoff: float) -> list[float]:
    """Value, slope and curvature of the repulsion of two oxygen atoms."""
    x = torch.tensor([[0.0, 0, 0], [0, 0, r]], dtype=torch.float64, requires_grad=True)
    batch = batch_of([pair(8, 8, 0.9 * min(r, cutoff))], ELEMENTS, cutoff).with_positions(x)
    value = ZBL(ELEMENTS, cutoff)(batch).sum()
    (slope,) = torch.autograd.grad(value, x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope[1, 2], x)
    return [float(d.detach()) for d in (value, slope[1, 2], curvature[1, 2])]


def test_the_range_never_exceeds_the_cutoff_of_the_model():
    assert ZBL(ELEMENTS, 3.0).reach == pytest.approx(2 * RADII[6])
    assert ZBL(ELEMENTS, 1.1).reach == 1.1
    assert float(energies([pair(6, 6, 1.0999)], cutoff=1.1)) < 1e-8 < float(energies([pair(6, 6, 1.05)], 1.1))


def test_elements_without_a_radius_are_refused():
    with pytest.raises(ValueError, match=r"no covalent radius is known for Fm \(100\).*terms\.zbl=false"):
        ZBL((1, 100), 5.0)


def test_the_potential_adds_it_and_nothing_else():
    """Same weights with and without: the difference is the term, in float32 models too."""
    plain = testing.random_potential(configuration(False), ELEMENTS)
    repelled = Potential(configuration(True), plain.statistics).eval()
    repelled.load_state_dict(plain.state_dict())
    frames = [pair(1, 8, 0.4), pair(6, 6, 1.0), pair(6, 6, 2.0)]
    batch = batch_of(frames, ELEMENTS, CUTOFF)
    for dtype in (torch.float64, torch.float32):
        difference = repelled.to(dtype)(batch).energy - plain.to(dtype)(batch).energy
        torch.testing.assert_close(difference, energies(frames), rtol=1e-9, atol=1e-9)


def test_forces_stress_and_second_derivatives(potential):
    """Compressed until the repulsion dominates; differences as in the contract."""
    molecule = testing.molecule(ELEMENTS, 5)
    close = replace(molecule, positions=0.75 * molecule.positions)
    assert float(potential.terms(testing.evaluation.batch(potential, [close])).sum()) > 1.0
    assert testing.forces_by_differences(potential, close) < 1e-7
    assert testing.worst(testing.second_derivatives(potential, close)) < 1e-6  # curvatures up to 10⁴ eV/Å²
    crystal = testing.crystal(ELEMENTS)
    dense = replace(crystal, positions=0.6 * crystal.positions, cell=0.6 * crystal.cell)
    assert float(potential.terms(testing.evaluation.batch(potential, [dense])).sum()) > 1.0
    assert testing.stress_by_differences(potential, dense) < 1e-7


def test_symmetries_and_the_cutoff(potential):
    frame = testing.molecule(ELEMENTS, 6)
    close = replace(frame, positions=0.75 * frame.positions)
    for check in (testing.rotation, testing.reflection, testing.permutation, testing.edge_order):
        assert testing.worst(check(potential, close)) < 1e-10
    assert testing.worst(testing.fragments_add(potential, close, frame)) < 1e-10
    assert testing.worst(testing.cutoff_jump(potential)) < 1e-7


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 8), (6, 8)])
def test_random_models_repel_at_short_range_only_with_it(potential, a, b):
    """Down to 0.1 Å the energy rises without end; nothing of the kind holds for the network alone."""
    distances = np.linspace(0.3 * (RADII[a] + RADII[b]), 0.1, 12)
    batch = batch_of([pair(a, b, r) for r in distances], ELEMENTS, CUTOFF)
    energy = potential(batch).energy.detach()
    assert bool((energy.diff() > 0).all())
    assert float(energy[-1] - energy[0]) > 10
    force = potential(batch, forces=True).forces.view(-1, 2, 3)[:, 1, 2]
    assert bool((force > 0).all())


def test_terms_without_an_energy_are_refused():
    values = {"model": MODEL, "targets": {"energy": None, "dipole": {}}, "terms": {"zbl": True}}
    with pytest.raises(ValueError, match=r"terms add to an energy"):
        testing.random_potential(parse(PotentialConfig, values, "test"), ELEMENTS)


def test_no_term_is_zero_and_has_no_forces():
    terms = Terms(TermsConfig(), ELEMENTS, CUTOFF)
    batch = batch_of([pair(8, 8, 0.5)], ELEMENTS, CUTOFF)
    energy, forces = terms.energy_and_forces(batch)
    assert energy.tolist() == [0.0] and not forces.any() and terms.reach == 0.0


def test_energy_and_forces_of_the_terms_alone():
    terms, h = Terms(TermsConfig(zbl=True), ELEMENTS, CUTOFF), 1e-6
    batch = batch_of([pair(1, 8, 0.5 + k * h) for k in (-1, 0, 1)], ELEMENTS, CUTOFF)
    energy, forces = terms.energy_and_forces(batch)
    slope = float(energy[2] - energy[0]) / (2 * h)
    np.testing.assert_allclose(forces.view(3, 2, 3)[1, :, 2], [slope, -slope], rtol=1e-7)
