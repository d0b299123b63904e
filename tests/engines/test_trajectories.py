"""The trajectory files of a run: what a restart goes back to, and what SIGKILL leaves."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from equipot.data.h5md import joined, read_h5md
from equipot.engines import trajectories
from equipot.engines.trajectories import FRAMES, H5mdWriter, Snapshot, files, writer

ATOMS, REPLICAS = 200, 2


def copies() -> list[Atoms]:
    return [Atoms(f"H{ATOMS}", cell=np.eye(3) * 20, pbc=True) for _ in range(REPLICAS)]


def snapshot(step: int) -> Snapshot:
    """Numbers that are known from the step alone."""
    values = np.arange(REPLICAS * ATOMS * 3, dtype=float).reshape(REPLICAS, ATOMS, 3) + step / 7
    return Snapshot(
        positions=values,
        momenta=-values,
        info={"step": step, "time": 0.5 * step},
        rows={"energy": np.arange(REPLICAS) - 0.1 * step, "dipole": values[:, 0]},
    )


def write_for_ever(folder: str, start: int, kill_in_write: int = 0) -> None:
    """Append and flush, saying after every flush what is safe; a process of its own, to be killed."""
    trajectories.PART = 20 * 48 * REPLICAS * ATOMS  # twenty frames in a file
    made = writer("hdf5", Path(folder), copies(), {FRAMES: start} if start else None)
    replace, calls = os.replace, []

    def replacing(*names):
        calls.append(names)
        if len(calls) == kill_in_write:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*names)

    os.replace = replacing
    for step in range(start, 100_000):
        made.add(snapshot(step))
        if step % 3 == 0:
            print(made.flush()[FRAMES], flush=True)


def started(folder: Path, start: int, kill_in_write: int = 0) -> subprocess.Popen:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from engines.test_trajectories import write_for_ever;"
    )
    code += f"write_for_ever({str(folder)!r}, {start}, {kill_in_write})"
    command = [sys.executable, "-c", code, str(Path(__file__).parents[1])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check(folder: Path, safe: int) -> None:
    """Everything that was said to be safe can be read by anything, and is what was written."""
    whole = joined([read_h5md(path) for path in files(folder)])
    assert len(whole) >= safe
    np.testing.assert_array_equal(whole.step, np.arange(len(whole)))
    for k in (0, safe - 1, len(whole) - 1):
        np.testing.assert_array_equal(whole.positions[k], snapshot(k).positions)
        np.testing.assert_array_equal(whole.observables["energy"][k], snapshot(k).rows["energy"])


@pytest.mark.slow
def test_sigkill_at_random_moments(tmp_path):
    """Killed again and again, each time going on from what was safe: nothing is lost and every file opens."""
    safe, rng = 0, random.Random(1)
    for _ in range(4):
        with started(tmp_path, safe) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(rng.randint(3, 8))]
            time.sleep(rng.uniform(0, 0.01))
            process.kill()
            safe = max(map(int, [*said, *process.stdout.read().split()]))
            assert process.wait() == -signal.SIGKILL
        check(tmp_path, safe)
    assert safe > 20 and len(files(tmp_path)) > 1  # more than one file was filled


@pytest.mark.slow
def test_sigkill_in_the_middle_of_a_write(tmp_path):
    """The new file is written and flushed, but not yet in its place."""
    with started(tmp_path, 0, kill_in_write=4) as process:
        said = process.communicate()[0].split()
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.glob(".trajectory-*.tmp"))
    check(tmp_path, int(said[-1]))
    assert len(joined([read_h5md(p) for p in files(tmp_path)])) == int(said[-1]) == 7
    H5mdWriter(tmp_path, copies(), {FRAMES: 7})
    assert not list(tmp_path.glob(".trajectory-*.tmp"))


@pytest.mark.parametrize("kept", [0, 3, 5, 10, 12])
def test_a_restart_goes_back_to_its_mark(tmp_path, monkeypatch, kept):
    """Files of five frames: cut inside one, at the end of one, and to nothing."""
    monkeypatch.setattr(trajectories, "PART", 5 * 48 * REPLICAS * ATOMS)
    first = H5mdWriter(tmp_path, copies(), {})
    for step in range(12):
        first.add(snapshot(step))
    assert first.flush() == {FRAMES: 12} and len(files(tmp_path)) == 3
    again = H5mdWriter(tmp_path, copies(), {FRAMES: kept})
    for step in range(kept, 13):
        again.add(snapshot(step))
    assert again.flush() == {FRAMES: 13}
    assert [len(read_h5md(path)) for path in files(tmp_path)] == [5, 5, 3]
    check(tmp_path, 13)


def test_frames_that_a_restart_misses_are_an_error(tmp_path):
    made = H5mdWriter(tmp_path, copies(), {})
    made.add(snapshot(0))
    made.flush()
    with pytest.raises(ValueError, match=r"hold 1 frames, restart\.json says 4"):
        H5mdWriter(tmp_path, copies(), {FRAMES: 4})
    (tmp_path / "trajectory-000.extxyz").write_text("12345")
    with pytest.raises(ValueError, match=r"5 bytes, restart\.json says 10"):
        writer("extxyz", tmp_path, copies()[:1], {"trajectory-000.extxyz": 10})


def test_what_waits_is_written_at_the_end(tmp_path):
    made = H5mdWriter(tmp_path, copies(), {})
    made.add(snapshot(0))
    made.flush()
    made.add(snapshot(1))
    assert len(read_h5md(*files(tmp_path))) == 1
    made.close()
    check(tmp_path, 2)


def test_both_formats_hold_the_same(tmp_path):
    from equipot.data.read import read

    for format in ("extxyz", "hdf5"):
        (tmp_path / format).mkdir()
        made = writer(format, tmp_path / format, copies(), None)
        for step in range(3):
            made.add(snapshot(step))
        made.flush()
        made.close()
    text = [frame for path in files(tmp_path / "extxyz") for frame in read(path)]
    binary = list(read(*files(tmp_path / "hdf5")))
    assert len(text) == len(binary) == 3 * REPLICAS
    for a, b in zip(text, binary, strict=True):
        np.testing.assert_allclose(a.positions, b.positions, rtol=0, atol=1e-8)
        np.testing.assert_allclose(a.labels["energy"], b.labels["energy"], rtol=0, atol=1e-8)
        np.testing.assert_allclose(a.labels["dipole"], b.labels["dipole"], rtol=0, atol=1e-8)
        np.testing.assert_array_equal(a.cell, b.cell)
        assert a.pbc.all() and b.pbc.all()


def test_a_changing_cell_is_in_every_frame(tmp_path):
    for format in ("extxyz", "hdf5"):
        made = writer(format, tmp_path, copies()[:1], None)
        for step in range(2):
            one = snapshot(step)
            made.add(
                Snapshot(
                    positions=one.positions[:1],
                    momenta=one.momenta[:1],
                    info=one.info,
                    cell=np.eye(3) * (20 + step),
                )
            )
        made.flush()
        made.close()
    from equipot.data.read import read

    for path in files(tmp_path):
        assert [frame.cell[0, 0] for frame in read(path)] == [20, 21]
