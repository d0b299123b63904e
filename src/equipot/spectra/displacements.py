"""Hessian, dipole and polarizability derivatives of a potential, all displaced copies in few evaluations."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float

from equipot.data.collate import batch_of
from equipot.data.conditions import refuse_unseen
from equipot.data.frame import Frame
from equipot.potential import Potential, sum_rule_violation
from equipot.spectra.derivatives import Derivatives, symmetrized
from equipot.spectra.harmonic import Harmonic, harmonic
from equipot.spectra.sum_rules import enforced, violations


def slopes(
    potential: Potential, atoms: Atoms, step: float = 0.0001, atoms_at_once: int = 2000
) -> Derivatives:
    """Central differences of forces, dipole and polarizability, `step` Å to either side, in float64.

    Born charges that the model has learned are taken as they are.

    The step is short since safe norms bend within a thousandth of an ångström. The 6N displaced copies are
    evaluated as batches of about `atoms_at_once` atoms. The Hessian is symmetrized; an asymmetry above 1e-4 of its
    largest element is refused, as it comes from a structure or forces with an error.
    """
    model = copy.deepcopy(potential).double().requires_grad_(False).eval()
    targets = _targets(model)
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
    charges, static = _here(model, atoms)
    by_atom = {n: np.moveaxis(d.reshape(*shape, *d.shape[1:]), 1, -1) for n, d in differences.items()}
    return Derivatives(
        hessian=symmetrized(-differences["forces"].reshape(size, size)).reshape(*shape, *shape),
        dipole=by_atom.get("dipole", charges),
        polarizability=by_atom.get("polarizability"),
        static=static,
    )


def modes_of(
    potential: Potential, minimum: Atoms, masses: Float[np.ndarray, " atoms"], source: str = ""
) -> Harmonic:
    """Normal modes of a relaxed structure; of a periodic one with the sum rules enforced, and how much was missed."""
    derivatives, violation = slopes(potential, minimum), (None, None)
    if minimum.pbc.any():
        charge = float(minimum.info.get("charge", 0.0))
        forces, charges = violations(derivatives, charge)
        violation = forces, _learned_violation(potential, minimum, charges)
        derivatives = enforced(derivatives, charge)
    found = harmonic(
        derivatives,
        minimum.numbers.astype(np.int64),
        minimum.positions,
        masses,
        rotations=not minimum.pbc.any(),
        source=source,
        cell=minimum.cell.array.copy() if minimum.pbc.all() else None,
    )
    return replace(found, hessian_violation=violation[0], charge_violation=violation[1])


def _learned_violation(potential: Potential, atoms: Atoms, found: float | None) -> float | None:
    """That of the head before it keeps the rule; else what was found of differences."""
    if "born_charges" not in potential.targets:
        return found
    batch = batch_of([Frame.from_atoms(atoms)], potential.elements, potential.cutoff)
    return float(sum_rule_violation(potential, batch).abs().max())


def _targets(model: Potential) -> list[str]:
    """What is differenced: not a dipole whose derivative the model has learned."""
    wanted = ("polarizability",) if "born_charges" in model.targets else ("dipole", "polarizability")
    return [name for name in wanted if name in model.targets]


def _here(model: Potential, atoms: Atoms) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Born charges and polarizability of the structure itself, of a model that has them as targets."""
    names = [name for name in ("born_charges", "polarizability") if name in model.targets]
    if not names:
        return None, None
    batch = batch_of([Frame.from_atoms(atoms)], model.elements, model.cutoff)
    with torch.no_grad():
        out = model(batch.to(next(model.parameters()).device), targets=names)
    charges, alpha = out.born_charges, out.polarizability
    return (
        None if charges is None else charges.double().cpu().numpy(),
        None if alpha is None else alpha[0].double().cpu().numpy(),
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
