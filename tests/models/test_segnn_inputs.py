"""Covariant inputs of the atoms: they turn and mirror with the structure, and a model needs the ones that it reads."""

from dataclasses import replace

import ase.units
import numpy as np
import pytest
import torch

from equipot import testing
from equipot.batch import ATOMIC_VECTORS
from equipot.config import parse
from equipot.data.atomic_vectors import rotated
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.deploy.fingerprints import check, fingerprint
from equipot.engines.ase import Calculator
from equipot.engines.neighborhood import Neighborhood
from equipot.engines.replicas import replicated
from equipot.engines.settings import Dynamics
from equipot.evaluate.proofs import verify
from equipot.potential import PotentialConfig
from equipot.testing import crystal, far_atoms, molecule, predict, random_potential, thin_cell

ELEMENTS, CUTOFF = (1, 6, 8), 3.0
TARGETS = {"dipole": {"form": "atomic"}, "tensors": {"axial": {"irreps": "1e + 0o + 2e", "rank": 3}}}
ROUND_OFF = 1e-10  # relative, as in the contract


def potential(*inputs, **model):
    values = {"name": "segnn", "channels": 8, "num_layers": 2, "cutoff": CUTOFF, "inputs": inputs, **model}
    return random_potential(parse(PotentialConfig, {"model": values, "targets": TARGETS}, "test"), ELEMENTS)


def turned(frame, name, sign):
    return replace(frame, vectors={**frame.vectors, name: sign * frame.vectors[name]})


@pytest.mark.parametrize("harmonics", ["solid", "directions"])
@pytest.mark.parametrize("frame", [molecule(ELEMENTS), crystal(ELEMENTS)], ids=["molecule", "crystal"])
def test_symmetries_with_all_inputs(frame, harmonics):
    model = potential(*ATOMIC_VECTORS, input_harmonics=harmonics)
    for check_of in (testing.rotation, testing.reflection, testing.translation, testing.permutation):
        residuals = check_of(model, frame)
        assert testing.worst(residuals) < ROUND_OFF, residuals


def test_forces_are_derivatives_at_constant_inputs():
    assert testing.forces_by_differences(potential(*ATOMIC_VECTORS), molecule(ELEMENTS)) < 1e-7


def test_inputs_stay_with_their_atoms():
    model = potential(*ATOMIC_VECTORS)
    frames = [molecule(ELEMENTS), far_atoms(ELEMENTS, CUTOFF)]
    assert testing.worst(testing.batch_composition(model, frames)) < ROUND_OFF
    assert testing.worst(testing.supercell(model, thin_cell(ELEMENTS), (2, 2, 1))) < ROUND_OFF
    assert testing.worst(testing.fragments_add(model, *frames)) < ROUND_OFF
    assert testing.worst(testing.cutoff_jump(model)) < 1e-7


@pytest.mark.parametrize("name", ATOMIC_VECTORS)
def test_every_input_matters(name):
    frame = molecule(ELEMENTS)
    model = potential(name)
    energies = predict(model, frame, turned(frame, name, 0.3), turned(frame, name, -1)).energy
    assert torch.pdist(energies[:, None]).min() > 1e-3
    others = replace(frame, vectors={name: frame.vectors[name]})
    torch.testing.assert_close(predict(model, others).energy, energies[:1], rtol=ROUND_OFF, atol=0)


@pytest.mark.parametrize("name", ATOMIC_VECTORS)
def test_an_input_of_the_other_parity_would_be_noticed(name):
    """A mirror image with the vectors of the wrong kind: what the check of reflections finds."""
    frame, mirror = molecule(ELEMENTS), np.diag([1.0, 1.0, -1.0])
    image = replace(frame, positions=frame.positions @ mirror, vectors=rotated(frame.vectors, mirror))
    before, right, wrong = predict(potential(name), frame, image, turned(image, name, -1)).energy
    assert abs(right - before) < ROUND_OFF * abs(before)
    assert abs(wrong - before) > 1e-3


def test_parallel_and_antiparallel_moments_differ():
    """A message carries the moment of the neighbor, and not only its square."""
    pair = replace(molecule((8,), 2), vectors={"magnetic_moments": np.array([[0, 0, 1.0], [0, 0, 1.0]])})
    opposite = replace(pair, vectors={"magnetic_moments": np.array([[0, 0, 1.0], [0, 0, -1.0]])})
    ferro, antiferro = predict(potential("magnetic_moments"), pair, opposite).energy
    assert abs(ferro - antiferro) > 1e-3


