"""A run in LAMMPS. Every process calls the same methods with the same arguments, and is told the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float

from equipot.engines.lammps.couplings import Coupling, coupling
from equipot.engines.lammps.system import PICOSECOND, Orientation, Types, box_of, fill
from equipot.engines.momenta import degrees_of_freedom
from equipot.engines.settings import Dynamics, Phase
from equipot.potential import Potential


class Refused(Exception):
    """LAMMPS stopped with this message, so many steps after `begin`."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message, step)
        self.message, self.step = message, step


@dataclass(frozen=True, kw_only=True)
class State:
    """What LAMMPS knows of all atoms, in their own axes and in the units of ASE."""

    positions: Float[np.ndarray, "atoms 3"]  # unwrapped
    momenta: Float[np.ndarray, "atoms 3"]
    forces: Float[np.ndarray, "atoms 3"]
    energy: float  # potential, eV
    stress: Float[np.ndarray, "3 3"] | None  # of the potential, eV/Å³; None where there is no volume
    cell: Float[np.ndarray, "3 3"]
    transferred: float | None  # eV that a thermostat gave


@dataclass(frozen=True, kw_only=True)
class Extremes:
    """What can be known without collecting the atoms."""

    force: float  # eV/Å, the largest component
    temperature: float  # K, of 3N − 3 degrees of freedom


class Simulation:
    """LAMMPS with the atoms of a run. `begin` before anything else."""

    def __init__(
        self,
        potential: Potential,
        atoms: Atoms,
        settings: Dynamics,
        device: torch.device | str | None = None,
        by: Coupling | None = None,
    ) -> None:
        self.atoms, self.settings, self.types = atoms, settings, Types.of(atoms)
        self.coupling = coupling(potential, device) if by is None else by
        self.lammps: Any = self.coupling.lammps

    def begin(self, phase: Phase, atoms: Atoms, memory: Mapping[str, Any]) -> State:
        """Positions, momenta and cell of `atoms`; `memory`: number of the run's beginnings, energy given before."""
        self.phase, self.given = phase, float(memory["transferred"])
        self.orientation = Orientation.of(atoms)
        self.coupling.clear()
        fill(self.lammps, atoms, self.orientation, self.types)
        # LAMMPS wraps the atoms as it takes them, without counting
        left = self.orientation.turned(atoms.positions - self.orientation.corner) - self._unwrapped(0)
        self.cells = np.rint(left @ np.linalg.inv(self.orientation.cell)) * atoms.pbc
        self.coupling.attach(self.types.elements)
        self._do(
            *self._integrator(phase, atoms, 1 + (self.settings.seed * 10007 + memory["begun"]) % 900000000)
        )
        self._do(
            "compute potential all pressure NULL virial",
            "thermo_style custom step pe temp fmax c_potential[1]",
            f"timestep {self.settings.dt / 1000!r}",
            "run 0 post no",
        )
        return self.state()

    def advance(self, steps: int) -> Extremes:
        """So many steps further; raises Refused."""
        self._do(f"run {steps} pre no post no")
        return Extremes(force=self.lammps.get_thermo("fmax"), temperature=self.lammps.get_thermo("temp"))

    def place(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions and momenta, collected from all processes; also after LAMMPS has stopped."""
        velocities = self.orientation.back(self._gather("v", 1, 3)) / PICOSECOND
        positions = self.orientation.back(self._unwrapped(self.cells)) + self.orientation.corner
        return positions, velocities * self.atoms.get_masses()[:, None]

    def state(self) -> State:
        """Of the last step, collected from all processes."""
        positions, momenta = self.place()
        return State(
            positions=positions,
            momenta=momenta,
            forces=self.orientation.back(self._gather("f", 1, 3)),
            energy=self.lammps.get_thermo("pe"),
            stress=self._stress(),
            cell=self.orientation.original(box_of(self.lammps)[0]),
            transferred=self._transferred(),
        )

    def close(self) -> None:
        """Let go of LAMMPS."""
        self.coupling.close()

    def _stress(self) -> np.ndarray | None:
        if not self.atoms.pbc.all():
            return None
        xx, yy, zz, xy, xz, yz = self.lammps.numpy.extract_compute("potential", 0, 1)
        pressure = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        q = self.orientation.rotation
        return -q @ pressure @ q.T / self.lammps.extract_global("nktv2p")

    def _transferred(self) -> float | None:
        if self.phase.thermostat is None:
            return 0.0
        if self.phase.name == "npt" or self.phase.thermostat == "langevin":
            return None
        return self.given - self.lammps.extract_fix("bath", 0, 0)

    def _integrator(self, phase: Phase, atoms: Atoms, seed: int) -> list[str]:
        s = self.settings
        barostat = phase.name == "npt"
        motion = f"nph iso {s.pressure!r} {s.pressure!r} {s.taup / 1000!r}" if barostat else "nve"
        if phase.thermostat is None:
            return [f"fix motion all {motion}"]
        kind = {"langevin": "langevin", "bussi": "temp/csvr"}[phase.thermostat]
        assert phase.tau is not None
        bath = f"fix bath all {kind} {s.temperature!r} {s.temperature!r} {phase.tau / 1000!r} {seed}"
        missing = 3 * len(atoms) - degrees_of_freedom(phase, atoms, len(atoms))
        freedom = [f"compute_modify bath_temp extra/dof {missing}"] if kind == "temp/csvr" else []
        return [f"fix motion all {motion}", bath, *freedom]

    def _unwrapped(self, cells: np.ndarray | int) -> np.ndarray:
        """Positions from the corner of the box, so many cells further than LAMMPS counts."""
        cell, low = box_of(self.lammps)
        x = self._gather("x", 1, 3) - low * self.atoms.pbc
        return x + (self._gather("image", 0, 3) + cells) @ cell

    def _gather(self, name: str, kind: int, width: int) -> np.ndarray:
        flat = self.lammps.gather_atoms(name, kind, width)
        return np.array(np.ctypeslib.as_array(flat)).reshape(-1, width)

    def _do(self, *commands: str) -> None:
        try:
            self.lammps.commands_list(list(commands))
            self.coupling.check()
        except Exception as error:  # LAMMPS raises nothing more special
            message = str(getattr(error, "message", error)).strip()
            raise Refused(message, int(self.lammps.extract_global("ntimestep"))) from error
