import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.constraints import FixAtoms

from engines.test_ase import crystal, periodic_potential
from engines.tiny import copies, ethanol, potential
from equipot import units
from equipot.data.h5md import count
from equipot.engines.ase import Calculator
from equipot.engines.drift import nve_drift
from equipot.engines.dynamics import Dynamics, DynamicsStopped, run_dynamics
from equipot.engines.momenta import (
    internal_degrees_of_freedom,
    kinetic_energies,
    maxwell_boltzmann,
    without_rigid_motion,
)
from equipot.engines.recording import Checkpoint

SHORT = {"temperature": 200, "time": 0.01, "equilibration": 0.005, "stride": 2, "replicas": 2}


def water() -> Atoms:
    return Atoms("OHH", positions=[[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])


def run(folder, start=None, model=None, **settings):
    model = potential(scale=0.1) if model is None else model
    return run_dynamics(model, water() if start is None else start, Dynamics(**{**SHORT, **settings}), folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in (".extxyz", ".csv", ".h5")}


class Killed(BaseException):
    pass


def killed_at(step, folder, **settings):
    def progress(done, total):
        if done == step:
            raise Killed

    with pytest.raises(Killed):
        chosen = Dynamics(**{**SHORT, **settings})
        run_dynamics(potential(scale=0.1), water(), chosen, folder, progress=progress)


def test_what_a_run_leaves(tmp_path):
    folder = run(tmp_path / "md")
    header = json.loads((folder / "md.json").read_text())
    assert header["status"] == "finished"
    assert header["phases"] == [
        {"name": "nvt", "steps": 10, "thermostat": "langevin", "tau": 100.0},
        {"name": "nve", "steps": 20, "thermostat": None, "tau": None},
    ]
    assert (header["dt"], header["stride"], header["steps"], header["replicas"]) == (0.5, 2, 20, 2)
    assert header["elements"] == ["O", "H", "H"]
    assert abs(header["conservation"]["drift"]) < 1e-3
    assert len((folder / "thermo.csv").read_text().splitlines()) == 1 + 6 + 11
    frames = ase.io.read(folder / "trajectory-001.extxyz", index=":")
    assert [f.info["step"] for f in frames] == list(range(0, 21, 2))
    model = potential(scale=0.1)
    for frame in (frames[0], frames[-1]):
        again = frame.copy()
        again.calc = Calculator(model)
        # the file has 1e-8 Å; the rest follows from it
        assert frame.get_potential_energy() == pytest.approx(again.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(frame.get_dipole_moment(), again.get_dipole_moment(), atol=1e-6)
        alpha = again.calc.get_property("polarizability", again).reshape(9)
        np.testing.assert_allclose(frame.info["polarizability"].reshape(9), alpha, atol=1e-6)
        assert np.abs(frame.get_momenta().sum(0)).max() < 1e-6
        assert np.abs(frame.get_angular_momentum()).max() < 1e-6


def test_velocities_are_differences_of_positions(tmp_path):
    """Momenta of velocity Verlet are central differences of the positions."""
    folder = run(tmp_path / "md", stride=1)
    before, now, after = ase.io.read(folder / "trajectory-000.extxyz", index=":")[4:7]
    difference = (after.positions - before.positions) / (2 * 0.5 * ase.units.fs)
    np.testing.assert_allclose(now.get_velocities(), difference, rtol=0, atol=1e-6)


BUSSI = {"ensemble": "bussi", "thermostat": "bussi", "replicas": 1}


@pytest.mark.parametrize(
    "settings",
    [{}, {"ensemble": "langevin"}, BUSSI, {"trajectory": "hdf5"}],
    ids=["nve", "langevin", "bussi", "hdf5"],
)
def test_a_killed_run_continues_to_the_last_bit(tmp_path, settings):
    """Killed inside the first phase, at its end, and twice in the production."""
    whole, killed, said = run(tmp_path / "whole", **settings), tmp_path / "killed", []
    for step in (4, 10, 11, 19):
        killed_at(step, killed, checkpoint=0, **settings)
        # what was written after the last restart file must go
        with (killed / "thermo.csv").open("a") as file:
            file.write("nve,half a li")
    chosen = Dynamics(**{**SHORT, **settings})
    run_dynamics(potential(scale=0.1), water(), chosen, killed, say=said.append)
    assert contents(killed) == contents(whole)
    assert Checkpoint.read(killed) == Checkpoint.read(whole)
    assert said == [f"{killed}: going on after step 19 of 30, with 5 frames of the trajectory."]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "name"), [("extxyz", "trajectory-001.extxyz"), ("hdf5", "trajectory-00000.h5")]
)
def test_kill_9_and_the_same_command_again(tmp_path, format, name):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]);"
        "from engines.test_dynamics import *;"
        f"run(Path(sys.argv[1]), time=0.1, checkpoint=0.02, trajectory={format!r})"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "killed"), str(Path(__file__).parents[1])]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    trajectory = tmp_path / "killed" / name
    deadline = time.monotonic() + 300
    while not (trajectory.exists() and trajectory.stat().st_size > 10_000):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads((tmp_path / "killed" / "md.json").read_text())["status"] == "running"
    if format == "hdf5":
        assert count(trajectory) > 0
    run(tmp_path / "killed", time=0.1, trajectory=format)
    assert contents(tmp_path / "killed") == contents(run(tmp_path / "whole", time=0.1, trajectory=format))


