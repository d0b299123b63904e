import json

import ase
import ase.io
import numpy as np
import pytest
import torch

pytest.importorskip("lammps")
pytest.importorskip("mpi4py")

from engines.lammps.cases import STRUCTURES, potential
from equipot.engines.agreement import agreement
from equipot.engines.dynamics import Dynamics, DynamicsStopped, run_dynamics
from equipot.engines.lammps import couplings
from equipot.engines.lammps.trace import trace
from equipot.engines.trace import trace as reference_trace
from equipot.kernels.cpu import build

WIDE = {"max_force": 1e3, "max_temperature": 1e6, "temperature": 100.0}
SHORT = {"dt": 0.25, "time": 0.005, "equilibration": 0.0, "stride": 4, "engine": "lammps", **WIDE}


def run(folder, model=None, structure="triclinic", progress=lambda step, total: None, **settings):
    model = potential("painn") if model is None else model
    chosen = Dynamics(**{**SHORT, **settings})
    return run_dynamics(model, STRUCTURES[structure](), chosen, folder, progress=progress)


def thermo(folder):
    return np.genfromtxt(folder / "thermo.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")


def frames(folder):
    return ase.io.read(folder / "trajectory-000.extxyz", index=":")


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_run_folder_is_that_of_ase(tmp_path, ranks):
    """At constant energy every line and every frame; the second run with the cell divided between two processes."""
    folder, expected = run(tmp_path / "l", ranks=ranks), run(tmp_path / "a", engine="ase")
    header = json.loads((folder / "md.json").read_text())
    assert header["status"] == "finished" and header["engine"].startswith("lammps ")
    a, b = thermo(folder), thermo(expected)
    for name in a.dtype.names[1:]:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-8, atol=1e-8)
    for one, other in zip(frames(folder), frames(expected), strict=True):
        np.testing.assert_allclose(one.positions, other.positions, rtol=0, atol=1e-7)
        np.testing.assert_allclose(one.get_momenta(), other.get_momenta(), rtol=0, atol=1e-7)


def test_recorded_properties_are_those_of_the_frame(tmp_path):
    from equipot.config import parse
    from equipot.engines.ase import Calculator
    from equipot.potential import PotentialConfig
    from equipot.testing import random_potential

    values = {
        "model": {"name": "painn", "channels": 8, "num_layers": 1, "cutoff": 3.0},
        "targets": {"dipole": {"form": "atomic"}},
    }
    model = random_potential(parse(PotentialConfig, values, "test"), (1, 6, 8))
    last = frames(run(tmp_path / "md", model, "molecule"))[-1]
    again = last.copy()
    again.calc = Calculator(model)
    np.testing.assert_allclose(last.get_dipole_moment(), again.get_dipole_moment(), atol=1e-6)


@pytest.mark.parametrize(
    "settings", [{}, {"ensemble": "langevin"}, {"ensemble": "bussi"}, {"ensemble": "npt"}]
)
def test_a_killed_run_goes_on(tmp_path, settings):
    """At constant energy to round-off; with a thermostat by other random numbers."""

    class Killed(BaseException):
        pass

    def kill(step, total):
        if step == 12:
            raise Killed

    whole = run(tmp_path / "whole", **settings)
    with pytest.raises(Killed):
        run(tmp_path / "killed", progress=kill, checkpoint=0, **settings)
    killed = run(tmp_path / "killed", **settings)
    steps = [[f.info["step"] for f in frames(folder)] for folder in (whole, killed)]
    assert steps[0] == steps[1] == list(range(0, 21, 4))
    if not settings:
        np.testing.assert_allclose(
            frames(killed)[-1].positions, frames(whole)[-1].positions, rtol=0, atol=1e-8
        )


def test_what_a_bussi_thermostat_gives_is_accounted_for(tmp_path):
    table = thermo(run(tmp_path / "md", ensemble="bussi", taut=5.0, dt=0.1, time=0.004, stride=1))
    total, conserved = table["total_eV"], table["conserved_eV"]
    assert np.ptp(total) > 0.05
    assert np.ptp(conserved) < 0.02 * np.ptp(total)


