"""A few steps in LAMMPS, for the proof that it computes what the reference does."""

import numpy as np
from ase import Atoms

from equipot.engines.lammps.interface import refuse_indivisible
from equipot.engines.lammps.ranks import Ranks
from equipot.engines.lammps.simulation import Refused, Simulation
from equipot.engines.settings import Dynamics
from equipot.engines.trace import Trace
from equipot.potential import Potential


def trace(potential: Potential, atoms: Atoms, dt: float, steps: int, ranks: int = 1) -> Trace:
    """Velocity Verlet from the momenta of the atoms, by so many processes; dt in fs."""
    refuse_indivisible(potential)
    settings = Dynamics(engine="lammps", dt=dt, time=steps * dt / 1000, equilibration=0.0, ranks=ranks)
    runner = (Simulation if ranks == 1 else Ranks)(potential, atoms, settings)
    try:
        states = [runner.begin(settings.phases()[-1], atoms, {"begun": 0, "transferred": 0.0})]
        for _ in range(steps):
            runner.advance(1)
            states.append(runner.state())
    except Refused as refused:
        raise ValueError(f"LAMMPS: {refused.message}") from None
    finally:
        runner.close()
    return Trace(
        energies=np.array([state.energy for state in states]),
        forces=np.array([state.forces for state in states]),
        positions=np.array([state.positions for state in states]),
        stress=states[0].stress,
    )
