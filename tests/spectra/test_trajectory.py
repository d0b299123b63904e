import json
from dataclasses import replace

import ase.units
import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

import equipot
from engines.tiny import potential
from equipot import units
from equipot.data.h5md import Stretch, encoded
from equipot.engines.dynamics import Dynamics, run_dynamics
from equipot.engines.trajectories import files
from equipot.spectra.spectrum import spectrum
from equipot.spectra.trajectory import VELOCITY, check_dynamics, read_run
from spectra import bent


@pytest.fixture(scope="module")
def short():
    return bent.trajectory(0.5, replicas=2, steps=600)


@pytest.fixture
def run(short, tmp_path):
    return bent.write_run(tmp_path / "run", short)


def test_velocity_unit():
    assert pytest.approx(10.1805, rel=1e-5) == 1 / VELOCITY


def test_run_folder_comes_back_as_it_was(run, short):
    read = read_run(run)
    assert read.stride == 1.0 and read.temperature == 0.5 and read.model == "abc"
    for mine, theirs in zip(short.segments, read.segments, strict=True):
        # extxyz keeps eight decimals
        assert_allclose(theirs.positions, mine.positions, atol=1e-8)
        assert_allclose(theirs.velocities, mine.velocities, atol=1e-8)
        assert_allclose(theirs.dipole, mine.dipole, atol=1e-8)
        assert_allclose(theirs.polarizability, mine.polarizability, atol=1e-8)
        assert len(theirs.energy) == 300


def test_spectrum_straight_from_a_folder(run):
    found = spectrum(str(run))
    assert set(found.kinds) == {"ir", "raman", "power"}
    assert found.header.engine == "test"
    assert any("instead of 10" in note for note in found.header.notes)


def test_missing_steps_cut_the_trajectory(run):
    path = run / "trajectory-000.extxyz"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: 5 * 100] + lines[5 * 110 :]))
    read = read_run(run)
    assert [len(s) for s in read.segments] == [100, 190, 300]
    assert "3 segments" in read.notes[0]


def test_repeated_frames_are_refused(run):
    path = run / "trajectory-001.extxyz"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: 5 * 100] + lines[5 * 90 :]))
    with pytest.raises(ValueError, match="frame 100: step 180 follows 198"):
        read_run(run)


def test_truncated_file_is_refused_with_its_frame(run):
    path = run / "trajectory-000.extxyz"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    with pytest.raises(ValueError, match="cut off"):
        read_run(run)


def test_values_that_are_no_numbers_are_refused(run):
    path = run / "trajectory-000.extxyz"
    text = path.read_text().splitlines(keepends=True)
    at = 5 * 7 + 2
    text[at] = text[at].replace(text[at].split()[1], "nan", 1)
    path.write_text("".join(text))
    with pytest.raises(ValueError, match="frame 7: positions is not a finite number"):
        read_run(run)


def test_dipole_in_some_frames_only_is_refused(run):
    path = run / "trajectory-000.extxyz"
    text = path.read_text().splitlines(keepends=True)
    at = 5 * 9 + 1
    text[at] = text[at].replace("dipole=", "other=")
    path.write_text("".join(text))
    with pytest.raises(ValueError, match="frame 9: no dipole, which other frames have"):
        read_run(run)


