"""A potential as a force of OpenMM: energies and forces computed in Python at every step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import openmm
import torch
from ase import Atoms
from openmm import app

from equipot.engines.ase import Calculator
from equipot.potential import Potential
from equipot.units import factor

ANGSTROM = 1 / factor("length", "nm")  # nm
KJ_MOL = 1 / factor("energy", "kJ/mol")  # kJ/mol in an eV, by CODATA 2018 as OpenMM has it


class Evaluation:
    """What OpenMM calls with its particles: energy in kJ/mol and forces in kJ/mol/nm.

    Args:
        calculator: of the potential.
        atoms: the particles, in their order; their cell stays unless `boxed`.
        boxed: the cell is the periodic box of OpenMM.
        energy_unit: the unit of OpenMM in an eV.
    """

    def __init__(
        self, calculator: Calculator, atoms: Atoms, *, boxed: bool, energy_unit: float = KJ_MOL
    ) -> None:
        self.calculator, self.atoms, self.boxed = calculator, atoms.copy(), boxed
        self.energy_unit = energy_unit

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        """Raises ValueError, which OpenMM hands on as its own exception and stops."""
        self.atoms.positions[:] = np.asarray(plain(state.getPositions(asNumpy=True))) / ANGSTROM
        if self.boxed:
            self.atoms.set_cell(np.asarray(plain(state.getPeriodicBoxVectors(asNumpy=True))) / ANGSTROM)
        self.calculator.calculate(self.atoms, ("energy", "forces"))
        found = self.calculator.results
        return found["energy"] * self.energy_unit, found["forces"] * (self.energy_unit * ANGSTROM**-1)


def force(
    potential: Potential,
    structure: Atoms | app.Topology,
    *,
    particles: Sequence[int] | None = None,
    periodic: bool | None = None,
    charge: float | None = None,
    spin: float | None = None,
    device: torch.device | str | None = None,
) -> openmm.PythonForce:
    """The potential as a force to add to an OpenMM `System`.

    Args:
        potential: the model; the force works on a frozen copy.
        structure: a topology of the whole system, or the atoms of the potential alone. Of these OpenMM needs the
            elements and the periodicity only; a slab or a wire keeps the cell given here.
        particles: indices of the atoms that the potential describes, as if they were alone; all when None.
        periodic: take the periodic box of OpenMM as the cell; when None, if the structure is periodic in three
            directions.
        charge: total charge of the atoms described, e, for a model that reads it.
        spin: their multiplicity, likewise.
        device: where to compute; where the potential is when None.

    Raises ValueError for a particle without an element and for a model that reads velocities.
    """
    if "velocities" in potential.inputs:
        raise ValueError(
            "this model reads velocities, which OpenMM does not give to a force. Use the engine ase."
        )
    atoms = structure.copy() if isinstance(structure, Atoms) else atoms_of(structure, particles)
    if particles is not None and len(particles) != len(atoms):
        raise ValueError(
            f"{len(particles)} particles and {len(atoms)} atoms: give the atoms of the particles."
        )
    atoms.info |= {n: v for n, v in (("charge", charge), ("spin", spin)) if v is not None}
    boxed = bool(atoms.pbc.all()) if periodic is None else periodic
    if periodic is not None:
        atoms.pbc = periodic or (atoms.pbc & ~atoms.pbc.all())
    out = openmm.PythonForce(Evaluation(Calculator(potential, device=device), atoms, boxed=boxed))
    out.setName("equipot")
    out.setUsesPeriodicBoundaryConditions(boxed)
    if particles is not None:
        out.setParticles(list(particles))
    return out


def atoms_of(topology: app.Topology, particles: Sequence[int] | None = None) -> Atoms:
    """Elements of a topology, or of some of its particles; positions come with every state."""
    everyone = list(topology.atoms())
    chosen = everyone if particles is None else [everyone[i] for i in particles]
    for atom in chosen:
        if atom.element is None:
            raise ValueError(
                f"particle {atom.index} ({atom.name}) has no element, such as a virtual site: a model cannot describe"
                " it. Leave it out of `particles`, or use a water model without such sites."
            )
    box: Any = topology.getPeriodicBoxVectors()
    cell = None if box is None else np.array([list(plain(vector)) for vector in box]) / ANGSTROM
    return Atoms(numbers=[atom.element.atomic_number for atom in chosen], cell=cell, pbc=cell is not None)


def plain(quantity: Any) -> Any:
    """The number in OpenMM's own units: nm, ps, kJ/mol."""
    return quantity.value_in_unit_system(openmm.unit.md_unit_system)
