"""When dynamics has gone wrong: seen at the step, with the frames before and at it kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.extxyz import write_xyz

from equipot import units
from equipot.engines.momenta import kinetic_energies


class DynamicsStopped(ValueError):
    """Dynamics left what the model or the time step can describe. The message names step, atom and file."""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Limits that no sane step exceeds."""

    temperature: float  # K, of one replica
    force: float  # eV/Å, on one atom
    masses: np.ndarray  # amu, of the atoms of one replica

    def complaint(
        self, momenta: np.ndarray, forces: np.ndarray, degrees_of_freedom: int
    ) -> tuple[int, str] | None:
        """The worst atom and what is wrong with it, for momenta and forces [replicas, atoms, 3]."""
        strength = np.einsum("rax,rax->ra", forces, forces)
        worst = int(strength.argmax())
        if not strength.flat[worst] <= self.force**2:  # so written, NaN complains too
            return worst, f"force {np.sqrt(strength.flat[worst]):.3g} eV/Å, limit {self.force:g}"
        kinetic = kinetic_energies(momenta, self.masses)
        hottest = int(kinetic.argmax())
        temperature = 2 * kinetic[hottest] / (degrees_of_freedom * units.kB)
        if temperature <= self.temperature:
            return None
        fastest = int((np.square(momenta[hottest]).sum(1) / self.masses).argmax())
        where = hottest * len(self.masses) + fastest
        return where, f"temperature of its replica {temperature:.0f} K, limit {self.temperature:.0f}"


def keep(path: Path, frames: Sequence[Atoms]) -> None:
    """Write the last good and the bad frame."""
    with path.open("w", encoding="utf-8") as file:
        for atoms in frames:
            write_xyz(file, [atoms], write_results=False)
