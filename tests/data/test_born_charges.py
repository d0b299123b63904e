"""Born charges of a file: names, index order, statistics."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from equipot.data.collate import collate_labels, graph
from equipot.data.doctor import inspect
from equipot.data.read import read
from equipot.data.statistics import measure
from equipot.potential import TargetsConfig
from equipot.potential.targets import BornChargesTarget


@pytest.fixture
def charges():
    raw = np.random.default_rng(1).normal(size=(3, 2, 3, 3)) * 0.1
    raw += np.array([1.1, -1.1])[:, None, None] * np.eye(3)
    return raw - raw.mean(axis=1, keepdims=True)


@pytest.fixture
def path(tmp_path, charges):
    frames = []
    for z in charges:
        atoms = bulk("NaCl", "rocksalt", a=5.6)
        atoms.info["energy_of_run"] = -1.0
        atoms.arrays["born_charge"] = z.reshape(2, 9)
        frames.append(atoms)
    ase.io.write(tmp_path / "salt.xyz", frames, format="extxyz")
    return tmp_path / "salt.xyz"


def test_the_dipole_comes_first_unless_the_user_says_otherwise(path, charges):
    found = np.array([f.labels["born_charges"] for f in read(path)])
    np.testing.assert_allclose(found, charges, atol=1e-7)
    other = read(path, components={"born_charges": "position dipole"})
    np.testing.assert_allclose(other[0].labels["born_charges"], charges[0].transpose(0, 2, 1), atol=1e-7)
    with pytest.raises(ValueError, match=r"expected 'dipole position' or 'position dipole'"):
        read(path, components={"born_charges": "transposed"})


def test_they_become_rows_of_atoms_and_nan_where_missing(path, charges):
    frames = list(read(path))
    bare = frames[0].__class__(**{**vars_of(frames[0]), "labels": {}})
    labels = collate_labels([graph(f, 3.0) for f in (frames[1], bare)], ["born_charges"])
    assert labels.born_charges.shape == (4, 3, 3)
    np.testing.assert_allclose(labels.born_charges[:2], charges[1], atol=1e-7)
    assert bool(labels.born_charges[2:].isnan().all())


def vars_of(frame):
    names = ("numbers", "positions", "cell", "pbc", "charge", "spin", "vectors", "source", "index")
    return {name: getattr(frame, name) for name in names}


def test_statistics_are_the_mean_of_each_element_and_the_spread_of_each_part(path, charges):
    targets = TargetsConfig(energy=None, born_charges=BornChargesTarget(), total_charge=0)
    found = measure(list(read(path)), 3.0, targets).targets["born_charges"]
    third = np.trace(charges, axis1=2, axis2=3) / 3
    np.testing.assert_allclose(found.baseline, third.mean(axis=0), atol=1e-7)  # Na before Cl
    skew = (charges - charges.transpose(0, 1, 3, 2)) / 2
    np.testing.assert_allclose(found.scales[1], np.sqrt((skew**2).sum((2, 3)).mean() / 3), rtol=1e-6)
    assert len(found.scales) == 3


def test_the_doctor_offers_the_target(path):
    config = inspect(path).suggested_config
    assert "born_charges: born_charge" in config
    assert "born_charges: {}" in config and "total_charge: 0" in config
