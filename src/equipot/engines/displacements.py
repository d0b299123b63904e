"""Hessian, dipole and polarizability derivatives of a potential, all displaced copies in few evaluations."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float

from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.potential import Potential

_ASYMMETRY = 1e-4  # of the largest element


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """Derivatives by the positions r_ib; the index of the property comes first. None: the model has no such target."""

    hessian: Float[np.ndarray, "atoms 3 atoms 3"]  # eV/Å²
    dipole: Float[np.ndarray, "atoms 3 3"] | None = None  # e, ∂μ_a/∂r_ib as [i, a, b]
    polarizability: Float[np.ndarray, "atoms 3 3 3"] | None = None  # Å², ∂α_ab/∂r_ic as [i, a, b, c]


def slopes(potential: Potential, atoms: Atoms, step: float = 0.0005, atoms_at_once: int = 2000) -> Slopes:
    """Central differences of forces, dipole and polarizability, `step` Å to either side, in float64.

    The 6N displaced copies are evaluated as batches of about `atoms_at_once` atoms. The Hessian is symmetrized; an
    asymmetry above 1e-4 of its largest element is refused, as it comes from a structure or forces with an error.
    """
    model = copy.deepcopy(potential).double().requires_grad_(False).eval()
    targets = [name for name in ("dipole", "polarizability") if name in model.targets]
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("forces", *targets)}
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
    return Slopes(
        hessian=_symmetrized(-differences["forces"].reshape(size, size)).reshape(*shape, *shape),
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


def _symmetrized(hessian: np.ndarray) -> np.ndarray:
    largest = np.abs(hessian).max()
    asymmetry = np.abs(hessian - hessian.T).max() / largest if largest > 0 else 0.0
    if not asymmetry <= _ASYMMETRY:
        raise ValueError(
            f"the Hessian is asymmetric: {asymmetry:.1e} of its largest element, expected below {_ASYMMETRY:.0e}."
            " Take a shorter step, and relax the structure first."
        )
    return (hessian + hessian.T) / 2
