"""Hessian, dipole and polarizability derivatives of a potential, all displaced copies in few evaluations."""

import copy
from collections.abc import Iterator

import numpy as np
from ase import Atoms

from equipot.data.collate import batch_of
from equipot.data.conditions import refuse_unseen
from equipot.data.frame import Frame
from equipot.potential import Potential
from equipot.spectra.derivatives import Derivatives, symmetrized


def slopes(
    potential: Potential, atoms: Atoms, step: float = 0.0001, atoms_at_once: int = 2000
) -> Derivatives:
    """Central differences of forces, dipole and polarizability, `step` Å to either side, in float64.

    The step is short since safe norms bend within a thousandth of an ångström. The 6N displaced copies are
    evaluated as batches of about `atoms_at_once` atoms. The Hessian is symmetrized; an asymmetry above 1e-4 of its
    largest element is refused, as it comes from a structure or forces with an error.
    """
    model = copy.deepcopy(potential).double().requires_grad_(False).eval()
    targets = [name for name in ("dipole", "polarizability") if name in model.targets]
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("forces", *targets)}
    refuse_unseen(Frame.from_atoms(atoms), model.conditions_read)
    for frames in _chunks(list(_displaced(atoms, step)), max(1, atoms_at_once // len(atoms))):
        batch = batch_of(frames, model.elements, model.cutoff).to(next(model.parameters()).device)
        out = model(batch, forces=True, targets={"energy", *targets})
        found["forces"].append(out.forces.reshape(len(frames), len(atoms), 3).cpu().numpy())
        for name in targets:
            found[name].append(out.get(name).cpu().numpy())
    values = {name: np.concatenate(parts) for name, parts in found.items()}
    differences = {name: (v[0::2] - v[1::2]) / (2 * step) for name, v in values.items()}
    size, shape = 3 * len(atoms), (len(atoms), 3)
    by_atom = {n: np.moveaxis(d.reshape(*shape, *d.shape[1:]), 1, -1) for n, d in differences.items()}
    return Derivatives(
        hessian=symmetrized(-differences["forces"].reshape(size, size)).reshape(*shape, *shape),
        dipole=by_atom.get("dipole"),
        polarizability=by_atom.get("polarizability"),
    )


def _displaced(atoms: Atoms, step: float) -> Iterator[Frame]:
    moved = atoms.copy()
    for coordinate in range(3 * len(atoms)):
        for sign in (1, -1):
            moved.positions[:] = atoms.positions
            moved.positions.flat[coordinate] += sign * step
            yield Frame.from_atoms(moved, source="displaced", index=coordinate)


def _chunks(frames: list[Frame], size: int) -> Iterator[list[Frame]]:
    for start in range(0, len(frames), size):
        yield frames[start : start + size]
