"""HDF5 trajectories: the layout that other programs expect, and the refusal of what is not one."""

import builtins

import h5py
import numpy as np
import pytest
from ase import Atoms

from equipot.data.h5md import Stretch, count, encoded, joined, read_h5md
from equipot.data.read import read


def stretch(frames: int = 4, **changes) -> Stretch:
    rng = np.random.default_rng(3)
    atoms = Atoms("OH", masses=[15.999, 2.014], cell=np.diag([5.0, 6, 7]), pbc=[True, True, False])
    atoms.info = {"charge": -1.0}
    shape = (frames, 2, 2, 3)
    values = {
        "atoms": (atoms, atoms.copy()),
        "step": np.arange(frames) * 4,
        "time": np.arange(frames) * 2.0,
        "positions": rng.normal(size=shape),
        "velocities": rng.normal(size=shape),
        "observables": {
            "energy": rng.normal(size=shape[:2]),
            "polarizability": rng.normal(size=(frames, 2, 3, 3)),
        },
    }
    return Stretch(**(values | changes))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "trajectory.h5"
    path.write_bytes(encoded(stretch()))
    return path


def test_comes_back_to_the_last_bit(path):
    found, made = read_h5md(path), stretch()
    for name in ("step", "time", "positions", "velocities"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    for name, values in made.observables.items():
        np.testing.assert_array_equal(found.observables[name], values)
    for a, b in zip(found.atoms, made.atoms, strict=True):
        assert a.info == b.info and (a.pbc == b.pbc).all() and (a.numbers == b.numbers).all()
        np.testing.assert_array_equal(a.cell.array, b.cell.array)
        np.testing.assert_array_equal(a.get_masses(), b.get_masses())
    assert count(path) == 4


def test_is_h5md(path):
    """Names, shapes and attributes of the specification, version 1.1."""
    with h5py.File(path) as file:
        assert file["h5md"].attrs["version"].tolist() == [1, 1]
        assert file["h5md/creator"].attrs["name"] == "equipot" and "name" in file["h5md/author"].attrs
        particles = file["particles/replica-001"]
        assert particles["box"].attrs["dimension"] == 3
        assert particles["box"].attrs["boundary"].tolist() == ["periodic", "periodic", "none"]
        assert particles["box/edges"].shape == (3, 3)
        assert particles["species"][:].tolist() == [8, 1]
        for name, unit in (("position", "Angstrom"), ("velocity", "Angstrom fs-1")):
            assert particles[name]["value"].shape == (4, 2, 3)
            assert particles[name]["value"].attrs["unit"] == unit
            assert particles[name]["step"][:].tolist() == [0, 4, 8, 12]
            assert particles[name]["time"].attrs["unit"] == "fs"
        assert file["observables/replica-001/polarizability/value"].shape == (4, 3, 3)


def test_reading_frames_by_the_names_of_a_file(path):
    frames, made = read(path), stretch()
    assert frames.kind == "h5md" and len(frames) == 8
    fifth = frames[5]  # the second frame of the second replica
    np.testing.assert_array_equal(fifth.positions, made.positions[1, 1])
    assert fifth.labels["energy"] == made.observables["energy"][1, 1]
    assert fifth.labels["polarizability"].shape == (3, 3) and fifth.charge == -1


def test_parts_are_joined_and_cut():
    whole = stretch()
    again = joined([whole.first(1), whole, whole.first(0)])
    assert len(again) == 5
    np.testing.assert_array_equal(again.observables["energy"][1:], whole.observables["energy"])


def test_cells_that_change(tmp_path):
    cells = np.eye(3) * np.arange(5.0, 9)[:, None, None]
    (tmp_path / "npt.h5").write_bytes(encoded(stretch(cells=cells)))
    found = read_h5md(tmp_path / "npt.h5")
    np.testing.assert_array_equal(found.cells, cells)
    assert [atoms.cell[0, 0] for atoms, _ in found.frames()] == [5, 6, 7, 8] * 2


def test_files_that_are_none(tmp_path, path):
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(path.read_bytes()[:-3000])
    foreign = tmp_path / "foreign.h5"
    with h5py.File(foreign, "w") as file:
        file["positions"] = np.zeros((2, 3))
    text = tmp_path / "text.h5"
    text.write_text("no")
    for bad in (damaged, foreign, text):
        with pytest.raises(ValueError, match=rf"{bad.name}: not a trajectory of equipot"):
            read(bad)
        with pytest.raises(ValueError, match="not a trajectory"):
            count(bad)


def test_without_h5py_the_extra_is_named(path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"pip install 'equipot\[hdf5\]'"):
        read(path)
