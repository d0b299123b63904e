"""OpenMM computes what ASE computes: the same forces, the same trajectories, and the ensembles that it samples."""

import copy
import json

import ase.io
import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.md.verlet import VelocityVerlet

from engines.test_ase import crystal, periodic_potential
from engines.tiny import ethanol, potential
from equipot import units
from equipot.engines.ase import Calculator
from equipot.engines.dynamics import run_dynamics
from equipot.engines.guard import Guard
from equipot.engines.momenta import kinetic_energies, maxwell_boltzmann
from equipot.engines.mover import Broken, Place
from equipot.engines.settings import Dynamics

openmm = pytest.importorskip("openmm")
from openmm import app, unit  # noqa: E402

from equipot.engines.openmm import force  # noqa: E402
from equipot.engines.openmm.box import Box  # noqa: E402
from equipot.engines.openmm.mover import OpenMMMover  # noqa: E402

RUN = {"engine": "openmm", "temperature": 200, "time": 0.01, "equilibration": 0.004, "checkpoint": 0}


def context_of(pythonforce, masses, positions, box=None):
    """Positions in Å."""
    system = openmm.System()
    for mass in masses:
        system.addParticle(mass)
    if box is not None:
        system.setDefaultPeriodicBoxVectors(*(box / 10))
    system.addForce(pythonforce)
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(positions / 10)
    return context


def computed(context) -> tuple[float, np.ndarray]:
    """eV and eV/Å, by OpenMM's own units."""
    state = context.getState(energy=True, forces=True)
    mole = unit.AVOGADRO_CONSTANT_NA
    energy = state.getPotentialEnergy() / mole / (unit.elementary_charge * unit.volt)
    forces = state.getForces(asNumpy=True) / mole / (unit.elementary_charge * unit.volt / unit.angstrom)
    return energy, np.asarray(forces)


def by_ase(model, atoms):
    atoms = atoms.copy()
    atoms.calc = Calculator(model)
    return atoms.get_potential_energy(), atoms.get_forces()


@pytest.mark.parametrize("periodic", [False, True])
def test_forces_are_those_of_ase(periodic):
    atoms, model = (crystal(), periodic_potential()) if periodic else (ethanol(), potential())
    box = None
    if periodic:
        found = Box.of(atoms.cell.array)
        atoms.set_cell(found.vectors)
        atoms.positions = atoms.positions @ found.rotation
        box = found.vectors
    context = context_of(force(model, atoms), atoms.get_masses(), atoms.positions, box)
    energy, forces = computed(context)
    expected = by_ase(model, atoms)
    assert energy == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(forces, expected[1], rtol=0, atol=1e-12)


def test_a_slab_keeps_its_cell():
    atoms = crystal(pbc=(True, True, False))
    model = periodic_potential()
    made = force(model, atoms)
    assert not made.usesPeriodicBoundaryConditions()
    context = context_of(made, atoms.get_masses(), atoms.positions)
    np.testing.assert_allclose(computed(context)[1], by_ase(model, atoms)[1], rtol=0, atol=1e-12)


