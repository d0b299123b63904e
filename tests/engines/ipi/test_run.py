"""Ring polymers through the run folder: what is recorded, restarts, refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule

from engines.tiny import potential
from equipot import units
from equipot.engines.dynamics import Dynamics, DynamicsStopped, run_dynamics
from equipot.engines.ipi.mover import RingMover

SHORT = {
    "engine": "ipi", "beads": 4, "temperature": 300.0, "dt": 0.5, "time": 0.01, "equilibration": 0.005, "stride": 2,
    "replicas": 2, "max_temperature": 1e5,
}  # fmt: skip


def run(folder: Path, **settings) -> Path:
    chosen = Dynamics(**{**SHORT, **settings})
    return run_dynamics(potential(scale=0.1), molecule("H2O"), chosen, folder)


def contents(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.glob("*.extxyz")}


class Killed(BaseException):
    pass


def killed_at(step, folder):
    def progress(done, total):
        if done == step:
            raise Killed

    with pytest.raises(Killed):
        chosen = Dynamics(**SHORT, checkpoint=0)
        run_dynamics(potential(scale=0.1), molecule("H2O"), chosen, folder, progress=progress)


def test_what_a_run_leaves(tmp_path):
    folder = run(tmp_path / "md")
    header = json.loads((folder / "md.json").read_text())
    assert header["engine"].startswith("i-PI 3")
    ring = header["ring"]
    assert (ring["beads"], ring["method"], ring["lambda"]) == (4, "trpmd", 0.5)
    assert "2 lambda omega_k" in ring["friction"] and ring["positions"] == "of the centroid"
    assert [phase["method"] for phase in header["phases"]] == ["pimd", "trpmd"]
    frames = ase.io.read(folder / "trajectory-001.extxyz", index=":")
    assert [f.info["step"] for f in frames] == list(range(0, 21, 2))
    classical = 9 * units.kB * 300 / 2
    assert all(f.info["quantum_kinetic_energy"] > classical for f in frames)
    # total momentum of the centroid: taken out at the start, and no force puts it back
    np.testing.assert_allclose(frames[-1].get_momenta().sum(0), 0, atol=1e-7)


def test_averages_are_over_the_beads_and_positions_are_centroids():
    from equipot.engines.guard import Guard
    from equipot.engines.momenta import maxwell_boltzmann
    from equipot.engines.mover import Place

    water, settings = molecule("H2O"), Dynamics(**{**SHORT, "replicas": 1})
    guard = Guard(temperature=1e5, force=1e3, masses=water.get_masses())
    mover = RingMover(potential(scale=0.1), water, settings, guard)
    momenta = maxwell_boltzmann(water.get_masses(), 300.0, 1, np.random.default_rng(1))
    place = Place(positions=water.positions[None], momenta=momenta)
    mover.begin(settings.phases()[0], place, ("dipole",), None)
    np.testing.assert_allclose(mover.place().positions, place.positions, atol=1e-12)
    np.testing.assert_allclose(mover.place().momenta, momenta, atol=1e-12)
    mover.advance(10, record=True)
    sample, ring = mover.sample(), mover.rings[0]
    assert ring.positions.std(0).max() > 0.01
    np.testing.assert_allclose(sample.place.positions[0], ring.positions.mean(0), atol=1e-14)
    from equipot.engines.ase import Calculator

    dipoles, energies = [], []
    for bead in ring.positions:
        water.positions[:] = bead
        water.calc = Calculator(potential(scale=0.1))
        dipoles.append(water.get_dipole_moment())
        energies.append(water.get_potential_energy())
    np.testing.assert_allclose(sample.recorded["dipole"][0], np.mean(dipoles, 0), atol=1e-12)
    assert sample.energy[0] == pytest.approx(np.mean(energies), abs=1e-10)
    assert mover.beads[0].calls == 1 + 10


def test_a_killed_run_continues_to_the_last_bit(tmp_path):
    """Killed inside the first phase, at its end, and in the production."""
    whole, killed = run(tmp_path / "whole"), tmp_path / "killed"
    for step in (4, 10, 16):
        killed_at(step, killed)
    run(killed)
    assert contents(killed) == contents(whole)


@pytest.mark.slow
def test_kill_9_and_the_same_command_again(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]);"
        "from engines.ipi.test_run import *;"
        "run(Path(sys.argv[1]), time=0.05, checkpoint=0.02)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "killed"), str(Path(__file__).parents[2])]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    trajectory = tmp_path / "killed" / "trajectory-001.extxyz"
    deadline = time.monotonic() + 120
    while not (trajectory.exists() and trajectory.stat().st_size > 2_000):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads((tmp_path / "killed" / "md.json").read_text())["status"] == "running"
    run(tmp_path / "killed", time=0.05)
    assert contents(tmp_path / "killed") == contents(run(tmp_path / "whole", time=0.05))


def test_one_bead_is_classical_dynamics(tmp_path):
    folder = run(tmp_path / "md", beads=1)
    header = json.loads((folder / "md.json").read_text())
    assert header["ring"] is None and "method" not in header["phases"][0]
    assert abs(header["conservation"]["drift"]) < 1e-3


def test_what_cannot_be_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="begin in one place and must spread"):
        run(tmp_path / "a", equilibration=0)
    with pytest.raises(ValueError, match="engine ipi has no ensemble npt"):
        run(tmp_path / "b", ensemble="npt")
    with pytest.raises(
        ValueError, match=r"engine ase runs with beads=1; found beads=4. Engines with more: ipi"
    ):
        run(tmp_path / "c", engine="ase")
    with pytest.raises(ValueError, match="needs the matrices of its thermostat"):
        run(tmp_path / "d", method="piglet")
    assert not any(tmp_path.iterdir())


def test_a_bead_that_feels_too_strong_a_force_stops_the_run(tmp_path):
    with pytest.raises(DynamicsStopped, match=r"replica [01], atom [012] \([OH]\): force .* limit 0\.1"):
        run(tmp_path / "md", max_force=0.1)
    assert len(ase.io.read(tmp_path / "md" / "stopped.extxyz", index=":")) == 2


def test_sampling_keeps_its_thermostat_in_the_production():
    for method, name in (("pimd", "nvt"), ("piglet", "nvt"), ("rpmd", "nve"), ("trpmd", "nve")):
        phases = Dynamics(**{**SHORT, "method": method}).phases()
        assert phases[-1].name == name and phases[-1].method == method
        assert phases[0].method == ("piglet" if method == "piglet" else "pimd")
