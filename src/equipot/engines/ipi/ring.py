"""One ring polymer in this process: i-PI moves it, a potential on all beads at once gives the forces."""

import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from equipot import units
from equipot.engines.ipi.beads import Beads, angstrom, answers

#: momenta: ASE's of one atomic unit
MOMENTUM = (units.electron_mass * units.hartree) ** 0.5


class Ring:
    """A simulation of i-PI with one system, whose force field is a live potential.

    Args:
        beads: evaluates them.
        start: an input of i-PI, or a checkpoint.
    """

    def __init__(self, beads: Beads, start: str | Mapping[str, Any]) -> None:
        self.beads = beads
        self.found: dict[str, np.ndarray] = {}  # by the last evaluation, beads first
        self._wanted: Collection[str] = ()
        self._simulation = _load(start if isinstance(start, str) else start["restart"])
        self._simulation.fflist["equipot"].driver = self._drive
        self._system = self._simulation.syslist[0]
        for name, values in () if isinstance(start, str) else start["last_written"].items():
            self._array(name)[:] = values

    def compute(self, wanted: Collection[str] = ()) -> None:
        """Energy, forces and what is wanted, where beads were put; i-PI computes once after a change."""
        self._wanted = wanted
        assert self._system.forces.f is not None

    def step(self, wanted: Collection[str] = ()) -> None:
        """One time step: one call of the model, with what is wanted at its end."""
        self._wanted = wanted
        self._simulation.run_step(self._simulation.step)
        self._simulation.step += 1

    @property
    def positions(self) -> Float[np.ndarray, "beads atoms 3"]:
        """Å."""
        return np.array(self._system.beads.q).reshape(self.beads.shape) * units.bohr

    @positions.setter
    def positions(self, values: Float[np.ndarray, "beads atoms 3"]) -> None:
        self._system.beads.q[:] = values.reshape(len(values), -1) / units.bohr

    @property
    def momenta(self) -> Float[np.ndarray, "beads atoms 3"]:
        """In the units of ASE, drawn from the temperature T times the number of beads."""
        return np.array(self._system.beads.p).reshape(self.beads.shape) * MOMENTUM

    @momenta.setter
    def momenta(self, values: Float[np.ndarray, "beads atoms 3"]) -> None:
        self._system.beads.p[:] = values.reshape(len(values), -1) / MOMENTUM

    @property
    def energies(self) -> Float[np.ndarray, " beads"]:
        """Potential energies as i-PI has them, eV."""
        return np.array(self._system.forces.pots) * units.hartree

    @property
    def forces(self) -> Float[np.ndarray, "beads atoms 3"]:
        """As i-PI has them, eV/Å."""
        return np.array(self._system.forces.f).reshape(self.beads.shape) * (units.hartree / units.bohr)

    @property
    def conserved(self) -> float:
        """What i-PI's integrator keeps, per bead, eV: the energy of the ring polymer less what thermostats gave."""
        return float(self._system.properties["conserved"][0]) * units.hartree

    @property
    def kinetic(self) -> float:
        """Quantum kinetic energy of the physical system by the centroid virial, eV.

        3N kT/2 − Σ_k (q_k − q̄)·F_k / 2P (Herman, Bruskin, Berne, J. Chem. Phys. 76, 5150 (1982)).
        """
        return float(self._system.properties["kinetic_cv"][0]) * units.hartree

    def checkpoint(self) -> dict[str, Any]:
        """i-PI's restart file, and what it lacks to go on to the last bit, as JSON.

        i-PI keeps positions and momenta of beads and of modes, makes each from the other, and writes those of beads.
        """
        self._simulation.chk.store()
        last_written = [side._synchro.manual for side in (self._system.nm._qnm, self._system.nm._pnm)]
        return {
            "restart": self._simulation.chk.status.write(name="simulation"),
            "last_written": {name: np.array(self._array(name)).tolist() for name in last_written},
        }

    def _array(self, name: str) -> Any:
        return getattr(self._system.nm if name.endswith("nm") else self._system.beads, name)

    def _drive(self, cells: Any, positions: Any) -> Any:
        """What i-PI takes for its driver: it hands over lists, or one structure where there is one bead."""
        many = isinstance(positions, list)
        self.found = self.beads.evaluate(angstrom(positions if many else [positions]), self._wanted)
        return answers(self.found) if many else answers(self.found)[0]


def _load(text: str) -> Any:
    """A simulation that leaves signals to us."""
    from ipi.engine.simulation import Simulation
    from ipi.utils.softexit import softexit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # i-PI 3.3.1 says threading.currentThread
        simulation = Simulation.load_from_xml(text)
    softexit.reset()
    return simulation
