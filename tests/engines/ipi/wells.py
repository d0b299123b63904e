"""Independent atoms in harmonic wells, in the hands of i-PI."""

import numpy as np
from ase import Atoms

from equipot import units
from equipot.engines.ipi import inputs
from equipot.engines.ipi.beads import Beads
from equipot.engines.ipi.ring import Ring
from equipot.engines.settings import Dynamics


class Wells(Beads):
    """Every atom bound to the origin with one frequency; the dipole is the sum of the positions."""

    def __init__(self, wavenumber, atoms, beads):
        omega = 2 * np.pi * units.light * wavenumber
        self.stiffness = (atoms.get_masses() * omega**2 / units.acceleration)[:, None]  # eV/Å²
        self.shape, self.virial, self.calls = (beads, len(atoms), 3), False, 0

    def evaluate(self, positions, also=()):
        self.calls += 1
        found = {
            "energy": 0.5 * (self.stiffness * positions**2).sum((1, 2)),
            "forces": -self.stiffness * positions,
        }
        return found | ({"dipole": positions.sum(1)} if "dipole" in also else {})


def hydrogens(number):
    return Atoms(numbers=[1] * number, positions=np.zeros((number, 3)))


def ring(wavenumber, atoms, phase=-1, seed=1, **settings):
    """A ring polymer of a phase of a run, the production if not said."""
    chosen = Dynamics(**{"engine": "ipi", "temperature": 300.0, "dt": 0.5, **settings})
    text = inputs.simulation(
        chosen.phases()[phase],
        chosen,
        initial=inputs.all_at(atoms, chosen.beads),
        forcefield=inputs.LIVE,
        seed=seed,
    )
    return Ring(Wells(wavenumber, atoms, chosen.beads), text)
