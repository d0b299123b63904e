"""What is said of reference energies, and that fixed terms are taken off before anything is measured."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from data.test_statistics import ENERGIES, SPECIES, isolated
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.data.references import finding, in_words, of_statistics, reference_energies
from equipot.data.statistics import measure
from equipot.potential.terms import Terms, TermsConfig
from equipot.statistics import Statistics

ELEMENTS = (1, 6, 8)
ZBL = TermsConfig(zbl=True)


@pytest.fixture
def molecules():
    """Molecules whose energy is a sum over their elements and 2 eV of cohesion per atom."""
    frames = [Frame.from_atoms(molecule(name)) for name in SPECIES]
    return [
        f.with_labels(energy=np.array(sum(ENERGIES[z] - 2.0 for z in f.numbers.tolist()))) for f in frames
    ]


def waters(count: int = 3) -> list[Frame]:
    frames = [Frame.from_atoms(molecule("H2O")) for _ in range(count)]
    return [f.with_labels(energy=np.array(-2079.0 + 0.1 * k)) for k, f in enumerate(frames)]


def test_energies_of_isolated_atoms_leave_nothing_to_warn_of(molecules):
    atoms = [isolated(s, ENERGIES[z]) for s, z in zip("HCO", ELEMENTS, strict=True)]
    stats = measure([*atoms, *molecules], 5.0)
    assert finding(of_statistics(stats), stats.elements, "a.xyz") is None
    assert in_words(stats) == "isolated atoms; mean cohesion -2 eV per atom on top"


def test_a_fit_says_its_condition_number(molecules):
    stats = measure(molecules, 5.0)
    note = finding(of_statistics(stats), stats.elements, "a.xyz")
    expected = np.linalg.cond([[np.count_nonzero(f.numbers == z) for z in ELEMENTS] for f in molecules])
    assert note.level == "note" and f"condition number {expected:.3g}" in note.evidence
    assert in_words(stats) == f"least squares for H, C, O, condition number {expected:.3g}"
    assert stats.reference_fitted == ELEMENTS and stats.reference_condition == pytest.approx(expected)


def test_compositions_that_do_not_determine_the_elements_are_a_warning_with_a_fix():
    stats = measure(waters(), 5.0)
    assert stats.reference_condition is None
    text = finding(of_statistics(stats), stats.elements, "water.xyz").text()
    assert text.startswith("warning: no isolated-atom energy for H, O")
    assert "the compositions do not determine them" in text
    assert "data.reference_energies={H: ENERGY, O: ENERGY}" in text
    assert "condition number infinite" in in_words(stats)


def test_what_is_known_of_some_elements_is_said(molecules):
    stats = measure([isolated("O", -2042.0), *molecules], 5.0)
    assert stats.reference_fitted == (1, 6)
    assert in_words(stats).startswith("least squares for H, C, condition number")
    assert "the others given or of isolated atoms" in in_words(stats)


def test_statistics_of_older_files_have_no_condition_and_the_same_numbers():
    """Files from before these fields, and before the mean cohesion, mean what they meant."""
    old = {
        "elements": [1, 8],
        "mean_neighbors": 2.0,
        "reference_energies": [-13.0, -2040.0],
        "reference_source": "least squares",
        "energy_scale": 0.7,
    }
    stats = Statistics.model_validate(old)
    assert in_words(stats) == "least squares"
    assert finding(of_statistics(stats), stats.elements, "old") is None
    assert stats.energy_shift == 0.0
    assert {k: json.loads(stats.model_dump_json())[k] for k in old} == old


def test_without_energies_nothing_is_said_but_that():
    bare = [Frame.from_atoms(molecule("H2O")).with_labels(forces=np.ones((3, 3)))]
    stats = measure(bare, 5.0)
    assert stats.reference_source == "none" and in_words(stats) == "none: no energies to measure them on"
    assert finding(of_statistics(stats), stats.elements, "a.xyz") is None


def compressed(factor: float) -> list[Frame]:
    """Molecules with bonds so short that the repulsion is their whole energy and force."""
    frames = []
    for name in SPECIES:
        atoms = molecule(name)
        atoms.positions *= factor
        frames.append(Frame.from_atoms(atoms))
    return frames


def test_fixed_terms_are_taken_off_before_anything_is_measured(rng):
    """Labels = ZBL + known elements + known noise: what is measured is what the rest alone would give."""
    frames = compressed(0.7)
    batch = batch_of(frames, ELEMENTS, 5.0)
    energy, forces = Terms(ZBL, ELEMENTS, 5.0).energy_and_forces(batch)
    ends = np.cumsum([f.num_atoms for f in frames])[:-1]
    noise = rng.normal(scale=0.3, size=forces.shape)
    rest, labelled = [], []
    for f, e, push, shake in zip(
        frames, energy.tolist(), np.split(forces.numpy(), ends), np.split(noise, ends), strict=True
    ):
        own = sum(ENERGIES[z] for z in f.numbers.tolist())
        rest.append(f.with_labels(energy=np.array(own), forces=shake))
        labelled.append(f.with_labels(energy=np.array(own + e), forces=shake + push))
    expected, found = measure(rest, 5.0), measure(labelled, 5.0, terms=ZBL)
    np.testing.assert_allclose(found.reference_energies, expected.reference_energies, rtol=1e-10)
    assert found.energy_scale == pytest.approx(expected.energy_scale, rel=1e-10)
    assert found.energy_scale == pytest.approx(0.3, rel=0.2)
    assert measure(labelled, 5.0).energy_scale > 3.0  # without the term, the model would have to learn it


def test_isolated_atoms_are_left_as_they_are():
    """An atom alone has no neighbor to be repelled by, in whatever cell it was computed."""
    lone = Atoms("H", cell=np.eye(3) * 0.5, pbc=True)
    frame = Frame(**{**vars(Frame.from_atoms(lone).with_labels(energy=np.array(-13.0))), "isolated": True})
    stats = measure([frame, *[f for f in waters()]], 5.0, terms=ZBL, given={"O": -2040.0})
    assert stats.reference_energies == (-13.0, -2040.0)
    assert reference_energies([frame], (1,)).values == (-13.0,)
