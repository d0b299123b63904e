"""A few steps of classical dynamics as i-PI makes them, for comparison with other engines."""

import numpy as np
from ase import Atoms

from equipot import units
from equipot.engines.ipi import inputs
from equipot.engines.ipi.beads import Beads, answers
from equipot.engines.ipi.ring import Ring
from equipot.engines.settings import Dynamics
from equipot.engines.trace import Trace
from equipot.potential import Potential


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
