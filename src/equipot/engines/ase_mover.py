"""Molecular dynamics by ASE's integrators, many independent copies in one object."""

from collections.abc import Mapping, Sequence
from typing import Any

import ase
import ase.units
import numpy as np
from ase import Atoms
from ase.md.bussi import Bussi
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet

from equipot import units
from equipot.engines.ase import Calculator, NotFiniteError
from equipot.engines.guard import Guard
from equipot.engines.momenta import degrees_of_freedom
from equipot.engines.mover import Broken, Place, Sample
from equipot.engines.settings import Dynamics, Phase
from equipot.potential import Potential


class AseMover:
    """ASE's velocity Verlet, Langevin and Bussi integrators. The calculator computes only what a sample needs."""

    name = f"ase {ase.__version__}"
    pace = 1

    def __init__(self, potential: Potential, atoms: Atoms, settings: Dynamics, guard: Guard) -> None:
        self.settings, self.atoms, self.guard = settings, atoms, guard
        self.shape = (settings.replicas, len(atoms) // settings.replicas, 3)
        self.calculator = atoms.calc = Calculator(potential, replicas=settings.replicas)
        self.calculator.refuse_large(atoms)
        self.rng = np.random.default_rng([settings.seed, 1])  # the velocities are drawn from the seed alone

    def begin(
        self, phase: Phase, place: Place, wanted: Sequence[str], memory: Mapping[str, Any] | None
    ) -> None:
        """The atoms as they are, and the integrator of the phase."""
        self.atoms.positions[:] = place.positions.reshape(-1, 3)
        self.atoms.set_momenta(place.momenta.reshape(-1, 3))
        if memory is not None:
            self.rng.bit_generator.state = memory["random"]
        self.freedom = degrees_of_freedom(phase, self.atoms, self.shape[1])
        self.integrator = self._integrator(phase, 0.0 if memory is None else memory["transferred"])
        self.names = {n: self._name(n) for n in ("energy", *wanted)}
        self.calculator.also = tuple(self.names.values())  # refuses what the model does not have
        self.calculator.reset()
        self.forces = self.atoms.get_forces()

    def advance(self, steps: int, record: bool) -> None:
        """Every step is looked at before it is believed."""
        for number in range(1, steps + 1):
            self.calculator.also = tuple(self.names.values()) if record and number == steps else ()
            good = self.place()
            try:
                self.forces = self.integrator.step(self.forces)
            except NotFiniteError as error:
                raise Broken(str(error), error.atom, number, good, self.place()) from None
            forces, momenta = self.forces.reshape(self.shape), self.place().momenta
            complaint = self.guard.complaint(momenta, forces, self.freedom)
            if complaint is not None:
                atom, what = complaint
                raise Broken(what, atom, number, good, self.place())

    def sample(self) -> Sample:
        """Results of the calculator."""
        results = self.calculator.results
        rows = {n: np.asarray(results[full]) for n, full in self.names.items()}
        if self.shape[0] == 1:
            rows = {n: row[None] for n, row in rows.items()}
        else:  # properties of atoms come in one block for all replicas
            rows = {
                n: r if self.names[n] != n else r.reshape(*self.shape[:2], *r.shape[1:])
                for n, r in rows.items()
            }
        return Sample(
            place=self.place(), energy=rows.pop("energy"), recorded=rows, transferred=self._transferred
        )

    def place(self) -> Place:
        """Copies of the arrays of the atoms."""
        positions = self.atoms.positions.reshape(self.shape).copy()
        return Place(positions=positions, momenta=self.atoms.get_momenta().reshape(self.shape))

    def memory(self) -> dict[str, Any]:
        """The state of the random numbers, and what a Bussi thermostat gave."""
        return {"random": dict(self.rng.bit_generator.state), "transferred": float(self._transferred or 0.0)}

    def close(self) -> None:
        """Nothing is held."""

    def _name(self, name: str) -> str:
        """What the calculator calls it: properties of systems are those of replicas where there are several."""
        of_replicas = f"replica_{name}"
        return of_replicas if of_replicas in self.calculator.implemented_properties else name

    def _integrator(self, phase: Phase, transferred: float) -> VelocityVerlet | Langevin:
        dt, temperature = self.settings.dt * ase.units.fs, self.settings.temperature
        if phase.thermostat is None:
            return VelocityVerlet(self.atoms, dt)
        if phase.thermostat == "langevin":
            friction = self.settings.friction / ase.units.fs
            return Langevin(
                self.atoms, dt, temperature_K=temperature, friction=friction, rng=self.rng, fixcm=False
            )
        bussi = Bussi(self.atoms, dt, temperature, self.settings.taut * ase.units.fs, rng=self.rng)
        # ASE counts 3N degrees of freedom, but a global rescaling never excites the rigid motions taken out before
        bussi.ndof = self.freedom
        bussi.target_kinetic_energy = 0.5 * units.kB * temperature * bussi.ndof
        bussi.transferred_energy = transferred
        return bussi

    @property
    def _transferred(self) -> float | None:
        """None with Langevin dynamics, which keeps no account."""
        if isinstance(self.integrator, Bussi):
            return float(self.integrator.transferred_energy)
        return None if isinstance(self.integrator, Langevin) else 0.0