def test_a_finished_run_says_so(tmp_path):
    folder = run(tmp_path / "md")
    before, said, seen = contents(folder), [], []
    settings = Dynamics(**SHORT, checkpoint=1)
    run_dynamics(
        potential(scale=0.1), water(), settings, folder, say=said.append, progress=lambda *s: seen.append(s)
    )
    assert "finished" in said[0] and seen == [(30, 30)] and contents(folder) == before


def test_a_folder_with_another_run_is_refused(tmp_path):
    folder = run(tmp_path / "md")
    with pytest.raises(
        ValueError, match=r"another run: dt = 0\.5 there, 0\.25 now; temperature = 200\.0 there, 300\.0 now"
    ):
        run(folder, dt=0.25, temperature=300)
    with pytest.raises(ValueError, match="another model; another starting structure"):
        run(folder, start=ethanol(), model=potential(seed=2))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "trajectory-000.extxyz").write_text("mine")
    with pytest.raises(ValueError, match=r"holds trajectory-000\.extxyz, which a run would overwrite"):
        run(tmp_path / "other")
    (tmp_path / "other" / "md.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        run(tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thermostat": "bussi"}, "bussi with 2 replicas.*Use langevin"),
        ({"dt": 2.5}, r"dt = 2\.5 fs is too long for hydrogen"),
        ({"start": [water(), ethanol()]}, "differs from the first"),
        ({"start": [water()] * 3}, "3 starting structures for 2 replicas"),
        ({"start": Atoms()}, "no atoms"),
    ],
)
def test_what_cannot_be_run(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "md", **change)
    assert not (tmp_path / "md").exists()


def test_constraints_are_not_dropped_in_silence(tmp_path):
    start = water()
    start.set_constraint(FixAtoms([0]))
    with pytest.raises(ValueError, match="has constraints"):
        run(tmp_path / "md", start=start)


def test_stale_labels_of_the_start_are_not_recorded(tmp_path):
    start = water()
    start.info.update(energy=-1.0, note="old", charge=0.0)
    start.set_array("forces", np.ones((3, 3)))
    frame = ase.io.read(run(tmp_path / "md", start=start) / "trajectory-000.extxyz")
    assert "note" not in frame.info and "forces" not in frame.calc.results and frame.info["charge"] == 0


def test_a_blow_up_stops_and_shows_the_frames(tmp_path):
    with pytest.raises(
        DynamicsStopped,
        match=r"stopped at step \d+ of nvt.*replica \d, atom \d \([OH]\): force .* limit 0.01",
    ):
        run(tmp_path / "force", max_force=0.01)
    with pytest.raises(DynamicsStopped, match=r"temperature of its replica \d+ K, limit 50"):
        run(tmp_path / "hot", max_temperature=50)
    good, bad = ase.io.read(tmp_path / "hot" / "stopped.extxyz", index=":")
    assert len(good) == len(bad) == 3
    assert 0 < np.abs(good.positions - bad.positions).max() < 0.5
    assert json.loads((tmp_path / "hot" / "md.json").read_text())["status"] == "stopped"


def test_nan_stops_with_the_atom(tmp_path, monkeypatch):
    """A model that breaks down on the fifth evaluation."""
    forward, calls = Calculator._results, []

    def breaking(self, found, atoms):
        calls.append(None)
        if len(calls) == 5:
            found.forces[4, 1] = torch.nan
        return forward(self, found, atoms)

    monkeypatch.setattr(Calculator, "_results", breaking)
    with pytest.raises(DynamicsStopped, match=r"replica 1, atom 1 \(H\): the model predicts forces = .*nan"):
        run(tmp_path / "md")
    good, bad = ase.io.read(tmp_path / "md" / "stopped.extxyz", index=":")
    assert len(good) == len(bad) == 3


def test_only_samples_pay_for_dipoles(tmp_path, monkeypatch):
    calls, calculate = [], Calculator.calculate

    def counting(self, atoms, properties, changes):
        calls.append(bool(self.also))
        calculate(self, atoms, properties, changes)

    monkeypatch.setattr(Calculator, "calculate", counting)
    run(tmp_path / "md", equilibration=0, stride=5)
    assert calls == [True] + [False, False, False, False, True] * 4


def test_rigid_motion_is_gone_and_the_rest_is_kept(rng):
    atoms = copies(ethanol(), 3)
    positions, masses = atoms.positions.reshape(3, 9, 3), ethanol().get_masses()
    momenta = maxwell_boltzmann(masses, 300.0, 3, rng)
    clean = without_rigid_motion(momenta, positions, masses, rotation=True)
    assert np.abs(clean.sum(1)).max() < 1e-13
    assert np.abs(np.cross(positions, clean).sum(1)).max() < 1e-12
    again = without_rigid_motion(clean, positions, masses, rotation=True)
    np.testing.assert_allclose(again, clean, rtol=0, atol=1e-13)


