"""The crystal at its minimum, where phonons are defined."""

import numpy as np
from ase import Atoms

from equipot.engines.relax import relax_attached
from equipot.spectra.phonons.calculation import check_crystal

FORCE = 1e-4  # eV/Å
_SYMMETRY = 1e-4  # Å, within which a structure has a symmetry operation


def to_minimum(atoms: Atoms, relax: bool = True, cell: bool = True) -> str:
    """Relax in place with the symmetry kept, and say what was done; without `relax` say how large the forces are."""
    check_crystal(atoms)
    if atoms.constraints:
        raise ValueError(
            "phonons of a structure with constraints: they would move atoms that are fixed. Remove the constraints;"
            " what is relaxed keeps its symmetry anyway."
        )
    if not relax:
        left = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
        return f"not relaxed, as asked: the largest force is {left:.2g} eV/Å"
    atoms.set_constraint(_symmetry(atoms))
    try:
        found = relax_attached(atoms, FORCE, cell=cell)
    finally:
        atoms.set_constraint()
    return f"relaxed {'atoms and cell' if cell else 'atoms'} with the symmetry kept: {found.words()}"


def _symmetry(atoms: Atoms) -> object:
    """ASE's constraint, which needs spglib; phonopy brings it along."""
    try:
        from ase.constraints import FixSymmetry

        return FixSymmetry(atoms, symprec=_SYMMETRY)
    except ImportError:
        raise ValueError("phonons need the package phonopy: pip install 'equipot[phonons]'.") from None