def test_constant_pressure_moves_the_cell(tmp_path):
    folder = run(tmp_path / "md", ensemble="npt", pressure=2e5, taup=20.0, time=0.01)
    cells = np.array([f.cell.array for f in frames(folder)])
    ratio = cells[-1] / np.where(cells[0] == 0, np.nan, cells[0])
    assert np.nanmax(np.abs(ratio - 1)) > 1e-3
    np.testing.assert_allclose(ratio[~np.isnan(ratio)], np.nanmean(ratio), rtol=1e-7)  # the same shape


def test_langevin_reaches_the_temperature(tmp_path):
    """A gas that does not interact: kinetic energy is 3/2 kT per atom."""
    from ase import Atoms

    model = potential("schnet")
    sites = 6.0 * np.argwhere(np.ones((4, 4, 4)))
    atoms = Atoms("H64", sites, cell=[24, 24, 24], pbc=True)
    settings = Dynamics(**{**SHORT, "temperature": 300.0, "ensemble": "langevin", "friction": 0.2, "time": 0.06,
                           "dt": 0.5, "stride": 4, "max_temperature": 2000.0})  # fmt: skip
    folder = run_dynamics(model, atoms, settings, tmp_path / "md")
    temperature = thermo(folder)["temperature_K"][10:].mean()
    assert temperature == pytest.approx(300, rel=0.15)


def test_a_run_that_blows_up_stops_and_keeps_the_frames(tmp_path):
    with pytest.raises(DynamicsStopped, match="limit"):
        run(tmp_path / "md", max_force=0.1)
    assert len(ase.io.read(tmp_path / "md/stopped.extxyz", index=":")) == 2
    assert json.loads((tmp_path / "md/md.json").read_text())["status"] == "stopped"


def test_nan_on_the_way_stops(tmp_path, monkeypatch):
    from equipot.engines.lammps.interface import Interface

    compute, calls = Interface.compute_forces, []

    def later(self, data):
        calls.append(1)
        compute(self, data)
        if len(calls) == 8:
            data.eatoms[0] = torch.nan

    monkeypatch.setattr(Interface, "compute_forces", later)
    with pytest.raises(DynamicsStopped, match=r"step 7 of nve.*not a number"):
        run(tmp_path / "md")


def test_refusals(tmp_path):
    from ase import Atoms

    from equipot.config import parse
    from equipot.potential import PotentialConfig
    from equipot.testing import random_potential

    values = {"model": {"name": "painn", "channels": 8, "cutoff": 3.0, "conditions": ["charge"]}}
    charged = random_potential(parse(PotentialConfig, values, "test"), (1, 6, 8))
    with pytest.raises(ValueError, match=r"it reads the charge of the whole system\. Use engine ase"):
        run(tmp_path / "a", charged)
    with pytest.raises(ValueError, match="no parameters for Si"):
        run_dynamics(potential("painn"), Atoms("Si"), Dynamics(**SHORT), tmp_path / "b")
    with pytest.raises(ValueError, match="periodic in three directions"):
        run(tmp_path / "c", structure="slab", ensemble="npt")


def test_without_a_compiler_a_run_is_the_same(tmp_path, monkeypatch, caplog):
    def none(*_):
        raise build.NoCompiler("no C++ compiler")

    expected = run(tmp_path / "a")
    monkeypatch.setattr(couplings, "open_lammps", none)
    folder = run(tmp_path / "b")
    assert "fix external" in caplog.text
    np.testing.assert_allclose(
        thermo(folder)["potential_eV"], thermo(expected)["potential_eV"], rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("architecture", ["allegro", "painn"])
def test_the_proofs_of_verify(architecture):
    """Energy, forces, stress and steps, at the limit of engines with our constants."""
    atoms, said = [STRUCTURES["triclinic"](), STRUCTURES["molecule"]()], []
    proofs = agreement(potential(architecture), atoms, ["lammps"], said.append)
    assert len(proofs) == 4 and not said
    assert all(proof.passed and proof.limit == 1e-10 for proof in proofs)


def test_what_lammps_refuses_is_not_proved():
    model = potential("painn")
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="not a number"):
        trace(model, STRUCTURES["triclinic"](), 0.25, 1)


def test_a_system_without_extent():
    """A diatomic along an axis: its shrink-wrapped box has no width for bins."""
    atoms = ase.Atoms("HO", [[0, 0, 0], [0.97, 0, 0]])
    atoms.set_momenta([[0.1, 0, 0], [-0.1, 0, 0]])
    model = potential("painn")
    found, expected = trace(model, atoms, 0.25, 2), reference_trace(model, atoms, 0.25, 2)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=1e-9)
