"""All beads of a ring polymer in one call of the model, and the answers as i-PI wants them.

i-PI speaks atomic units, keeps lattice vectors in columns, and takes the virial −V σ instead of the stress σ.
"""

import json
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from ase import Atoms
from jaxtyping import Float

from equipot import units
from equipot.engines.ase import Calculator
from equipot.engines.replicas import replicated
from equipot.engines.settings import Dynamics
from equipot.potential import Potential

EXTRAS = ("dipole", "polarizability")  # e·Å and Å³, of every bead
Answer = (
    list  # energy (hartree), forces (hartree/bohr), virial (hartree), extras (text), as i-PI unpacks them
)


class Beads:
    """The beads of a ring polymer as independent copies of one system in a calculator.

    Args:
        potential: the model.
        one: a structure with the atoms, the cell and the total charge of every bead.
        beads: how many.
        virial: compute it, where the system is periodic; a constant volume needs none.
    """

    def __init__(self, potential: Potential, one: Atoms, beads: int, virial: bool = False) -> None:
        self.atoms = replicated(one, Dynamics(replicas=beads))
        self.shape = (beads, len(one), 3)
        self.calculator = Calculator(potential, replicas=beads)
        self.virial = virial and bool(one.pbc.all())
        self.calls = 0  # of the model

    def evaluate(
        self, positions: Float[np.ndarray, "beads atoms 3"], also: Collection[str] = ()
    ) -> dict[str, np.ndarray]:
        """`energy` (eV), `forces` (eV/Å), `virial` (eV) where wanted, and what `also` names; beads first."""
        self.atoms.positions[:] = positions.reshape(-1, 3)
        names = {name: self._name(name) for name in ("energy", *also)}
        self.calculator.also = tuple(names.values())  # refuses what the model does not have
        self.calculator.calculate(self.atoms, ["forces", *["virials"] * self.virial])
        self.calls += 1
        results = self.calculator.results
        found = {name: np.asarray(results[full]) for name, full in names.items()}
        if self.shape[0] == 1:
            found = {name: value[None] for name, value in found.items()}
        found["forces"] = results["forces"].reshape(self.shape)
        if self.virial:
            found["virial"] = results["virials"].reshape(*self.shape, 3).sum(1)
        return found

    def _name(self, name: str) -> str:
        return name if self.shape[0] == 1 else f"replica_{name}"


def angstrom(positions: Sequence[np.ndarray]) -> Float[np.ndarray, "beads atoms 3"]:
    """Positions of all beads, from the bohr of i-PI."""
    return np.stack([np.reshape(bead, (-1, 3)) for bead in positions]) * units.bohr


def answers(found: Mapping[str, np.ndarray], extras: Sequence[str] = ()) -> list[Answer]:
    """What `Beads.evaluate` found, bead by bead; `extras` are put into JSON, in the units of equipot."""
    energies = found["energy"] / units.hartree
    forces = found["forces"] * (units.bohr / units.hartree)
    virials = found["virial"] / units.hartree if "virial" in found else np.zeros((len(energies), 3, 3))
    texts = [json.dumps({n: found[n][k].ravel().tolist() for n in extras}) for k in range(len(energies))]
    return [list(row) for row in zip(energies.tolist(), forces, virials, texts, strict=True)]