def test_the_topology_names_the_atoms_and_particles_choose_them():
    atoms, model = ethanol(), potential()
    topology = app.Topology()
    residue = topology.addResidue("ETH", topology.addChain())
    topology.addAtom("ghost", None, residue)
    for number in atoms.numbers:
        topology.addAtom("x", app.Element.getByAtomicNumber(int(number)), residue)
    inside = list(range(1, 10))
    positions = np.concatenate([[[50.0, 0, 0]], atoms.positions])
    context = context_of(force(model, topology, particles=inside), [1.0, *atoms.get_masses()], positions)
    energy, forces = computed(context)
    expected = by_ase(model, atoms)
    assert energy == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(forces[1:], expected[1], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(forces[0], 0)
    with pytest.raises(ValueError, match=r"particle 0 \(ghost\) has no element"):
        force(model, topology)
    with pytest.raises(ValueError, match="3 particles and 9 atoms"):
        force(model, atoms, particles=[0, 1, 2])


def test_a_force_is_copied_with_its_model():
    atoms, model = ethanol(), potential()
    context = context_of(copy.deepcopy(force(model, atoms)), atoms.get_masses(), atoms.positions)
    assert computed(context)[0] == pytest.approx(by_ase(model, atoms)[0], rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_every_lattice_has_a_box(seed):
    rng = np.random.default_rng(seed)
    cell = 4 * rng.normal(size=(3, 3))
    box = Box.of(cell)
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*box.vectors)  # refuses what is not reduced
    turned = box.vectors @ box.rotation.T @ np.linalg.inv(cell)
    np.testing.assert_allclose(turned, np.round(turned), atol=1e-9)
    assert abs(np.linalg.det(turned)) == pytest.approx(1)
    assert np.linalg.det(box.rotation) == pytest.approx(1)


def test_a_hexagonal_cell_is_a_box():
    cell = 3.0 * np.array([[1, 0, 0], [-0.5, np.sqrt(3) / 2, 0], [0, 0, 1.6]])
    context = context_of(openmm.CustomExternalForce("x"), [1.0], np.zeros((1, 3)), Box.of(cell).vectors)
    assert context.getState().getPeriodicBoxVolume()._value == pytest.approx(np.linalg.det(cell) / 1000)


def start(atoms, model, memory=None, place=None, **settings) -> OpenMMMover:
    """A mover at the beginning of its production."""
    chosen = Dynamics.model_validate({"engine": "openmm", "equilibration": 0, "temperature": 300, **settings})
    guard = Guard(
        temperature=settings.get("max_temperature", 1e5),
        force=settings.get("max_force", 1e3),
        masses=atoms.get_masses(),
    )
    mover = OpenMMMover(model, atoms, chosen, guard)
    if place is None:
        momenta = maxwell_boltzmann(atoms.get_masses(), 300.0, 1, np.random.default_rng(0))
        place = Place(positions=atoms.positions[None].copy(), momenta=momenta)
    mover.begin(chosen.phases()[-1], place, (), memory)
    return mover


@pytest.mark.parametrize("periodic", [False, True])
def test_a_trajectory_is_that_of_ase(periodic):
    atoms, model = (
        (crystal(), periodic_potential(scale=0.1)) if periodic else (ethanol(), potential(scale=0.1))
    )
    mover = start(atoms, model)
    twin = atoms.copy()
    twin.set_momenta(mover.place().momenta[0])
    twin.calc = Calculator(model)
    VelocityVerlet(twin, 0.5 * ase.units.fs).run(40)
    mover.advance(19, record=False)
    mover.advance(21, record=True)
    found = mover.sample()
    np.testing.assert_allclose(found.place.positions[0], twin.positions, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.place.momenta[0], twin.get_momenta(), rtol=0, atol=1e-11)
    assert found.energy[0] == pytest.approx(twin.get_potential_energy(), abs=1e-10)


def test_velocity_verlet_conserves_the_energy():
    """The swing of the total energy falls with dt², which velocities half a step off would spoil."""
    swings = []
    for dt, steps in ((0.5, 40), (0.25, 80)):
        mover = start(ethanol(), potential(scale=0.1), dt=dt)
        energies = []
        for _ in range(steps):
            mover.advance(1, record=True)
            sample = mover.sample()
            energies.append(sample.energy[0] + kinetic_energies(sample.place.momenta, mover.guard.masses)[0])
        swings.append(np.ptp(energies))
    assert 3.3 < swings[0] / swings[1] < 4.7
    assert swings[0] < 2e-3


def test_one_evaluation_a_step():
    mover = start(ethanol(), potential(scale=0.1), ensemble="langevin")
    calls, calculate = [], mover.calculator.calculate
    mover.calculator.calculate = lambda *a: (calls.append(mover.calculator.also), calculate(*a))
    mover.advance(5, record=False)
    mover.advance(5, record=True)
    assert len(calls) == 11  # and the first forces
    assert [c for c in calls if c] == [("energy",)]


@pytest.mark.parametrize("ensemble", ["nve", "langevin"])
def test_a_restart_goes_on_to_the_last_bit(ensemble):
    atoms, model = ethanol(), potential(scale=0.1)
    whole = start(atoms, model, ensemble=ensemble)
    whole.advance(7, record=False)
    memory, place = whole.memory(), whole.place()
    whole.advance(9, record=True)
    resumed = start(atoms, model, memory=memory, place=place, ensemble=ensemble)
    resumed.advance(9, record=True)
    np.testing.assert_array_equal(resumed.place().positions, whole.place().positions)
    np.testing.assert_array_equal(resumed.place().momenta, whole.place().momenta)
    assert resumed.sample().energy[0] == whole.sample().energy[0]


def wells(atoms: Atoms) -> dict:
    """Every atom in a harmonic well of 5 eV/Å²."""
    return {"energy": 2.5 * np.square(atoms.positions).sum(), "forces": -5.0 * atoms.positions}


def nothing(atoms: Atoms) -> dict:
    """No forces: an ideal gas."""
    return {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


def with_forces(mover, law) -> OpenMMMover:
    """Forces whose statistics are known in place of those of the model."""
    mover.calculator.calculate = lambda atoms, properties: mover.calculator.results.update(law(atoms))
    return mover


def test_langevin_samples_the_canonical_distribution():
    atoms = Atoms("H8C8O8", positions=np.random.default_rng(1).normal(size=(24, 3)))
    mover = with_forces(start(atoms, potential(), ensemble="langevin", friction=0.05, dt=1.0), wells)
    kinetic, energies = [], []
    for step in range(1500):
        mover.advance(5, record=True)
        if step >= 100:
            kinetic.append(kinetic_energies(mover.place().momenta, mover.guard.masses)[0])
            energies.append(mover.sample().energy[0])
    expected = 0.5 * 72 * units.kB * 300
    assert np.mean(kinetic) == pytest.approx(expected, rel=0.05)
    assert np.mean(energies) == pytest.approx(expected, rel=0.05)


def test_the_barostat_gives_an_ideal_gas_its_volume(monkeypatch):
    """⟨V⟩ = (N + 1) kT/P; positions go on smoothly although OpenMM wraps them into its box."""
    monkeypatch.setattr("equipot.engines.openmm.mover.TRIALS", 1)
    cell = np.array([[9.0, 0.5, -1.0], [3.0, 10.0, 2.0], [-4.0, 1.0, 11.0]])
    rng = np.random.default_rng(2)
    atoms = Atoms("C64", cell=cell, pbc=True, positions=rng.uniform(size=(64, 3)) @ cell)
    volume = atoms.get_volume()
    pressure = 65 * units.kB * 300 / volume / units.factor("stress", "bar")
    mover = start(atoms, periodic_potential(), ensemble="npt", pressure=pressure, friction=0.05)
    with_forces(mover, nothing)
    volumes, largest = [], 0.0
    before = mover.sample()
    for _ in range(1500):
        mover.advance(2, record=True)
        now = mover.sample()
        volumes.append(abs(np.linalg.det(now.cell)))
        inside = [s.place.positions[0] @ np.linalg.inv(s.cell) for s in (before, now)]
        largest, before = max(largest, np.abs(inside[1] - inside[0]).max()), now
    assert np.mean(volumes) == pytest.approx(volume, rel=0.06)
    assert np.std(volumes) / np.mean(volumes) == pytest.approx(1 / np.sqrt(65), rel=0.3)
    assert largest < 0.05
    shape = now.cell / np.cbrt(np.linalg.det(now.cell))
    np.testing.assert_allclose(shape, cell / np.cbrt(np.linalg.det(cell)), rtol=0, atol=1e-12)


def test_forces_and_stress_agree_in_the_frame_of_the_box():
    """In NPT the model sees the user's frame and OpenMM a turned one: energy is conserved between trial volumes."""
    atoms, model = crystal(), periodic_potential(scale=0.1)
    mover = start(atoms, model, ensemble="npt", friction=1e-9, dt=0.25)
    total = []
    for _ in range(20):  # before the first trial, and almost without friction
        mover.advance(1, record=True)
        sample = mover.sample()
        total.append(sample.energy[0] + kinetic_energies(sample.place.momenta, mover.guard.masses)[0])
        again = atoms.copy()
        again.positions = sample.place.positions[0]
        again.calc = Calculator(model)
        assert again.get_potential_energy() == pytest.approx(sample.energy[0], abs=1e-9)
    assert np.ptp(total) < 1e-3


def test_npt_goes_on_from_where_it_was():
    atoms, model = crystal(), periodic_potential(scale=0.1)
    mover = start(atoms, model, ensemble="npt")
    mover.advance(60, record=True)
    resumed = start(atoms, model, memory=mover.memory(), place=mover.place(), ensemble="npt")
    np.testing.assert_array_equal(resumed.sample().cell, mover.sample().cell)
    assert not np.array_equal(mover.sample().cell, atoms.cell.array)
    np.testing.assert_allclose(resumed.place().positions, mover.place().positions, rtol=0, atol=1e-12)
    assert resumed.sample().energy[0] == pytest.approx(mover.sample().energy[0], abs=1e-10)


def test_what_blows_up_is_stopped():
    atoms, model = ethanol(), potential(scale=0.1)
    mover = start(atoms, model, dt=0.5, max_force=1e-3)
    with pytest.raises(Broken, match=r"force .* eV/Å, limit 0.001") as broken:
        mover.advance(5, record=True)
    assert broken.value.step == 1
    np.testing.assert_allclose(broken.value.good.positions[0], atoms.positions, rtol=0, atol=1e-14)
    mover = start(atoms, model, max_temperature=1.0)
    with pytest.raises(Broken, match="temperature of its replica"):
        mover.advance(5, record=True)


def test_a_number_that_is_none_stops_it():
    mover = start(ethanol(), potential(scale=0.1))
    inner = mover.calculator.potential

    class Poisoned(torch.nn.Module):
        def forward(self, batch, **kwargs):
            found = inner(batch, **kwargs)
            found.forces[4, 1] = float("nan")
            return found

    mover.advance(2, record=False)
    mover.calculator.potential = Poisoned()
    with pytest.raises(Broken, match="atom 4") as broken:
        mover.advance(6, record=True)
    assert (broken.value.atom, broken.value.step) == (4, 1)


def test_atoms_on_top_of_each_other_stop_it():
    atoms, model = ethanol(), potential(scale=1e-12)  # they fly straight on
    momenta = np.zeros((1, 9, 3))
    way = atoms.positions[1] - atoms.positions[0]
    momenta[0, 0] = way * atoms.get_masses()[0] / (0.5 * ase.units.fs)
    mover = start(atoms, model, place=Place(positions=atoms.positions[None], momenta=momenta))
    with pytest.raises(Broken, match="on top of each other"):
        mover.advance(1, record=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ensemble": "bussi"}, "no thermostat bussi"),
        ({"ensemble": "npt"}, "periodic in three directions"),
        ({"ensemble": "npt", "taup": 500.0}, "no time constant"),
    ],
)
def test_what_it_cannot_do_is_refused(settings, message):
    atoms = crystal() if "taup" in settings else ethanol()
    with pytest.raises(ValueError, match=message):
        start(atoms, periodic_potential(), **settings)


def test_a_run_folder_is_made_and_goes_on(tmp_path):
    """What is asked of every engine: phases, samples with dipoles, and a restart to the last bit."""
    model, settings = potential(scale=0.1), Dynamics(**RUN)
    whole = run_dynamics(model, ethanol(), settings, tmp_path / "whole")
    header = json.loads((whole / "md.json").read_text())
    assert header["engine"] == f"openmm {openmm.__version__}"
    assert abs(header["conservation"]["drift"]) < 1e-2

    def killed(done, total):
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_dynamics(model, ethanol(), settings, tmp_path / "killed", progress=killed)
    run_dynamics(model, ethanol(), settings, tmp_path / "killed")
    for name in ("thermo.csv", "trajectory-000.extxyz"):
        assert (tmp_path / "killed" / name).read_text() == (whole / name).read_text()
    frames = ase.io.read(whole / "trajectory-000.extxyz", ":")
    assert [frame.info["step"] for frame in frames] == list(range(0, 21, 4))
    again = frames[-1].copy()
    again.calc = Calculator(model)
    np.testing.assert_allclose(again.get_dipole_moment(), frames[-1].get_dipole_moment(), atol=1e-6)


def test_a_run_at_constant_pressure_keeps_its_cells(tmp_path):
    settings = Dynamics(**{**RUN, "ensemble": "npt", "time": 0.04})
    folder = run_dynamics(periodic_potential(scale=0.1), crystal(), settings, tmp_path / "npt")
    frames = ase.io.read(folder / "trajectory-000.extxyz", ":")
    volumes = {round(frame.get_volume(), 6) for frame in frames}
    assert len(volumes) > 1
    again = frames[-1].copy()
    again.calc = Calculator(periodic_potential(scale=0.1))
    assert again.get_potential_energy() == pytest.approx(frames[-1].get_potential_energy(), abs=1e-5)
