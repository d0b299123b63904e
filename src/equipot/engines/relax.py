"""The minimum of the energy nearest to a structure, through ASE's optimizers."""

import copy
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE, LBFGS
from ase.stress import voigt_6_to_full_3x3_stress

from equipot.config import nearest
from equipot.engines.ase import Calculator
from equipot.potential import Potential

_OPTIMIZERS = {"bfgs": BFGS, "lbfgs": LBFGS, "fire": FIRE}


@dataclass(frozen=True, kw_only=True, eq=False)
class Relaxation:
    """What became of a structure, and how far it is from a minimum."""

    atoms: Atoms  # the last structure, with the calculator and the constraints that it was relaxed with
    energies: tuple[float, float]  # before and after, eV
    volumes: tuple[float, float]  # before and after, Å³; zero without a cell
    steps: int
    force: float  # the largest on an atom, constraints applied, eV/Å
    stress: float | None  # the largest component where the cell was free, eV/Å³
    converged: bool

    def words(self) -> str:
        """In a line."""
        text = (
            f"{self.steps} steps, energy {self.energies[0]:.6f} -> {self.energies[1]:.6f} eV, largest force"
            f" {self.force:.2g} eV/Å"
        )
        if self.stress is None:
            return text
        before, after = self.volumes
        return f"{text}, largest stress {self.stress:.2g} eV/Å³, volume {before:.2f} -> {after:.2f} Å³"


class NotRelaxed(ValueError):
    """The steps were not enough. Carries the `Relaxation` with the last structure, so that it can be kept."""

    def __init__(self, relaxation: Relaxation, fmax: float) -> None:
        super().__init__(
            f"relaxation: not converged: {relaxation.words()}; expected forces below {fmax:g} eV/Å. Start from a"
            " structure nearer to a minimum, go on from the last one, or allow more steps."
        )
        self.relaxation = relaxation


def relax(
    potential: Potential,
    start: Atoms,
    fmax: float = 1e-4,
    steps: int = 1000,
    cell: bool = False,
    optimizer: str = "bfgs",
) -> Relaxation:
    """The structure with all forces below `fmax` (eV/Å), in float64; constraints of `start` are kept.

    With `cell` the cell relaxes too, at zero pressure: all nine components of the deformation are further coordinates
    whose forces, the virial in eV over the number of atoms, must be below `fmax` as well (ASE's FrechetCellFilter).

    Raises NotRelaxed when `steps` are not enough.
    """
    atoms = start.copy()
    atoms.calc = Calculator(copy.deepcopy(potential).double())
    return relax_attached(atoms, fmax, steps, cell, optimizer)


def relax_attached(
    atoms: Atoms, fmax: float, steps: int = 1000, cell: bool = False, optimizer: str = "bfgs"
) -> Relaxation:
    """The same in place, with the calculator that the atoms have."""
    if cell and not atoms.pbc.all():
        raise ValueError(
            f"a cell to relax must be periodic in three directions; found pbc = {atoms.pbc.tolist()}."
        )
    if optimizer not in _OPTIMIZERS:
        raise ValueError(f"no optimizer {optimizer!r}.{nearest(optimizer, tuple(_OPTIMIZERS))}")
    energy, volume = atoms.get_potential_energy(), atoms.cell.volume
    free = FrechetCellFilter(atoms) if cell else atoms
    with _OPTIMIZERS[optimizer](free, logfile=None) as search:
        converged = bool(search.run(fmax=fmax, steps=steps))
        taken = search.nsteps
    stress = voigt_6_to_full_3x3_stress(atoms.get_stress()) if cell else None
    found = Relaxation(
        atoms=atoms,
        energies=(energy, atoms.get_potential_energy()),
        volumes=(volume, atoms.cell.volume),
        steps=taken,
        force=float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
        stress=None if stress is None else float(np.abs(stress).max()),
        converged=converged,
    )
    if not converged:
        raise NotRelaxed(found, fmax)
    return found
