"""Runs of equipot in OpenMM: the atoms move there, with velocities that belong to the time of the positions."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import ase.units
import numpy as np
import openmm
from ase import Atoms

from equipot import units
from equipot.engines.ase import Calculator
from equipot.engines.guard import Guard
from equipot.engines.momenta import degrees_of_freedom
from equipot.engines.mover import Broken, Place, Sample
from equipot.engines.openmm.box import Box
from equipot.engines.openmm.force import ANGSTROM, plain
from equipot.engines.openmm.integrators import langevin, velocity_verlet
from equipot.engines.settings import Dynamics, Phase
from equipot.potential import Potential

PS = 1000 * ase.units.fs  # a picosecond in the time of ASE, Å √(amu/eV)
#: amu nm²/ps² in an eV. OpenMM is given masses, lengths and times; the unit of energy follows. With the picosecond of
#: ASE trajectories are those of ASE to round-off; that of CODATA 2018 would differ in the eighth digit.
ENERGY = (PS * ANGSTROM) ** 2
TRIALS = 25  # steps between two trial volumes


class OpenMMMover:
    """Velocity Verlet, Langevin (BAOAB) and Langevin with a Monte Carlo barostat, on OpenMM's Reference platform.

    That platform computes in double precision and has the least overhead; the model computes where it is.
    """

    name = f"openmm {openmm.__version__}"
    pace = 20

    def __init__(self, potential: Potential, atoms: Atoms, settings: Dynamics, guard: Guard) -> None:
        _refuse(potential, atoms, settings)
        self.settings, self.atoms, self.guard = settings, atoms.copy(), guard
        self.cell, self.masses = atoms.cell.array.copy(), atoms.get_masses()  # the cell of the start
        self.box = Box.of(self.cell) if settings.ensemble == "npt" else None
        self.rotation = np.eye(3) if self.box is None else self.box.rotation
        self.calculator = Calculator(potential)
        self.context: openmm.Context | None = None

    def begin(
        self, phase: Phase, place: Place, wanted: Sequence[str], memory: Mapping[str, Any] | None
    ) -> None:
        """A context of its own for every phase."""
        self.wanted, self.failure, self.changing = ("energy", *wanted), None, phase.name == "npt"
        self.freedom = degrees_of_freedom(phase, self.atoms, len(self.atoms))
        self.transferred = 0.0 if phase.thermostat is None else None
        self.integrator = self._integrator(phase)
        platform = openmm.Platform.getPlatformByName("Reference")
        self.context = openmm.Context(self._system(), self.integrator, platform)
        if memory is None:
            self.context.setPositions(place.positions[0] @ self.rotation * ANGSTROM)
            velocities = place.momenta[0] / self.masses[:, None]
            self.context.setVelocities(velocities @ self.rotation * (ANGSTROM * PS))
        else:
            self._load(memory["checkpoint"])
        self.here = place
        self.calculator.also = self.wanted  # refuses what the model does not have
        self.calculator.reset()
        self._evaluate(*self._places(self.context.getState(positions=True)))
        self.here = self._read()

    def advance(self, steps: int, record: bool) -> None:
        """Forces are looked at in every step, the temperature after the last."""
        assert self.context is not None
        first = self.context.getStepCount()
        try:
            for number, also in ((steps - 1, ()), (1, self.wanted if record else ())):
                self.calculator.also = also
                self.integrator.step(number)
        except openmm.OpenMMException:
            if self.failure is None:
                raise
            atom, what = self.failure
            step = self.context.getStepCount() - first + 1
            raise Broken(what, atom, step, self.here, self._read()) from None
        good, self.here = self.here, self._read()
        complaint = self.guard.complaint(self.here.momenta, self.forces[None], self.freedom)
        if complaint is not None:
            raise Broken(complaint[1], complaint[0], steps, good, self.here)

    def sample(self) -> Sample:
        """Results of the last evaluation, which a step ends with."""
        rows = {name: np.asarray(self.calculator.results[name])[None] for name in self.wanted}
        cell = self.atoms.cell.array.copy() if self.changing else None
        return Sample(
            place=self.place(),
            energy=rows.pop("energy"),
            recorded=rows,
            cell=cell,
            transferred=self.transferred,
        )

    def place(self) -> Place:
        """Positions and momenta in the frame of the start."""
        return self.here

    def memory(self) -> dict[str, Any]:
        """OpenMM's own checkpoint: positions, velocities and random numbers to the last bit; no code is in it."""
        assert self.context is not None
        return {"checkpoint": base64.b64encode(self.context.createCheckpoint()).decode()}

    def close(self) -> None:
        """Let go of the context."""
        self.context = None

    def _system(self) -> openmm.System:
        system = openmm.System()
        for mass in self.masses:
            system.addParticle(float(mass))
        force = openmm.PythonForce(
            lambda state: self._answer(state)
        )  # which OpenMM cannot write, and need not
        if self.box is not None:
            system.setDefaultPeriodicBoxVectors(*(self.box.vectors * ANGSTROM))
            force.setUsesPeriodicBoundaryConditions(True)
        if self.changing:
            barostat = openmm.MonteCarloBarostat(self.settings.pressure, self.settings.temperature, TRIALS)
            barostat.setRandomNumberSeed(self.settings.seed + 1)  # zero would be a seed of its own choice
            system.addForce(barostat)
        system.addForce(force)
        return system

    def _integrator(self, phase: Phase) -> openmm.CustomIntegrator:
        dt = self.settings.dt / 1000
        if phase.thermostat is None:
            return velocity_verlet(dt)
        kT = units.kB * self.settings.temperature * ENERGY
        return langevin(dt, 1000 * self.settings.friction, kT, self.settings.seed + 1)

    def _answer(self, state: openmm.State) -> tuple[float, np.ndarray]:
        """Called by OpenMM; what stops it is kept, since OpenMM hands on the message alone."""
        try:
            self._evaluate(*self._places(state))
        except ValueError as error:  # not a number, atoms on top of each other
            self.failure = getattr(error, "atom", None), str(error)
            raise
        if not np.einsum("ax,ax->a", self.forces, self.forces).max() <= self.guard.force**2:
            complaint = self.guard.complaint(np.zeros_like(self.forces[None]), self.forces[None], 1)
            assert complaint is not None
            self.failure = complaint
            raise ValueError(complaint[1])
        return (
            self.calculator.results["energy"] * ENERGY,
            self.forces @ self.rotation * (ENERGY / ANGSTROM),
        )

    def _evaluate(self, positions: np.ndarray, cell: np.ndarray) -> None:
        self.atoms.positions[:] = positions
        self.atoms.set_cell(cell)
        self.calculator.calculate(self.atoms, ("energy", "forces"))
        self.forces = self.calculator.results["forces"]

    def _read(self) -> Place:
        """From OpenMM. A barostat wraps what it scales; atoms go on from where they were."""
        assert self.context is not None
        state = self.context.getState(positions=True, velocities=True)
        positions, cell = self._places(state)
        if self.changing:
            jumped = np.round((positions - self.here.positions[0]) @ np.linalg.inv(cell))
            positions = positions - jumped @ cell
        velocities = plain(state.getVelocities(asNumpy=True)) / (ANGSTROM * PS)
        momenta = velocities @ self.rotation.T * self.masses[:, None]
        return Place(positions=positions[None], momenta=momenta[None])

    def _places(self, state: openmm.State) -> tuple[np.ndarray, np.ndarray]:
        """Positions as OpenMM has them and the cell, in the frame of the start, Å."""
        positions = np.asarray(plain(state.getPositions(asNumpy=True))) @ self.rotation.T / ANGSTROM
        if self.box is None or not self.changing:
            return positions, self.cell
        length = plain(state.getPeriodicBoxVectors(asNumpy=True))[0, 0] / ANGSTROM
        return positions, self.cell * (length / self.box.vectors[0, 0])

    def _load(self, checkpoint: str) -> None:
        assert self.context is not None
        try:
            self.context.loadCheckpoint(base64.b64decode(checkpoint))
        except openmm.OpenMMException as error:
            raise ValueError(
                f"OpenMM {openmm.__version__} cannot go on from the restart file: {error}. Go on with the version that"
                " wrote it, which md.json names, or begin anew in another folder."
            ) from None


def _refuse(potential: Potential, atoms: Atoms, settings: Dynamics) -> None:
    if "velocities" in potential.inputs:
        raise ValueError(
            "this model reads velocities, which OpenMM does not give to a force. Use engine=ase."
        )
    if "bussi" in {phase.thermostat for phase in settings.phases()}:
        raise ValueError("engine openmm has no thermostat bussi. Use langevin, or engine=ase.")
    if settings.ensemble != "npt":
        return
    if not atoms.pbc.all():
        raise ValueError(
            f"ensemble npt needs a cell that is periodic in three directions; found pbc = {atoms.pbc.tolist()}."
        )
    if settings.taup != Dynamics.model_fields["taup"].default:
        raise ValueError(
            f"taup = {settings.taup:g}: the Monte Carlo barostat of engine openmm has no time constant. Leave it out."
        )
