"""From frames to the batch that a model sees and the labels that a loss sees."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import Tensor

from equipot.batch import ATOMIC_VECTORS, AtomicBatch
from equipot.data.frame import Frame
from equipot.data.neighbors import neighbor_list
from equipot.properties import Properties, from_items

#: shape of a label per atom (None) or per system, so that a missing one can be filled with NaN
_PER_ATOM = {"forces": (3,), "charges": (), "born_charges": (3, 3), "atomic_energies": ()}
_PER_SYSTEM = {"energy": (), "stress": (3, 3), "dipole": (3,), "polarizability": (3, 3)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A frame with its neighbors, as tensors made once; a batch is their concatenation."""

    frame: Frame
    cutoff: float  # Å
    numbers: Tensor
    positions: Tensor
    cell: Tensor
    pbc: Tensor
    senders: Tensor
    receivers: Tensor
    shifts: Tensor
    row_pointer: Tensor
    reverse: Tensor
    vectors: dict[str, Tensor]
    labels: dict[str, Tensor]

    @property
    def num_atoms(self) -> int:
        """Number of atoms."""
        return self.numbers.shape[0]

    @property
    def num_edges(self) -> int:
        """Number of directed neighbor pairs."""
        return self.senders.shape[0]


def graph(frame: Frame, cutoff: float) -> Graph:
    """Search the neighbors of a frame."""
    try:
        found = neighbor_list(frame.positions, frame.cell, frame.pbc, cutoff)
    except ValueError as error:
        raise ValueError(f"{frame.where}: {error}") from None
    return Graph(
        frame=frame,
        cutoff=cutoff,
        numbers=torch.from_numpy(np.array(frame.numbers, dtype=np.int64)),
        positions=torch.from_numpy(np.array(frame.positions, dtype=np.float64)),
        cell=torch.from_numpy(np.array(frame.cell, dtype=np.float64))[None],
        pbc=torch.from_numpy(np.array(frame.pbc, dtype=bool))[None],
        senders=torch.from_numpy(found.senders),
        receivers=torch.from_numpy(found.receivers),
        shifts=torch.from_numpy(found.shifts),
        row_pointer=torch.from_numpy(found.row_pointer),
        reverse=torch.from_numpy(found.reverse),
        vectors={n: torch.from_numpy(np.array(v, dtype=np.float64)) for n, v in frame.vectors.items()},
        labels={n: torch.from_numpy(np.array(v, dtype=np.float64)) for n, v in frame.labels.items()},
    )


def collate(graphs: Sequence[Graph], elements: Sequence[int]) -> AtomicBatch:
    """Concatenate graphs into one batch; `elements` are the atomic numbers that the model knows.

    Total charge, multiplicity and covariant inputs of the atoms are set when every frame has them, otherwise absent.
    """
    if not graphs:
        raise ValueError("a batch needs at least one structure.")
    atoms = torch.tensor([g.num_atoms for g in graphs])
    edges = torch.tensor([g.num_edges for g in graphs])
    atom_offset, edge_offset = _offsets(atoms), _offsets(edges)
    per_edge = torch.repeat_interleave(atom_offset, edges)
    rows = torch.cat([g.row_pointer[1:] for g in graphs]) + torch.repeat_interleave(edge_offset, atoms)
    return AtomicBatch(
        positions=torch.cat([g.positions for g in graphs]),
        species=_species(graphs, tuple(elements)),
        system=torch.repeat_interleave(torch.arange(len(graphs)), atoms),
        cell=torch.cat([g.cell for g in graphs]),
        pbc=torch.cat([g.pbc for g in graphs]),
        senders=torch.cat([g.senders for g in graphs]) + per_edge,
        receivers=torch.cat([g.receivers for g in graphs]) + per_edge,
        shifts=torch.cat([g.shifts for g in graphs]),
        row_pointer=torch.cat([rows.new_zeros(1), rows]),
        reverse=torch.cat([g.reverse for g in graphs]) + torch.repeat_interleave(edge_offset, edges),
        charge=_common([g.frame.charge for g in graphs]),
        spin=_common([g.frame.spin for g in graphs]),
        **_vectors(graphs),
    )