def test_temperature_of_the_internal_motions(rng):
    atoms = ethanol()
    positions, masses = np.repeat(atoms.positions[None], 4000, 0), atoms.get_masses()
    momenta = without_rigid_motion(
        maxwell_boltzmann(masses, 300.0, 4000, rng), positions, masses, rotation=True
    )
    kinetic = kinetic_energies(momenta, masses)
    free = internal_degrees_of_freedom(atoms.positions, masses, rotation=True)
    assert free == 21
    # relative error of the mean: √(2/21/4000) = 0.5 %
    assert 2 * kinetic.mean() / free / units.kB == pytest.approx(300, rel=0.02)


@pytest.mark.parametrize(
    ("atoms", "rotation", "free"),
    [
        (Atoms("O"), True, 0),
        (Atoms("OH", positions=[[0, 0, 0], [0.3, 0.8, 0.4]]), True, 1),
        (water(), True, 3),
        (water(), False, 6),
    ],
)
def test_degrees_of_freedom(atoms, rotation, free):
    assert internal_degrees_of_freedom(atoms.positions, atoms.get_masses(), rotation) == free
    momenta = np.ones((1, len(atoms), 3))
    clean = without_rigid_motion(momenta, atoms.positions[None], atoms.get_masses(), rotation)
    assert np.isfinite(clean).all()


def test_bussi_keeps_the_temperature_of_the_internal_motions(tmp_path):
    """With 3N instead of 3N − 6 degrees of freedom a triatomic molecule would be at 600 K instead of 200."""
    settings = {**BUSSI, "taut": 1.0, "dt": 1.0, "time": 0.25, "equilibration": 0}
    folder = run(tmp_path / "md", model=potential(scale=0.1, targets={}), **settings)
    found = json.loads((folder / "md.json").read_text())["conservation"]["temperature"]
    # about 120 independent values of 3 degrees of freedom: √(2/3/120) = 7 %
    assert found == pytest.approx(200, rel=0.2)


def test_langevin_reaches_its_temperature(tmp_path):
    settings = {"replicas": 30, "ensemble": "langevin", "friction": 0.1, "dt": 1.0}
    model = potential(scale=0.1, targets={})
    folder = run(tmp_path / "md", model=model, time=0.1, equilibration=0.03, **settings)
    found = json.loads((folder / "md.json").read_text())["conservation"]["temperature"]
    assert found == pytest.approx(200, rel=0.1)


def test_energy_error_goes_with_the_square_of_the_step(tmp_path):
    """Scatter of the total energy of velocity Verlet is second order in dt."""
    scatter = []
    for dt in (0.5, 0.25):
        folder = run(tmp_path / f"{dt}", equilibration=0, dt=dt, time=0.05, stride=1, replicas=1)
        scatter.append(json.loads((folder / "md.json").read_text())["conservation"]["scatter"])
    assert scatter[0] / scatter[1] == pytest.approx(4, rel=0.1)


def test_a_crystal_keeps_its_momentum_zero(tmp_path):
    folder = run_dynamics(
        periodic_potential(scale=0.1), crystal(), Dynamics(**{**SHORT, "replicas": 1}), tmp_path / "md"
    )
    frames = ase.io.read(folder / "trajectory-000.extxyz", index=":")
    assert all(frame.pbc.all() for frame in frames)
    assert np.abs(frames[-1].get_momenta().sum(0)).max() < 1e-6


def test_drift_of_a_conservative_potential():
    assert abs(nve_drift(potential(scale=0.1), water(), dt=0.5, steps=100)) < 1e-3


@pytest.mark.slow
def test_what_would_not_fit_the_memory_is_refused_before_the_run(tmp_path, monkeypatch):
    many = copies(water(), 300)
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.001")
    said = r"900 atoms with 1,800 neighbors would need [\d.]+ MB for energy and forces, and 1 MB can be taken"
    with pytest.raises(ValueError, match=said):
        run(tmp_path / "run", water(), replicas=300)
    assert not (tmp_path / "run").exists()
    many.calc = Calculator(potential(), replicas=300)
    with pytest.raises(ValueError, match=said):
        many.get_forces()
    monkeypatch.setenv("EQUIPOT_MEMORY", "inf")  # all the same
    assert np.isfinite(many.get_forces()).all()


def test_a_structure_is_weighed_once(monkeypatch):
    from equipot.engines import ase as adapter

    weighed = []
    monkeypatch.setattr(adapter, "refuse_large", lambda atoms, *_: weighed.append(atoms))
    atoms, larger = water(), copies(water(), 2)
    larger.calc = atoms.calc = Calculator(potential())
    for one in (atoms, larger, atoms):
        one.positions[0, 0] += 0.01
        one.get_forces()
    assert weighed == [3, 6]
