"""A model file as a driver of i-PI, for whoever runs i-PI by itself; only i-PI imports this file.

<ffdirect> evaluates all beads of a step in one call of the model when its batch_size is their number. The same class
serves `i-pi-py_driver -m custom -P driver.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ipi.pes.dummy import Dummy_driver

from equipot import units
from equipot.deploy.model_file import load
from equipot.engines.ipi.beads import EXTRAS, Answer, Beads, angstrom, answers
from equipot.engines.ipi.inputs import cell

__DRIVER_NAME__ = "equipot"
__DRIVER_CLASS__ = "Driver"


class Driver(Dummy_driver):
    """Energy, forces, virial, dipole and polarizability of structures with the atoms of one file.

    Args:
        model: a file NAME.equipot.
        structure: a file whose last frame has the atoms, in order, the cell and the total charge.
    """

    def __init__(self, model: str, structure: str, verbose: bool = False, **others: Any) -> None:
        super().__init__(verbose, **others)
        self.potential, _ = load(model)
        one = ase.io.read(Path(structure), index=-1)
        assert isinstance(one, Atoms)
        self.one, self.cell = one, cell(one)
        self.extras = [name for name in EXTRAS if name in self.potential.targets]
        self._beads: dict[int, Beads] = {}  # by how many come together

    def compute(self, cell: Any, pos: Any) -> Answer | list[Answer]:
        """One structure, or a list of them as one batch."""
        if isinstance(pos, list):
            return self._batch(cell, pos)
        return self._batch([cell], [pos])[0]

    def _batch(self, cells: Sequence[np.ndarray], positions: Sequence[np.ndarray]) -> list[Answer]:
        number = len(positions)
        if number not in self._beads:
            self._beads[number] = Beads(self.potential, self.one, number, virial=True)
        beads = self._beads[number]
        self._set_cell(beads, np.asarray(cells[0]).T * units.bohr)
        return answers(beads.evaluate(angstrom(positions), self.extras), self.extras)

    def _set_cell(self, beads: Beads, wanted: np.ndarray) -> None:
        """Follow a cell that i-PI changes. Where it stays, the cell of the file counts, however it is turned."""
        if not self.one.pbc.any() or np.allclose(wanted, self.cell, rtol=1e-6):
            return
        if not np.allclose(self.one.cell.array, self.cell):
            raise ValueError(
                "i-PI changes the cell, and that of the structure is not lower triangular (a along x, b in xy), as"
                " i-PI needs it. Turn it: atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)."
            )
        beads.atoms.set_cell(wanted)