def test_the_energy_is_smooth_where_an_input_vanishes():
    """Along v, through zero: slopes from both sides agree to step² times a curvature; a direction would jump."""
    model, frame, step = potential("velocities"), molecule(ELEMENTS), 1e-3
    energies = {
        k: predict(model, turned(frame, "velocities", k * step)).energy.item() for k in (-2, -1, 1, 2)
    }
    jump = (2 * energies[1] - energies[2]) - (2 * energies[-1] - energies[-2])
    assert abs(jump) < 1e-4
    published = potential("velocities", input_harmonics="directions")
    signs = [predict(published, turned(frame, "velocities", k * 1e-6)).energy.item() for k in (-1, 1)]
    assert abs(signs[0] - signs[1]) > 1e-3


def test_a_missing_input_is_named():
    model, frame = potential("magnetic_moments"), replace(molecule(ELEMENTS), vectors={})
    with pytest.raises(
        ValueError, match=r"reads magnetic_moments of every atom.*data\.keys\.magnetic_moments"
    ):
        model(batch_of([frame], ELEMENTS, CUTOFF))
    complete = molecule(ELEMENTS)
    with pytest.raises(ValueError, match="magnetic_moments"):  # one of two is not enough
        model(batch_of([complete, frame], ELEMENTS, CUTOFF))


def test_fingerprints_keep_the_inputs_that_are_read():
    model = potential("velocities")
    stored = fingerprint(model, molecule(ELEMENTS))
    assert set(stored.vectors) == {"velocities"}
    check(model, [stored], "float64", "test")
    other = stored.model_copy(update={"vectors": {"velocities": ((0.0, 0.0, 0.0),) * 6}})
    with pytest.raises(ValueError, match="deviates"):
        check(model, [other], "float64", "test")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"inputs": ["velocity"]}, "velocities"),
        ({"inputs": ["velocities", "velocities"]}, "differ"),
        ({"l_features": 2, "l_attributes": 1}, "at least l_features"),
    ],
)
def test_settings_without_meaning_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        parse(PotentialConfig, {"model": {"name": "segnn", **values}}, "test")


@pytest.mark.slow
def test_the_proofs_of_a_model_with_inputs():
    """All of them but those that hold for functions of the positions alone."""
    frame = molecule(ELEMENTS, 4, seed=2)
    sheet = verify(potential("velocities", "magnetic_moments"), [frame])
    assert [proof for proof in sheet if not proof.passed] == []
    names = {proof.name for proof in sheet}
    assert {"net force", "parity", "extensivity"} <= names
    assert not {"net force and torque", "energy drift in NVE"} & names


def test_a_calculator_reads_the_inputs_of_its_atoms():
    """Positions unchanged, another moment or momentum: computed again."""
    model = potential("magnetic_moments", "velocities")
    frame = molecule(ELEMENTS)
    atoms = frame.atoms()
    del atoms.arrays["velocities"]
    atoms.set_velocities(frame.vectors["velocities"] / ase.units.fs)
    atoms.calc = Calculator(model)
    first = atoms.get_potential_energy()
    assert first == pytest.approx(model(batch_of([frame], ELEMENTS, CUTOFF)).energy.item(), rel=1e-12)
    for name in ("magnetic_moments", "momenta"):
        atoms.arrays[name] *= -1
        expected = model(batch_of([Frame.from_atoms(atoms)], ELEMENTS, CUTOFF)).energy.item()
        assert atoms.get_potential_energy() == pytest.approx(expected, rel=1e-12)
        assert abs(expected - first) > 1e-3
        first = expected
    del atoms.arrays["magnetic_moments"]
    with pytest.raises(ValueError, match="reads magnetic_moments"):
        atoms.get_potential_energy()


def test_replicas_keep_their_inputs():
    atoms = molecule(ELEMENTS).atoms()
    settings = Dynamics(temperature=300.0, time=0.01, replicas=2)
    both = replicated(atoms, settings)
    np.testing.assert_array_equal(
        both.arrays["magnetic_moments"], np.tile(atoms.arrays["magnetic_moments"], (2, 1))
    )
    batch = Neighborhood(ELEMENTS, CUTOFF, 0.5, 2, ("magnetic_moments",)).batch(both)
    np.testing.assert_array_equal(batch.magnetic_moments, both.arrays["magnetic_moments"])
