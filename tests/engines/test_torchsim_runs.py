"""TorchSim computes what ASE computes, for many systems at once. Needs torch-sim-atomistic, Python 3.12 or newer."""

import json

import ase.io
import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.md.verlet import VelocityVerlet

from engines.test_ase import crystal, periodic_potential
from engines.tiny import copies, ethanol, potential
from equipot import units
from equipot.engines.agreement import agreement
from equipot.engines.ase import Calculator
from equipot.engines.dynamics import run_dynamics
from equipot.engines.guard import Guard
from equipot.engines.momenta import kinetic_energies, maxwell_boltzmann
from equipot.engines.mover import Broken, Place
from equipot.engines.relax import relax
from equipot.engines.settings import Dynamics

ts = pytest.importorskip("torch_sim")

from equipot.engines.torchsim.model import TorchSimModel  # noqa: E402
from equipot.engines.torchsim.mover import TorchSimMover  # noqa: E402

RUN = {"engine": "torchsim", "temperature": 200, "time": 0.01, "equilibration": 0.004, "checkpoint": 0}


def state_of(*structures: Atoms):
    return ts.io.atoms_to_state(list(structures), device=torch.device("cpu"), dtype=torch.float64)


def by_ase(model, atoms):
    atoms = atoms.copy()
    atoms.calc = Calculator(model)
    return atoms


@pytest.mark.parametrize("periodic", [False, True])
def test_every_system_is_that_of_ase(periodic):
    model = periodic_potential() if periodic else potential()
    big = crystal()
    structures = [crystal(), big[:5]] if periodic else [ethanol(), molecule("H2O"), molecule("CH4")]
    found = TorchSimModel(model, also=("dipole",))(state_of(*structures))
    ends = np.cumsum([0, *(len(a) for a in structures)])
    for k, atoms in enumerate(structures):
        expected = by_ase(model, atoms)
        assert float(found["energy"][k]) == pytest.approx(expected.get_potential_energy(), rel=1e-12)
        np.testing.assert_allclose(
            found["forces"][ends[k] : ends[k + 1]], expected.get_forces(), rtol=0, atol=1e-11
        )
        np.testing.assert_allclose(found["dipole"][k], expected.get_dipole_moment(), rtol=0, atol=1e-12)
        if periodic:
            stress = expected.get_stress(voigt=False)
            np.testing.assert_allclose(found["stress"][k], stress, rtol=0, atol=1e-12)
    assert ("stress" in found) == periodic


def test_many_different_molecules_relax_together():
    model, structures = potential(scale=0.1), [molecule(n) for n in ("H2O", "CH4", "CH3OH")]
    minima = [relax(model, atoms, fmax=1e-3).energies[1] for atoms in structures]
    final = ts.optimize(
        system=state_of(*structures),
        model=TorchSimModel(model),
        optimizer=ts.Optimizer.fire,
        convergence_fn=ts.generate_force_convergence_fn(force_tol=1e-3, include_cell_forces=False),
        max_steps=3000,
    )
    np.testing.assert_allclose(final.energy, minima, rtol=0, atol=1e-4)


def test_its_own_runner_conserves_the_energy_of_every_system():
    model = TorchSimModel(potential(scale=0.1))
    start = ts.nve_init(state_of(ethanol(), molecule("H2O")), model, kT=0.02)
    before = start.energy + ts.calc_kinetic_energy(
        masses=start.masses, momenta=start.momenta, system_idx=start.system_idx
    )
    final = ts.integrate(
        system=start, model=model, integrator=ts.Integrator.nve, n_steps=100, temperature=300, timestep=2e-4
    )
    after = final.energy + ts.calc_kinetic_energy(
        masses=final.masses, momenta=final.momenta, system_idx=final.system_idx
    )
    np.testing.assert_allclose(after, before, rtol=0, atol=2e-3)


