"""Structures and models that LAMMPS and ASE must agree on, on any number of ranks.

    mpirun -n 2 python cases.py pair_style

prints the largest deviations of every case as JSON, from the first rank.
"""

import json
import sys

import ase.units
import numpy as np
import torch
from ase import Atoms
from ase.md.verlet import VelocityVerlet

from equipot.config import parse
from equipot.engines.ase import Calculator
from equipot.engines.lammps.couplings import FixExternal, PairStyle
from equipot.engines.lammps.simulation import Simulation
from equipot.engines.settings import Dynamics
from equipot.potential import Potential, PotentialConfig
from equipot.testing import crystal, molecule, random_potential, slab, thin_cell

ELEMENTS = (1, 6, 8)
ALL = ("schnet", "painn", "nequip", "allegro", "mace", "ictp", "tensornet", "segnn")
NVE = Dynamics(engine="lammps", dt=0.25, time=0.001, equilibration=0.0)


def potential(name, channels=8, dtype=torch.float64, **model) -> Potential:
    values = {"name": name, "channels": channels, "num_layers": 2, "cutoff": 3.0, **model}
    values |= {"l_max": 1} if name in ("nequip", "allegro", "mace", "ictp") else {}
    return random_potential(parse(PotentialConfig, {"model": values}, "test"), ELEMENTS, dtype=dtype)


def atoms_of(frame) -> Atoms:
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    atoms.set_velocities(0.01 * np.random.default_rng(0).normal(size=atoms.positions.shape))
    return atoms


def left_handed() -> Atoms:
    atoms = atoms_of(crystal(ELEMENTS, (3, 2, 2)))
    atoms.set_cell(atoms.cell.array * [[1], [-1], [1]])
    atoms.positions += atoms.cell.array[0] * np.arange(len(atoms))[:, None]  # outside of the cell
    return atoms


def one_sided() -> Atoms:
    """Four atoms in a corner of a large cell: of two ranks one owns none."""
    atoms = atoms_of(molecule(ELEMENTS, 4))
    atoms.set_cell([40.0, 20.0, 20.0])
    atoms.pbc = True
    atoms.positions += 3.0 - atoms.positions.min(0)
    return atoms


STRUCTURES = {
    "triclinic": lambda: atoms_of(crystal(ELEMENTS, (3, 3, 2))),
    "left-handed": left_handed,
    "slab": lambda: atoms_of(slab(ELEMENTS)),
    "molecule": lambda: atoms_of(molecule(ELEMENTS)),
    "thin cell": lambda: atoms_of(thin_cell(ELEMENTS)),
    "one-sided": one_sided,
}


def coupled(how: str, model: Potential) -> PairStyle | FixExternal:
    return {"pair_style": PairStyle, "fix_external": FixExternal}[how](model)


def deviations(how: str, model: Potential, atoms: Atoms) -> dict[str, float]:
    """LAMMPS less ASE: at the start, and after steps of velocity Verlet."""
    simulation = Simulation(model, atoms, NVE, by=coupled(how, model))
    start = simulation.begin(NVE.phases()[-1], atoms, {"begun": 0, "transferred": 0.0})
    simulation.advance(3)
    end = simulation.state()
    simulation.close()
    expected = atoms.copy()
    expected.calc = Calculator(model)
    out = {
        "energy": start.energy - expected.get_potential_energy(),
        "forces": np.abs(start.forces - expected.get_forces()).max(),
        "start": np.abs(start.positions - atoms.positions).max(),
        "stress": 0.0
        if start.stress is None
        else np.abs(start.stress - expected.get_stress(voigt=False)).max(),
        "cell": np.abs(start.cell - atoms.cell.array)[atoms.pbc].max(initial=0.0),
    }
    VelocityVerlet(expected, NVE.dt * ase.units.fs).run(3)
    out["positions"] = np.abs(end.positions - expected.positions).max()
    out["momenta"] = np.abs(end.momenta - expected.get_momenta()).max()
    return {name: float(abs(value)) for name, value in out.items()}


def main(how: str, names: list[str]) -> None:
    from mpi4py import MPI

    torch.set_num_threads(1)
    models = {name: potential(name) for name in names}
    found = {f"{n}, {s}": deviations(how, m, STRUCTURES[s]()) for n, m in models.items() for s in STRUCTURES}
    if MPI.COMM_WORLD.rank == 0:
        print("FOUND", json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(","))
