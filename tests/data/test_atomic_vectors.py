"""Velocities, applied forces and magnetic moments: from files and atoms to batches, and what turns them."""

import ase.io
import numpy as np
import pytest
from ase import units as ase_units
from ase.build import molecule

from equipot.data.atomic_vectors import root_mean_squares, rotated, vectors_of
from equipot.data.collate import batch_of, refuse_incomplete
from equipot.data.frame import Frame
from equipot.data.read import read
from equipot.data.statistics import measure


def water(seed=0, **names):
    """Water with random arrays of these names, and an energy."""
    atoms, rng = molecule("H2O"), np.random.default_rng(seed)
    for name, scale in names.items():
        atoms.new_array(name, scale * rng.normal(size=(3, 3)))
    atoms.info["energy"] = -14.0
    return atoms


def frames(tmp_path, images, **options):
    path = tmp_path / "a.extxyz"
    ase.io.write(path, images)
    return read(path, **options)


def test_arrays_of_their_own_names_are_read_and_are_no_labels(tmp_path):
    image = water(magnetic_moments=2.0, external_forces=0.1, velocities=0.02)
    found = frames(tmp_path, [image])[0]
    assert set(found.labels) == {"energy"}
    for name in ("magnetic_moments", "external_forces", "velocities"):
        np.testing.assert_allclose(found.vectors[name], image.arrays[name], rtol=0, atol=1e-8)


def test_another_name_and_unit(tmp_path):
    image = water(spins=1.0, v=10.0)
    options = {"keys": {"magnetic_moments": "spins", "velocities": "v"}, "units": {"velocities": "Å/ps"}}
    found = frames(tmp_path, [image], **options)[0]
    np.testing.assert_allclose(found.vectors["magnetic_moments"], image.arrays["spins"], atol=1e-8)
    np.testing.assert_allclose(found.vectors["velocities"], image.arrays["v"] / 1000, atol=1e-8)


def test_a_name_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no 'magmoms' \(keys\.magnetic_moments\)"):
        frames(tmp_path, [water()], keys={"magnetic_moments": "magmoms"})


def test_velocities_are_those_of_the_momenta():
    """In Å/fs: kinetic energies agree, ½ m v² with 1 amu Å²/fs² = 103.64 eV."""
    atoms = water(velocities=5.0)  # what a file once said
    atoms.set_momenta(np.random.default_rng(1).normal(size=(3, 3)))
    v = vectors_of(atoms)["velocities"]
    kinetic = 0.5 * (atoms.get_masses()[:, None] * v**2).sum() / ase_units.fs**2
    assert kinetic == pytest.approx(atoms.get_kinetic_energy(), rel=1e-12)
    assert 1 / ase_units.fs**2 == pytest.approx(103.64, abs=0.01)


def test_moments_along_one_axis_are_no_vectors():
    atoms = molecule("H2O")
    atoms.new_array("magnetic_moments", np.ones(3))
    assert vectors_of(atoms) == {}


def test_a_frame_gives_them_back_to_ase():
    frame = Frame.from_atoms(water(magnetic_moments=2.0))
    np.testing.assert_array_equal(
        vectors_of(frame.atoms())["magnetic_moments"], frame.vectors["magnetic_moments"]
    )


def test_a_batch_has_what_all_its_structures_have():
    both, one = (
        Frame.from_atoms(water(magnetic_moments=1.0, velocities=1.0)),
        Frame.from_atoms(water(magnetic_moments=1.0)),
    )
    batch = batch_of([both, one], (1, 8), 3.0)
    expected = np.concatenate([both.vectors["magnetic_moments"], one.vectors["magnetic_moments"]])
    np.testing.assert_array_equal(batch.magnetic_moments, expected)
    assert batch.velocities is None


def test_axial_vectors_keep_their_direction_along_a_mirror_normal():
    """A current loop in the mirror plane looks the same: its moment, along the normal, does not turn round."""
    mirror, z = np.diag([1.0, 1.0, -1.0]), np.array([[0.0, 0.0, 1.0]])
    found = rotated({"magnetic_moments": z, "velocities": z, "external_forces": z}, mirror)
    np.testing.assert_array_equal(found["magnetic_moments"], z)
    np.testing.assert_array_equal(found["velocities"], -z)
    np.testing.assert_array_equal(found["external_forces"], -z)


def test_what_is_measured_of_them():
    images = [water(seed, magnetic_moments=2.0, velocities=0.0) for seed in range(5)]
    structures = [Frame.from_atoms(image).with_labels(energy=np.array(-14.0)) for image in images]
    moments = np.concatenate([image.arrays["magnetic_moments"] for image in images])
    expected = np.sqrt((moments**2).sum(1).mean())
    assert measure(structures, 3.0).inputs == {"magnetic_moments": pytest.approx(expected, rel=1e-12)}
    lacking = [*structures, Frame.from_atoms(water())]
    assert root_mean_squares([f.vectors for f in lacking]) == {}


def test_a_frame_without_an_input_is_refused_by_its_place():
    frame = Frame.from_atoms(water(velocities=1.0), source="a.xyz", index=3)
    refuse_incomplete(frame, ("velocities",))
    with pytest.raises(
        ValueError, match=r"a\.xyz, frame 3: no magnetic_moments .* inputs found: velocities\."
    ):
        refuse_incomplete(frame, ("velocities", "magnetic_moments"))
