"""Ring polymers in a run of dynamics: what is sampled is the centroid, and averages of operators over the beads."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from ase import Atoms

from equipot.engines.ase import NotFiniteError
from equipot.engines.guard import Guard
from equipot.engines.ipi import inputs
from equipot.engines.ipi.beads import Beads
from equipot.engines.ipi.ring import Ring
from equipot.engines.momenta import degrees_of_freedom, kinetic_energies
from equipot.engines.mover import Broken, Place, Sample
from equipot.engines.settings import Dynamics, Phase
from equipot.potential import Potential


class RingMover:
    """i-PI, with all beads of a replica in one call of the model; replicas take their steps in turn.

    Samples hold the centroid, q̄ = Σ_k q_k/P and its momentum, and for every property of the system the average over
    the beads, Σ_k A(q_k)/P. Its correlation function approximates the Kubo-transformed one.
    """

    name = f"i-PI {version('ipi')}"
    pace = 20

    def __init__(self, potential: Potential, atoms: Atoms, settings: Dynamics, guard: Guard) -> None:
        if settings.beads > 1 and settings.equilibration == 0:
            raise ValueError(
                "equilibration = 0: all beads of a ring polymer begin in one place and must spread first. Allow for 0.2"
                " ps or more."
            )
        for phase in settings.phases():
            inputs.thermostat(phase, settings)  # refuse before anything is written
        self.settings, self.guard = settings, guard
        size = len(atoms) // settings.replicas
        self.replicas = [atoms[k * size : (k + 1) * size] for k in range(settings.replicas)]
        self.beads = [Beads(potential, one, settings.beads) for one in self.replicas]
        self.rings: list[Ring] = []

    def begin(
        self, phase: Phase, place: Place, wanted: Sequence[str], memory: Mapping[str, Any] | None
    ) -> None:
        """Rings of the phase: as they were in `memory`, or where those of the phase before have come to."""
        self.wanted = tuple(wanted)
        self.freedom = degrees_of_freedom(phase, self.replicas[0], len(self.replicas[0]))
        if memory is None:
            former = self.rings
            self.rings = [Ring(beads, self._input(phase, k)) for k, beads in enumerate(self.beads)]
            for ring, old in zip(self.rings, former, strict=False):
                ring.positions, ring.momenta = old.positions, old.momenta
            for k, ring in enumerate(self.rings):
                ring.positions += place.positions[k] - ring.positions.mean(0)
                ring.momenta += place.momenta[k] - ring.momenta.mean(0)
        else:
            self.rings = [Ring(b, m) for b, m in zip(self.beads, memory["rings"], strict=True)]
        for ring in self.rings:
            ring.compute(self.wanted)

    def advance(self, steps: int, record: bool) -> None:
        """Every step is looked at before it is believed."""
        for number in range(1, steps + 1):
            good = self.place()
            for k, ring in enumerate(self.rings):
                try:
                    ring.step(self.wanted if record and number == steps else ())
                except NotFiniteError as error:
                    raise Broken(str(error), self._atom(k, error.atom), number, good, self.place()) from None
            self._look(number, good)

    def sample(self) -> Sample:
        """Centroids, averages over the beads, and the quantum kinetic energy by the centroid virial."""
        place = self.place()
        energy = np.array([ring.found["energy"].mean() for ring in self.rings])
        recorded = {n: np.stack([ring.found[n].mean(0) for ring in self.rings]) for n in self.wanted}
        total = energy + kinetic_energies(place.momenta, self.guard.masses)
        kept = np.array([ring.conserved for ring in self.rings])
        if self.settings.beads > 1:
            recorded["quantum_kinetic_energy"] = np.array([ring.kinetic for ring in self.rings])
        return Sample(place=place, energy=energy, recorded=recorded, transferred=float((total - kept).mean()))

    def place(self) -> Place:
        """The centroids."""
        return Place(
            positions=np.stack([ring.positions.mean(0) for ring in self.rings]),
            momenta=np.stack([ring.momenta.mean(0) for ring in self.rings]),
        )

    def memory(self) -> dict[str, Any]:
        """A checkpoint of every ring."""
        return {"rings": [ring.checkpoint() for ring in self.rings]}

    def close(self) -> None:
        """Nothing is held."""

    def _input(self, phase: Phase, replica: int) -> str:
        seed = np.random.SeedSequence([self.settings.seed, replica, phase.method == self.settings.method])
        return inputs.simulation(
            phase,
            self.settings,
            initial=inputs.all_at(self.replicas[replica], self.settings.beads),
            forcefield=inputs.LIVE,
            seed=int(seed.generate_state(1)[0]),
        )

    def _look(self, number: int, good: Place) -> None:
        forces = np.stack([_strongest(ring.found["forces"]) for ring in self.rings])
        place = self.place()
        complaint = self.guard.complaint(place.momenta, forces, self.freedom)
        if complaint is not None:
            atom, what = complaint
            raise Broken(what, atom, number, good, place)

    def _atom(self, replica: int, atom: int | None) -> int | None:
        """From its place among the beads to that among the replicas."""
        size = len(self.guard.masses)
        return None if atom is None else replica * size + atom % size


def _strongest(forces: np.ndarray) -> np.ndarray:
    """Of every atom, the force on the bead that feels the strongest."""
    worst = np.einsum("kax,kax->ka", forces, forces).argmax(0)
    return forces[worst, np.arange(forces.shape[1])]