def test_folders_that_are_no_runs(tmp_path, run):
    with pytest.raises(ValueError, match=r"md\.json: no such file"):
        read_run(tmp_path)
    document = json.loads((run / "md.json").read_text())
    (run / "md.json").write_text(json.dumps(document | {"masses": [16.0, 1.0]}))
    with pytest.raises(ValueError, match=r"3 atoms, but md\.json has 2 masses"):
        read_run(run)
    del document["dt"]
    (run / "md.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="dt missing"):
        read_run(run)
    (run / "md.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        read_run(run)


def test_either_format_is_the_same_trajectory(run, tmp_path):
    """Frames of extended XYZ written as HDF5, in two files, with a gap in the middle."""
    text = read_run(run)
    stretch = Stretch(
        atoms=tuple(Atoms(text.numbers, masses=text.masses) for _ in text.segments),
        step=np.array([k for k in range(0, 600, 2) if not 200 <= k < 220]),
        time=np.arange(290.0),
        positions=np.stack([np.delete(s.positions, slice(100, 110), 0) for s in text.segments], axis=1),
        velocities=np.stack([np.delete(s.velocities, slice(100, 110), 0) for s in text.segments], axis=1),
        observables={
            "dipole": np.stack([np.delete(s.dipole, slice(100, 110), 0) for s in text.segments], axis=1)
        },
    )
    for path in run.glob("*.extxyz"):
        path.unlink()
    (run / "trajectory-00000.h5").write_bytes(encoded(stretch.first(40)))
    (run / "trajectory-00001.h5").write_bytes(encoded(stretch))
    with pytest.raises(ValueError, match=r"trajectory-\*\.h5, frame 40: step 0 follows 78"):
        read_run(run)
    (run / "trajectory-00001.h5").unlink()
    (run / "trajectory-00000.h5").write_bytes(encoded(stretch))
    binary = read_run(run)
    assert [len(s) for s in binary.segments] == [100, 190, 100, 190]
    assert "2 replicas hold 4 segments" in binary.notes[0]
    assert_allclose(binary.segments[2].dipole, text.segments[1].dipole[:100], atol=1e-8)
    assert_allclose(binary.segments[3].velocities, text.segments[1].velocities[110:], atol=1e-8)
    assert binary.segments[0].polarizability is None


@pytest.mark.parametrize(
    "phase, atoms, accepted",
    [
        ({"name": "nve"}, 3, True),
        ({"name": "nvt", "thermostat": "langevin", "tau": 100.0}, 300, False),
        ({"name": "nvt", "thermostat": "langevin", "tau": 10_000.0}, 3, True),
        ({"name": "nvt", "thermostat": "bussi", "tau": 1000.0}, 9, False),
        ({"name": "nvt", "thermostat": "bussi", "tau": 1000.0}, 192, True),
        ({"name": "nvt", "thermostat": "bussi", "tau": 100.0}, 192, False),
        ({"name": "nvt", "thermostat": "andersen", "tau": 1e6}, 192, False),
        ({"name": "nvt", "thermostat": "berendsen", "tau": 1e6}, 192, False),
        ({"name": "npt"}, 192, False),
    ],
)
def test_thermostatted_production(phase, atoms, accepted):
    document = {"phases": [{"name": "nvt", "thermostat": "langevin", "tau": 50.0}, phase]}
    if accepted:
        check_dynamics(document, atoms, "md.json")
    else:
        with pytest.raises(ValueError, match="under a thermostat"):
            check_dynamics(document, atoms, "md.json")


def test_other_atoms_in_another_replica_are_refused(run):
    path = run / "trajectory-001.extxyz"
    path.write_text(path.read_text().replace("H  ", "He "))
    with pytest.raises(ValueError, match="the atoms differ"):
        read_run(run)


def test_energy_drift_is_noted(short):
    long = bent.trajectory(0.5, replicas=1, steps=2000)
    rising = replace(long.segments[0], energy=1e-5 * np.arange(len(long.segments[0]), dtype=float))
    notes = spectrum(replace(long, segments=(rising,)), kinds=("power",)).header.notes
    assert any("energy drifts" in n for n in notes)


@pytest.mark.parametrize("trajectory", ["extxyz", "hdf5"])
def test_run_of_the_engine_is_read(tmp_path, trajectory):
    """What `run_dynamics` writes is what `spectrum` reads: names, units, phases, conservation."""
    start = Atoms("OHH", positions=[[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    settings = Dynamics(
        temperature=30, time=0.075, equilibration=0.002, stride=2, replicas=2, trajectory=trajectory
    )
    run_dynamics(potential(scale=0.1), start, settings, tmp_path / "md")
    read = read_run(tmp_path / "md")
    assert len(read.segments) == 2 and read.stride == 1.0
    found = spectrum(tmp_path / "md")
    assert set(found.kinds) == {"ir", "raman", "power"}
    assert not any("not finished" in note or "drifts" in note for note in found.notes)
    assert found.header.model is not None
    last = list(equipot.read(files(tmp_path / "md")[0]))[len(read.segments[0]) - 1]
    atoms = last.atoms()
    atoms.set_velocities(last.vectors["velocities"] / ase.units.fs)
    kinetic = 0.5 * np.sum(read.masses[:, None] * read.segments[0].velocities[-1] ** 2)
    assert kinetic / units.acceleration == pytest.approx(atoms.get_kinetic_energy(), rel=1e-6)
