"""What is measured on a training set, against numbers known beforehand."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from data.samples import ATOMS, atom, waters, write
from equipot.data.frame import Frame
from equipot.data.read import read
from equipot.data.statistics import energy_shift, mean_neighbors, measure, reference_energies
from equipot.potential import TargetsConfig

SPECIES = {"H2O": 1.0, "CH4": 2.0, "CH3OH": 3.0, "H2": 0.5, "CO2": 4.0}
ENERGIES = {1: -13.0, 6: -1030.0, 8: -2040.0}


@pytest.fixture
def molecules():
    """Molecules whose energy is a sum over their elements."""
    frames = [Frame.from_atoms(molecule(name)) for name in SPECIES]
    return [f.with_labels(energy=np.array(sum(ENERGIES[z] for z in f.numbers.tolist()))) for f in frames]


def isolated(symbol: str, energy: float) -> Frame:
    frame = Frame.from_atoms(Atoms(symbol)).with_labels(energy=np.array(energy))
    return Frame(**{**vars(frame), "isolated": True})


def test_least_squares_finds_the_energies_of_the_elements(molecules):
    found = reference_energies(molecules, (1, 6, 8))
    np.testing.assert_allclose(found.values, list(ENERGIES.values()))
    assert found.source == "least squares" and found.fitted == (1, 6, 8) and 1 < found.condition < 100
    assert measure(molecules, 5.0).reference_energies == found.values


def test_one_composition_gives_the_smallest_solution_and_an_infinite_condition(tmp_path):
    found = reference_energies(read(write(tmp_path / "a.xyz", waters(4))), (1, 8))
    assert found.condition == np.inf
    assert found.values[0] == pytest.approx(2 * found.values[1])  # along the composition (2, 1)
    assert 2 * found.values[0] + found.values[1] == pytest.approx(-2078.8, abs=0.5)


def test_isolated_atoms_come_first_and_are_no_training_frames(tmp_path):
    frames = read(write(tmp_path / "a.xyz", [atom("H"), atom("O"), *waters(4)]))
    stats = measure(frames, 5.0)
    assert stats.reference_source == "isolated atoms" and stats.elements == (1, 8)
    np.testing.assert_allclose(stats.reference_energies, [ATOMS["H"], ATOMS["O"]])
    assert stats.mean_neighbors == 2.0
    forces = np.concatenate([f.labels["forces"] for f in frames.structures])
    assert stats.energy_scale == pytest.approx(np.sqrt(np.mean(forces**2)))


def test_elements_without_an_isolated_atom_are_fitted_to_the_rest(molecules):
    found = reference_energies([isolated("O", -2041.0), *molecules], (1, 6, 8))
    assert found.fitted == (1, 6) and found.source == "least squares"
    assert found.values[2] == -2041.0 and found.values[0] != pytest.approx(-13.0, abs=1e-3)


def test_given_reference_energies_go_before_all(molecules):
    given = {"H": -1.0, "C": -2.0, "O": -3.0}
    found = reference_energies([isolated("O", -2041.0), *molecules], (1, 6, 8), given)
    assert found.values == (-1.0, -2.0, -3.0) and found.source == "given"
    with pytest.raises(ValueError, match="'Xy' is not an element symbol"):
        reference_energies(molecules, (1, 6, 8), {"Xy": 1.0})


def test_two_energies_of_one_isolated_atom_are_refused(molecules):
    with pytest.raises(
        ValueError, match=r"two isolated-atom energies of H: -13\.000000 eV .* and -13\.500000 eV"
    ):
        reference_energies([isolated("H", -13.0), isolated("H", -13.5), *molecules], (1, 6, 8))


def test_without_forces_the_scale_is_the_spread_of_the_energy_per_atom(molecules, rng):
    noise = rng.normal(size=len(molecules))
    shaken = [
        f.with_labels(energy=np.array(f.labels["energy"] + e)) for f, e in zip(molecules, noise, strict=True)
    ]
    reference = measure(shaken, 5.0).reference_energies
    residual = [
        (float(f.labels["energy"]) - sum(reference[(1, 6, 8).index(z)] for z in f.numbers.tolist()))
        / f.num_atoms
        for f in shaken
    ]
    assert measure(shaken, 5.0).energy_scale == pytest.approx(np.std(residual))


def test_the_shift_is_the_mean_energy_per_atom_that_references_leave(molecules):
    """Of free atoms with a cohesion of −2 eV per atom, whatever the sizes of the molecules."""
    bound = [f.with_labels(energy=np.array(f.labels["energy"] - 2.0 * f.num_atoms)) for f in molecules]
    atoms = [isolated(symbol, ENERGIES[z]) for symbol, z in (("H", 1), ("C", 6), ("O", 8))]
    stats = measure([*atoms, *bound], 5.0)
    assert stats.reference_source == "isolated atoms"
    assert stats.energy_shift == pytest.approx(-2.0, abs=1e-10)
    deeper = np.array(bound[1].labels["energy"] - 1.0 * bound[1].num_atoms)
    uneven = [bound[0], bound[1].with_labels(energy=deeper)]
    shift = energy_shift(uneven, (1, 6, 8), stats.reference_energies)
    assert shift == pytest.approx(-2.5, abs=1e-10)  # the mean over frames, each by its own size


def test_least_squares_leaves_no_shift_where_it_fits(molecules):
    assert measure(molecules, 5.0).energy_shift == pytest.approx(0.0, abs=1e-10)


def test_without_energies_there_is_no_shift(molecules):
    bare = [f.with_labels(forces=np.ones((f.num_atoms, 3))) for f in molecules]
    bare = [Frame(**{**vars(f), "labels": {"forces": f.labels["forces"]}}) for f in bare]
    assert measure(bare, 5.0, TargetsConfig()).energy_shift == 0.0


def test_scales_are_one_where_nothing_varies(molecules):
    still = [f.with_labels(forces=np.zeros((f.num_atoms, 3)), dipole=np.zeros(3)) for f in molecules]
    stats = measure(still, 5.0, TargetsConfig(dipole={}))
    assert stats.energy_scale == 1.0 and stats.targets["dipole"].scales == (1.0,)


def test_mean_neighbors_counts_the_atoms_that_have_any():
    pair, lone = Atoms("H2", positions=[[0, 0, 0], [1, 0, 0]]), Atoms("H")
    assert mean_neighbors([Frame.from_atoms(pair), Frame.from_atoms(lone)], 5.0) == 1.0
    assert mean_neighbors([Frame.from_atoms(lone)], 5.0) == 1.0
    lattice = Atoms("H", cell=np.eye(3) * 2, pbc=True)
    assert mean_neighbors([Frame.from_atoms(lattice)], 2.1) == 6.0


def test_dipoles_scale_with_the_root_of_the_size(molecules, rng):
    frames = [
        f.with_labels(dipole=0.3 * np.sqrt(f.num_atoms) * rng.normal(size=3))
        for f in molecules
        for _ in range(300)
    ]
    target = measure(frames, 5.0, TargetsConfig(dipole={})).targets["dipole"]
    assert target.scales[0] == pytest.approx(0.3, rel=0.03) and target.baseline == (0.0, 0.0, 0.0)


def test_polarizability_is_split_into_isotropic_and_traceless_parts(molecules, rng):
    atomic = {1: 0.4, 6: 1.1, 8: 0.6}
    frames = []
    for f in molecules:
        for _ in range(300):
            root = np.sqrt(f.num_atoms)
            alpha = np.eye(3) * (sum(atomic[z] for z in f.numbers.tolist()) + 0.2 * root * rng.normal())
            frames.append(f.with_labels(polarizability=alpha + 0.1 * root * _traceless(rng)))
    target = measure(frames, 5.0, TargetsConfig(polarizability={})).targets["polarizability"]
    np.testing.assert_allclose(target.baseline, list(atomic.values()), atol=0.05)
    assert target.scales == pytest.approx((0.2, 0.1), rel=0.03)


def _traceless(rng):
    """Five independent normal components in an orthonormal basis of traceless symmetric matrices."""
    c = rng.normal(size=5)
    off = np.array([[0, c[0], c[1]], [c[0], 0, c[2]], [c[1], c[2], 0]]) / np.sqrt(2)
    return off + c[3] * np.diag([1, -1, 0]) / np.sqrt(2) + c[4] * np.diag([1, 1, -2]) / np.sqrt(6)


def test_charges_have_the_mean_of_their_element_for_a_baseline(molecules, rng):
    mean = {1: 0.3, 6: -0.1, 8: -0.6}
    frames = [
        f.with_labels(
            charges=np.array([mean[z] for z in f.numbers.tolist()]) + 0.05 * rng.normal(size=f.num_atoms)
        )
        for f in molecules
        for _ in range(200)
    ]
    target = measure(frames, 5.0, TargetsConfig(charges={})).targets["charges"]
    np.testing.assert_allclose(target.baseline, list(mean.values()), atol=0.01)
    assert target.scales[0] == pytest.approx(0.05, rel=0.03)


def test_declared_tensors_have_one_scale_for_each_irrep(molecules, rng):
    frames = [
        f.with_labels(q=np.sqrt(f.num_atoms) * rng.normal(size=(1, 6)) * [2.0, *[0.1] * 5])
        for f in molecules
        for _ in range(200)
    ]
    targets = TargetsConfig(tensors={"q": {"irreps": "0e + 2e"}})
    assert measure(frames, 5.0, targets).targets["q"].scales == pytest.approx((2.0, 0.1), rel=0.06)
    wrong = TargetsConfig(tensors={"q": {"irreps": "1o + 0e"}})
    with pytest.raises(ValueError, match=r"q has 6 numbers, but .* has 4"):
        measure(frames, 5.0, wrong)


def test_tensors_of_atoms_do_not_scale_with_the_size(molecules, rng):
    frames = [
        f.with_labels(b=0.7 * rng.normal(size=(f.num_atoms, 3, 3))) for f in molecules for _ in range(100)
    ]
    targets = TargetsConfig(tensors={"b": {"order": 2, "per": "atom"}})
    assert measure(frames, 5.0, targets).targets["b"].scales == pytest.approx((0.7,), rel=0.03)


def test_only_isolated_atoms_are_no_training_set():
    with pytest.raises(ValueError, match="no structure to train on"):
        measure([isolated("H", -13.0)], 5.0)
