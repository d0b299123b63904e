"""A potential as a calculator of ASE, for one structure or for many independent copies at once."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators import calculator as ase_calculator
from ase.calculators.calculator import PropertyNotImplementedError
from ase.outputs import Properties as Outputs
from ase.outputs import all_outputs

from equipot.batch import AtomicBatch
from equipot.config import nearest
from equipot.data.atomic_vectors import vectors_of
from equipot.engines.neighborhood import Neighborhood, state
from equipot.evaluate.cost import bytes_of
from equipot.evaluate.memory import refuse_large
from equipot.potential import Potential, Replayed, frozen
from equipot.properties import Properties

#: what comes with an energy; ASE's name `energies` are the energies of the atoms, `stresses` the stresses
_ENERGY = ("energy", "free_energy", "energies", "forces", "virials", "stresses")
_VOLUME = ("stress", "stresses")  # without a volume they mean nothing
_VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))  # xx, yy, zz, yz, xz, xy


class NotFiniteError(ValueError):
    """A position or a prediction is not a number. Dynamics catches it, to save the frames before it stops."""

    def __init__(self, message: str, atom: int | None) -> None:
        super().__init__(message)
        self.atom = atom


class Calculator(ase_calculator.Calculator):
    """Energy, forces, stress and all other targets of a potential, in ASE's units and signs.

    Computes what is asked and nothing else; `also` names properties that are wanted whenever something is
    computed, so that a dipole costs no second evaluation. The calculator works on its own frozen copy of
    the potential. The total charge is `atoms.info["charge"]`, the multiplicity `atoms.info["spin"]`; covariant inputs
    of the atoms are arrays of their names, such as `atoms.arrays["magnetic_moments"]`, and the velocities those of the
    momenta.

    `stresses` of the atoms are over the volume of the cell and add up to the stress, as those of ASE's Lennard-Jones
    potential do (ASE's ideal-gas part of them is over the volume of an atom instead: leave it out). `virials`, which
    molecules have too, keep the antisymmetric part that a heat flux needs, see `equipot.potential.virials`.

    With `replicas` = R the atoms are R copies of one molecule, block after block, that do not feel each
    other: one batch of R systems, so that R trajectories cost little more than one. Then `energy` is the
    sum, and every property of a system is found under its name with `replica_` before it (`replica_energy`,
    `replica_dipole` ...), replicas first.

    Args:
        potential: the model.
        replicas: number of independent copies in the atoms.
        device: where to compute; where the potential is when None.
        also: properties wanted with every evaluation.
        skin: Å beyond the cutoff; the neighbor list is reused until an atom has moved by half of it.
        record: what an evaluation of a small system does is recorded by the first of its kind and replayed by all that
            follow. False where every structure is of another composition, and computed once.
    """

    def __init__(
        self,
        potential: Potential,
        replicas: int = 1,
        device: torch.device | str | None = None,
        also: Collection[str] = (),
        skin: float = 0.5,
        record: bool = True,
    ) -> None:
        super().__init__()
        self.potential = frozen(potential)
        self.device = next(potential.parameters()).device if device is None else torch.device(device)
        self.potential.to(self.device)
        self.replicas = replicas
        self._replayed = Replayed(self.potential) if record else None
        self._fits = 0  # atoms of the largest structure that was looked at
        declared = potential.config.targets.tensors
        self._per_atom = (
            "energies",
            "forces",
            "charges",
            "born_charges",
            "virials",
            "stresses",
            *(n for n, t in declared.items() if t.per == "atom"),
        )
        self.implemented_properties = self._implemented()
        self.also = also
        self._neighborhood = Neighborhood(
            potential.elements, potential.cutoff, skin, replicas, potential.inputs, potential.conditions_read
        )

    def refuse_large(self, atoms: Atoms) -> None:
        """ValueError when the memory would not suffice for these atoms. Otherwise their first calculation asks."""
        self._refuse_large(self._neighborhood.batch(atoms))

    def _refuse_large(self, batch: AtomicBatch) -> None:
        atoms, edges = batch.num_atoms, len(batch.senders)
        if atoms > self._fits and "energy" in self.implemented_properties:
            needed = partial(bytes_of, self.potential, atoms, max(edges / atoms, 1.0))
            refuse_large(atoms, edges, needed, self.device)
            self._fits = atoms

    @property
    def also(self) -> Collection[str]:
        """Properties computed with every evaluation, asked for or not."""
        return self._also

    @also.setter
    def also(self, names: Collection[str]) -> None:
        for name in names:
            if name not in self.implemented_properties:
                raise ValueError(
                    f"this calculator has no {name!r}.{nearest(name, self.implemented_properties)}"
                )
        self._also = tuple(names)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(ase_calculator.all_changes),
    ) -> None:
        """Evaluate the potential; results of the same atoms are kept."""
        atoms = self.atoms if atoms is None else atoms
        assert atoms is not None
        if system_changes:
            self.results = {}
        self.atoms = atoms.copy()
        _refuse_broken(atoms)
        wanted = {name.removeprefix("replica_") for name in (*properties, *self._also)}
        for name in wanted.intersection(_VOLUME):
            if not atoms.pbc.all():
                raise PropertyNotImplementedError(
                    f"{name} need{'s' * (name == 'stress')} a cell that is periodic in three directions; found pbc ="
                    f" {atoms.pbc.tolist()}."
                )
        batch = self._neighborhood.batch(atoms)
        self._refuse_large(batch)
        targets = {"energy" if name in _ENERGY else name for name in wanted}
        with torch.no_grad():
            replayed = self._replayed
            if replayed is not None and replayed.potential is not self.potential:
                replayed = None  # its recordings are of another one
            found = (replayed or self.potential)(
                batch,
                forces="forces" in wanted,
                stress="stress" in wanted,
                virials=bool(wanted & {"virials", "stresses"}),
                targets=targets,
            )
        self.results.update(self._results(found, atoms))

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """What has changed since the last calculation, down to charge, spin and inputs; any difference counts."""
        old = self.atoms
        if old is None:
            return list(ase_calculator.all_changes)
        pairs = {
            "positions": (old.positions, atoms.positions),
            "numbers": (old.numbers, atoms.numbers),
            "cell": (old.cell.array, atoms.cell.array),
            "pbc": (old.pbc, atoms.pbc),
        }
        if inputs := self._neighborhood.inputs:
            before, now = vectors_of(old), vectors_of(atoms)
            pairs |= {name: (before.get(name), now.get(name)) for name in inputs}
        changes = [name for name, (before, now) in pairs.items() if not np.array_equal(before, now)]
        return changes + ["charge"] * (state(old) != state(atoms))

    def export_properties(self) -> Outputs:
        """The results that ASE has a name for."""
        return Outputs({name: value for name, value in self.results.items() if name in all_outputs})

    def _results(self, found: Properties, atoms: Atoms) -> dict[str, Any]:
        arrays = {name: value.detach().cpu().numpy() for name, value in found.items()}
        if "atomic_energies" in arrays:
            arrays["energies"] = arrays.pop("atomic_energies")
        self._refuse_not_finite(arrays, atoms)
        results: dict[str, Any] = {}
        for name, value in arrays.items():
            if name in self._per_atom:
                results[name] = value
            elif self.replicas > 1:
                results[f"replica_{name}"] = value
            else:
                results[name] = value[0][_VOIGT] if name == "stress" else value[0]
        if "virials" in arrays and atoms.pbc.all():
            results["stresses"] = _stresses(arrays["virials"], atoms.get_volume())
        if "energy" in arrays:
            results["energy"] = results["free_energy"] = float(arrays["energy"].sum())
        return results

    def _implemented(self) -> list[str]:
        """Names of what can be asked for; a stress of independent copies has no meaning."""
        targets = self.potential.targets
        systems = [name for name in targets if name not in self._per_atom]
        names = [name for name in targets if name in self._per_atom]
        if "energy" in systems:
            names += [n for n in (*_ENERGY, "stress") if n not in _VOLUME or self.replicas == 1]
        if self.replicas > 1:
            return names + [f"replica_{name}" for name in systems]
        return names + [name for name in systems if name != "energy"]

    def _refuse_not_finite(self, arrays: dict[str, np.ndarray], atoms: Atoms) -> None:
        for name, value in sorted(arrays.items(), key=lambda item: item[0] not in self._per_atom):
            if np.isfinite(value).all():
                continue
            row = int(np.argwhere(~np.isfinite(value))[0, 0])
            atom = row if name in self._per_atom else None
            where = f"system {row}" if atom is None else f"atom {row} ({atoms.symbols[row]})"
            raise NotFiniteError(f"the model predicts {name} = {value[row].tolist()} for {where}.", atom)


def _stresses(virials: np.ndarray, volume: float) -> np.ndarray:
    """Stress of every atom, symmetric, in ASE's order; over the volume of the cell, so that they add up to its."""
    symmetric = -(virials + virials.transpose(0, 2, 1)) / (2 * volume)
    return symmetric[:, *_VOIGT]


def _refuse_broken(atoms: Atoms) -> None:
    if np.isfinite(atoms.positions).all():
        return
    atom = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
    raise NotFiniteError(f"position of atom {atom} ({atoms.symbols[atom]}): {atoms.positions[atom]}.", atom)