def start(atoms, model, memory=None, place=None, replicas=1, **settings) -> TorchSimMover:
    """A mover at the beginning of its production; the atoms are all replicas."""
    chosen = Dynamics.model_validate(
        {"engine": "torchsim", "equilibration": 0, "temperature": 300, "replicas": replicas, **settings}
    )
    masses = atoms.get_masses()[: len(atoms) // replicas]
    guard = Guard(temperature=1e5, force=settings.get("max_force", 1e3), masses=masses)
    mover = TorchSimMover(model, atoms, chosen, guard)
    if place is None:
        momenta = maxwell_boltzmann(masses, 300.0, replicas, np.random.default_rng(0))
        place = Place(positions=atoms.positions.reshape(replicas, -1, 3).copy(), momenta=momenta)
    mover.begin(chosen.phases()[-1], place, (), memory)
    return mover


@pytest.mark.parametrize("periodic", [False, True])
def test_trajectories_are_those_of_ase(periodic):
    model = periodic_potential(scale=0.1) if periodic else potential(scale=0.1)
    atoms = copies(crystal() if periodic else ethanol(), 2)
    mover = start(atoms, model, replicas=2)
    first = mover.place()
    mover.advance(40, record=True)
    found, size = mover.sample(), len(atoms) // 2
    for k in range(2):
        twin = by_ase(model, atoms[k * size : (k + 1) * size])
        twin.set_momenta(first.momenta[k])
        VelocityVerlet(twin, 0.5 * ase.units.fs).run(40)
        np.testing.assert_allclose(found.place.positions[k], twin.positions, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.place.momenta[k], twin.get_momenta(), rtol=0, atol=1e-10)
        assert found.energy[k] == pytest.approx(twin.get_potential_energy(), abs=1e-9)


@pytest.mark.parametrize("ensemble", ["nve", "langevin", "npt"])
def test_a_restart_goes_on_to_the_last_bit(ensemble):
    model, replicas = periodic_potential(scale=0.1), 2
    atoms = copies(crystal(), replicas)
    whole = start(atoms, model, ensemble=ensemble, replicas=replicas)
    whole.advance(7, record=False)
    memory, place = json.loads(json.dumps(whole.memory())), whole.place()
    whole.advance(5, record=True)
    resumed = start(atoms, model, memory=memory, place=place, ensemble=ensemble, replicas=replicas)
    resumed.advance(5, record=True)
    np.testing.assert_array_equal(resumed.place().positions, whole.place().positions)
    np.testing.assert_array_equal(resumed.place().momenta, whole.place().momenta)
    np.testing.assert_array_equal(resumed.sample().energy, whole.sample().energy)
    if ensemble == "npt":
        np.testing.assert_array_equal(resumed.sample().cell, whole.sample().cell)
        assert not np.array_equal(whole.sample().cell[0], whole.sample().cell[1])


def with_forces(mover, law) -> TorchSimMover:
    """Forces whose statistics are known in place of those of the model."""
    mover.model.forward = lambda state: law(state)
    return mover


def wells(state) -> dict:
    energy = torch.zeros(state.n_systems, dtype=torch.float64)
    energy = energy.index_add(0, state.system_idx, 2.5 * state.positions.square().sum(1))
    return {"energy": energy, "forces": -5.0 * state.positions}


def nothing(state) -> dict:
    zeros = torch.zeros(state.n_systems, 3, 3, dtype=torch.float64)
    return {"energy": zeros[:, 0, 0], "forces": torch.zeros_like(state.positions), "stress": zeros}


def test_langevin_samples_the_canonical_distribution():
    atoms = Atoms("H8C8O8", positions=np.random.default_rng(1).normal(size=(24, 3)))
    atoms = copies(atoms, 8)
    mover = start(atoms, potential(), ensemble="langevin", friction=0.05, dt=1.0, replicas=8)
    with_forces(mover, wells)
    kinetic, energies = [], []
    for step in range(400):
        mover.advance(5, record=False)
        if step >= 60:
            kinetic.append(kinetic_energies(mover.place().momenta, mover.guard.masses).mean())
            energies.append(float(mover.state.energy.mean()))
    expected = 0.5 * 72 * units.kB * 300
    assert np.mean(kinetic) == pytest.approx(expected, rel=0.03)
    assert np.mean(energies) == pytest.approx(expected, rel=0.03)


def test_the_barostat_gives_an_ideal_gas_its_volume():
    """⟨V⟩ = N kT/P within what finite N leaves: TorchSim samples V^(N−1) where V^N is meant."""
    cell = np.array([[9.0, 0.5, -1.0], [3.0, 10.0, 2.0], [-4.0, 1.0, -11.0]])  # left-handed
    rng = np.random.default_rng(2)
    atoms = Atoms(cell=cell, pbc=True)
    for _ in range(16):
        atoms += Atoms("C64", positions=rng.uniform(size=(64, 3)) @ cell)
    volume = abs(np.linalg.det(cell))
    pressure = 64 * units.kB * 300 / volume / units.factor("stress", "bar")
    mover = start(
        atoms,
        periodic_potential(),
        ensemble="npt",
        pressure=pressure,
        friction=0.02,
        taup=50.0,
        dt=1.0,
        replicas=16,
    )
    with_forces(mover, nothing)
    volumes = []
    for step in range(400):
        mover.advance(5, record=False)
        if step >= 60:
            cells = mover.sign * mover.state.row_vector_cell.numpy()
            volumes.append(abs(np.linalg.det(cells)))
            assert np.sign(np.linalg.det(cells[0])) == np.sign(np.linalg.det(cell))
    assert np.mean(volumes) == pytest.approx(volume, rel=0.05)
    assert np.std(volumes) / np.mean(volumes) == pytest.approx(1 / np.sqrt(64), rel=0.3)


def test_a_run_folder_is_made_and_goes_on(tmp_path):
    model, settings = potential(scale=0.1), Dynamics(**RUN, replicas=3)
    whole = run_dynamics(model, ethanol(), settings, tmp_path / "whole")
    assert json.loads((whole / "md.json").read_text())["engine"].startswith("torch-sim 0.")

    def killed(done, total):
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_dynamics(model, ethanol(), settings, tmp_path / "killed", progress=killed)
    run_dynamics(model, ethanol(), settings, tmp_path / "killed")
    for name in ("thermo.csv", "trajectory-000.extxyz", "trajectory-002.extxyz"):
        assert (tmp_path / "killed" / name).read_text() == (whole / name).read_text()
    last = ase.io.read(whole / "trajectory-002.extxyz", -1)
    again = by_ase(model, last)
    np.testing.assert_allclose(again.get_dipole_moment(), last.get_dipole_moment(), atol=1e-6)


def test_replicas_at_constant_pressure_have_their_own_cells(tmp_path):
    settings = Dynamics(**{**RUN, "ensemble": "npt", "time": 0.02, "replicas": 2})
    model = periodic_potential(scale=0.1)
    folder = run_dynamics(model, crystal(), settings, tmp_path / "npt")
    ends = [ase.io.read(folder / f"trajectory-{k:03d}.extxyz", -1) for k in range(2)]
    assert ends[0].get_volume() != ends[1].get_volume()
    for end in ends:
        assert by_ase(model, end).get_potential_energy() == pytest.approx(
            end.get_potential_energy(), abs=1e-5
        )


def test_what_blows_up_is_stopped():
    mover = start(copies(ethanol(), 2), potential(scale=0.1), replicas=2, max_force=1e-3)
    with pytest.raises(Broken, match=r"force .* eV/Å, limit 0.001") as broken:
        mover.advance(5, record=True)
    assert broken.value.step == 1


def test_it_agrees_with_the_reference():
    proofs = agreement(periodic_potential(scale=0.1), [ethanol(), crystal()], ["torchsim"])
    assert [p.name for p in proofs if not p.passed] == []
    assert len(proofs) == 4