def collate_labels(graphs: Sequence[Graph], names: Sequence[str]) -> Properties:
    """Labels of a batch in the order of its systems and atoms; NaN where a frame does not carry one.

    A declared tensor that no graph of the batch carries is absent, since its shape is unknown.
    """
    columns = {name: _column(graphs, name) for name in names}
    return from_items({name: column for name, column in columns.items() if column is not None})


def batch_of(frames: Sequence[Frame], elements: Sequence[int], cutoff: float) -> AtomicBatch:
    """Frames to a batch in one step, for evaluation and dynamics."""
    return collate([graph(frame, cutoff) for frame in frames], elements)


def _common(values: Sequence[float | None]) -> Tensor | None:
    known = [value for value in values if value is not None]
    return torch.tensor(known, dtype=torch.float64) if len(known) == len(values) else None


def _vectors(graphs: Sequence[Graph]) -> dict[str, Any]:
    common = [name for name in ATOMIC_VECTORS if all(name in g.vectors for g in graphs)]
    return {name: torch.cat([g.vectors[name] for g in graphs]) for name in common}


def _offsets(counts: Tensor) -> Tensor:
    return torch.cumsum(counts, 0) - counts


@lru_cache(maxsize=32)
def _species_table(elements: tuple[int, ...]) -> Tensor:
    """Atomic number -> index into `elements`, −1 where unknown."""
    table = torch.full((len(chemical_symbols),), -1, dtype=torch.int64)
    table[torch.tensor(elements, dtype=torch.int64)] = torch.arange(len(elements))
    return table


def _species(graphs: Sequence[Graph], elements: tuple[int, ...]) -> Tensor:
    species = _species_table(elements)[torch.cat([g.numbers for g in graphs])]
    if bool((species < 0).any()):
        for g in graphs:
            refuse_unknown(g.frame, elements)
    return species


def refuse_unknown(frame: Frame, elements: Sequence[int]) -> None:
    """Raise ValueError when a frame has an element that a model was not trained on."""
    unknown = sorted(set(frame.numbers.tolist()) - set(elements))
    if not unknown:
        return
    names = ", ".join(f"{chemical_symbols[z]} ({z})" for z in unknown)
    atoms = np.flatnonzero(np.isin(frame.numbers, unknown))
    shown = ", ".join(map(str, atoms[:5])) + (f" and {len(atoms) - 5} more" if len(atoms) > 5 else "")
    known = ", ".join(chemical_symbols[z] for z in elements)
    raise ValueError(
        f"{frame.where}: no parameters for {names}, atom {shown}.\n"
        f"This model knows {known}. Train with {chemical_symbols[unknown[0]]}, or drop the frame."
    )


def refuse_incomplete(frame: Frame, inputs: Sequence[str]) -> None:
    """Raise ValueError when a frame lacks a covariant input that a model reads."""
    missing = [name for name in inputs if name not in frame.vectors]
    if missing:
        found = ", ".join(frame.vectors) or "none"
        raise ValueError(
            f"{frame.where}: no {missing[0]} of its atoms, which the model reads; inputs found: {found}.\n"
            f"Name the array that holds them by data.keys.{missing[0]}=NAME, or leave {missing[0]} out of model.inputs."
        )


def _column(graphs: Sequence[Graph], name: str) -> Tensor | None:
    carriers = [g for g in graphs if name in g.labels]
    if name in _PER_ATOM:
        per_atom, rest = True, _PER_ATOM[name]
    elif name in _PER_SYSTEM:
        per_atom, rest = False, _PER_SYSTEM[name]
    elif not carriers:
        return None
    else:  # a declared tensor keeps its first axis: one row per atom, or a single one
        per_atom = all(g.labels[name].shape[0] == g.num_atoms for g in carriers)
        rest = tuple(carriers[0].labels[name].shape[1:])
    return torch.cat([_part(g, name, (g.num_atoms if per_atom else 1, *rest)) for g in graphs])


def _part(g: Graph, name: str, shape: tuple[int, ...]) -> Tensor:
    label = g.labels.get(name)
    if label is None:
        return torch.full(shape, torch.nan, dtype=torch.float64)
    if label.numel() != math.prod(shape):
        raise ValueError(f"{g.frame.where}: {name} has shape {tuple(label.shape)}, expected {shape}.")
    return label.reshape(shape)
