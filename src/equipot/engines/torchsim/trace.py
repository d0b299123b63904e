"""A few steps in TorchSim, for the proof that it computes what the reference does."""

import math

import numpy as np
from ase import Atoms

from equipot.engines.guard import Guard
from equipot.engines.mover import Place
from equipot.engines.settings import Dynamics
from equipot.engines.torchsim.mover import TorchSimMover
from equipot.engines.trace import Trace
from equipot.potential import Potential


def trace(potential: Potential, atoms: Atoms, dt: float, steps: int) -> Trace:
    """Velocity Verlet from the momenta of the atoms, as in a run; dt in fs."""
    settings = Dynamics(engine="torchsim", dt=dt, time=steps * dt / 1000, equilibration=0.0)
    guard = Guard(temperature=math.inf, force=math.inf, masses=atoms.get_masses())
    mover = TorchSimMover(potential, atoms.copy(), settings, guard)
    start = Place(positions=atoms.positions[None].copy(), momenta=atoms.get_momenta()[None])
    mover.begin(settings.phases()[-1], start, (), None)
    found = mover.model.found
    assert found is not None
    stress = None if found.stress is None else found.stress[0].cpu().numpy()
    rows = []
    for step in range(steps + 1):
        if step:
            mover.advance(1, record=True)
        sample, forces = mover.sample(), mover.state.forces.cpu().numpy().copy()
        rows.append((float(sample.energy[0]), forces, sample.place.positions[0]))
    energies, all_forces, positions = (np.array(column) for column in zip(*rows, strict=True))
    return Trace(energies=energies, forces=all_forces, positions=positions, stress=stress)
