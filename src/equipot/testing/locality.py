"""What a finite range implies: smoothness at the cutoff, additivity, equivalence of cells."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from ase import Atoms
from ase.data import covalent_radii

from equipot.data.frame import Frame
from equipot.potential import Potential
from equipot.properties import Properties, from_items
from equipot.testing.compare import Residuals, compare
from equipot.testing.evaluation import (
    as_frame,
    declared_charge,
    energies,
    map_atoms,
    per_atom,
    predict,
    usual_state,
)
from equipot.testing.systems import one_atom, random_vectors

_INTENSIVE = ("stress",)


def cutoff_jump(potential: Potential, step: float = 1e-5, max_pairs: int = 10) -> Residuals:
    """Jump of every property as an atom leaves the range of a bonded pair; of forces: of the slope of energy.

    Both sides are extrapolated linearly to the cutoff from `step` and twice that (Å), so that what a smooth
    function leaves is step² times its curvature, 1e-10.
    """
    pairs = [(a, b) for a in potential.elements for b in potential.elements][:max_pairs]
    distances = [potential.cutoff + k * step for k in (-2, -1, 1, 2)]
    found = predict(potential, *(_leaving_atom(potential, a, b, r) for a, b in pairs for r in distances))
    sides = {n: v.unflatten(0, (len(pairs), len(distances), -1)).unbind(1) for n, v in found.items()}
    before = from_items({n: (2 * near - far).flatten(0, 1) for n, (far, near, _, _) in sides.items()})
    after = from_items({n: (2 * near - far).flatten(0, 1) for n, (_, _, near, far) in sides.items()})
    return compare(potential, after, before)


def fragments_add(potential: Potential, a: Frame | Atoms, b: Frame | Atoms) -> Residuals:
    """Two molecules out of each other's range against each alone.

    Charges, and what is built on them or on the centre of mass, do not add: the total charge is shared by all
    atoms. Nor does anything of a model that reads the charge or the multiplicity, unless these are the same of the
    whole and of both parts: then there is nothing to compare.
    """
    first, second = as_frame(a), as_frame(b)
    if first.pbc.any() or second.pbc.any():
        raise ValueError("fragments are molecules; compare a periodic system with its supercell instead.")
    gap = first.positions[:, 0].max() - second.positions[:, 0].min() + 1.1 * potential.cutoff
    moved = second.positions + np.array([gap, 0.0, 0.0])
    both = replace(
        first,
        numbers=np.concatenate([first.numbers, second.numbers]),
        positions=np.concatenate([first.positions, moved]),
        charge=_sum_of_charges(potential, first, second),
        vectors={
            n: np.concatenate([v, second.vectors[n]]) for n, v in first.vectors.items() if n in second.vectors
        },
    )
    if any(len({getattr(f, n) for f in (first, second, both)}) > 1 for n in potential.conditions_read):
        return {}
    alone = [dict(_additive(potential, predict(potential, f)).items()) for f in (first, second)]
    rows = per_atom(potential)
    expected = {n: torch.cat([v, alone[1][n]]) if n in rows else v + alone[1][n] for n, v in alone[0].items()}
    return compare(potential, _additive(potential, predict(potential, both)), from_items(expected))


def isolated_atoms(potential: Potential) -> Residuals:
    """Largest force on an atom alone, of each element, relative; infinity where anything is not finite."""
    out: Residuals = {}
    for number in potential.elements:
        found = predict(potential, one_atom(number, **usual_state(potential)))
        finite = all(bool(torch.isfinite(v).all()) for _, v in found.items())
        force = 0.0 if found.forces is None else float(found.forces.abs().max())
        out[str(number)] = force / potential.statistics.energy_scale if finite else math.inf
    return out


def isolated_energies(potential: Potential) -> dict[int, float]:
    """Energy of an atom alone above its reference energy, eV, of each element; empty without an energy.

    It is the mean cohesion and what the network makes of an element without neighbors: training on molecules binds
    neither to zero.
    """
    atoms = [one_atom(number, **usual_state(potential)) for number in potential.elements]
    if "energy" not in potential.targets:
        return {}
    above = energies(potential, atoms) + potential.statistics.energy_shift
    return dict(zip(potential.elements, above.tolist(), strict=True))


def supercell(
    potential: Potential, structure: Frame | Atoms, repeats: tuple[int, int, int] = (2, 2, 2)
) -> Residuals:
    """A cell, however thin, against its supercell: the same atoms, the same properties.

    There is nothing to compare where a model reads the total charge and the cell has one.
    """
    frame = as_frame(structure)
    counts = np.where(frame.pbc, repeats, 1)
    shifts = np.argwhere(np.ones(counts)) @ frame.cell
    copies = len(shifts)
    large = replace(
        frame,
        numbers=np.tile(frame.numbers, copies),
        positions=(frame.positions[None] + shifts[:, None]).reshape(-1, 3),
        cell=frame.cell * counts[:, None],
        charge=None if frame.charge is None else frame.charge * copies,
        vectors={name: np.tile(v, (copies, 1)) for name, v in frame.vectors.items()},
    )
    if "charge" in potential.conditions_read and large.charge != frame.charge:
        return {}
    small, rows = predict(potential, frame), per_atom(potential)
    expected = {n: v if n in rows or n in _INTENSIVE else copies * v for n, v in small.items()}
    tiled = map_atoms(potential, from_items(expected), lambda v: v.repeat(copies, *[1] * (v.dim() - 1)))
    return compare(potential, predict(potential, large), tiled)


def handedness(potential: Potential, structure: Frame | Atoms) -> Residuals:
    """The same crystal with two cell vectors exchanged: a left-handed cell is as good."""
    frame = as_frame(structure)
    order = [1, 0, 2]
    exchanged = replace(frame, cell=frame.cell[order], pbc=frame.pbc[order])
    return compare(potential, predict(potential, exchanged), predict(potential, frame))


def _leaving_atom(potential: Potential, center: int, leaving: int, distance: float) -> Frame:
    bond = 1.1 * (covalent_radii[center] + covalent_radii[leaving])
    bonded = bond * np.array([-0.6, 0.8, 0.0])  # on the far side: only the centre sees the atom leave
    return replace(
        one_atom(center, **usual_state(potential)),
        numbers=np.array([center, leaving, leaving]),
        positions=np.array([[0.0, 0.0, 0.0], bonded, [distance, 0.0, 0.0]]),
        vectors=random_vectors(3),
    )


def _additive(potential: Potential, properties: Properties) -> Properties:
    targets, left_out = potential.config.targets, {"charges", "born_charges"}  # shifted as a whole
    if targets.dipole is not None and targets.dipole.form != "atomic":
        left_out.add("dipole")
    if targets.polarizability is not None and targets.polarizability.form == "positions":
        left_out.add("polarizability")
    return from_items({n: v for n, v in properties.items() if n not in left_out})


def _sum_of_charges(potential: Potential, *frames: Frame) -> float | None:
    if potential.config.targets.total_charge != "frame":
        return declared_charge(potential)
    charges: Sequence[float] = [f.charge for f in frames if f.charge is not None]
    return sum(charges) if len(charges) == len(frames) else None
