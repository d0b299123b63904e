"""The minimum of the energy nearest to a structure."""

import copy

import numpy as np
from ase import Atoms
from ase.optimize import BFGS

from equipot.engines.ase import Calculator
from equipot.potential import Potential


def relax(potential: Potential, start: Atoms, fmax: float = 1e-4, steps: int = 1000) -> Atoms:
    """The structure with all forces below `fmax` (eV/Å), by BFGS in float64; the cell stays.

    Raises ValueError when `steps` are not enough.
    """
    atoms = start.copy()
    atoms.calc = Calculator(copy.deepcopy(potential).double())
    optimizer = BFGS(atoms, logfile=None)
    if not optimizer.run(fmax=fmax, steps=steps):
        left = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
        raise ValueError(
            f"relaxation: {left:.2e} eV/Å are left after {steps} steps, expected {fmax:.0e}. Start from a structure"
            " nearer to a minimum, or allow more steps."
        )
    return atoms
