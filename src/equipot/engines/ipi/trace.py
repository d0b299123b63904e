"""A few steps of classical dynamics as i-PI makes them, for comparison with other engines."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float

from equipot import units
from equipot.engines.ipi import inputs
from equipot.engines.ipi.beads import Beads, answers
from equipot.engines.ipi.ring import Ring
from equipot.engines.settings import Dynamics
from equipot.potential import Potential


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What an engine computes along a path, in the units and signs of ASE."""

    energies: Float[np.ndarray, " entries"]  # potential, eV
    forces: Float[np.ndarray, "entries atoms 3"]  # eV/Å
    positions: Float[np.ndarray, "entries atoms 3"]  # Å
    stress: Float[np.ndarray, "3 3"] | None  # eV/Å³, at the start; None without a periodic cell


def trace(potential: Potential, atoms: Atoms, dt: float, steps: int) -> Trace:
    """Constant energy from the positions and momenta of the atoms, one bead; dt in fs.

    Everything is taken from the hands of i-PI, after both conversions of units.
    """
    settings = Dynamics(engine="ipi", dt=dt, temperature=300.0)
    text = inputs.simulation(
        settings.phases()[-1], settings, initial=inputs.all_at(atoms, 1), forcefield=inputs.LIVE, seed=1
    )
    ring = Ring(Beads(potential, atoms, 1), text)
    ring.momenta = atoms.get_momenta()[None]
    ring.compute()
    rows = [(ring.energies[0], ring.forces[0], ring.positions[0])]
    for _ in range(steps):
        ring.step()
        rows.append((ring.energies[0], ring.forces[0], ring.positions[0]))
    energies, forces, positions = (np.array(column) for column in zip(*rows, strict=True))
    return Trace(energies=energies, forces=forces, positions=positions, stress=_stress(potential, atoms))


def _stress(potential: Potential, atoms: Atoms) -> np.ndarray | None:
    """From the virial that i-PI is given."""
    if not atoms.pbc.all():
        return None
    found = Beads(potential, atoms, 1, virial=True).evaluate(atoms.positions[None])
    return -answers(found)[0][2] * units.hartree / atoms.get_volume()
