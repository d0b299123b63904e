"""Atomistic systems as tensors.

Axes, everywhere in the package:

    atoms    atoms of all systems, concatenated
    edges    directed neighbour pairs, all systems concatenated, sorted by receiver
    systems  the batch; a single structure is a batch of one

Units: Å, eV, amu, e, fs. Cell vectors are rows. Geometry is float64, whatever the precision
of the model: differences of positions are taken before anything is rounded.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Condition = Literal["charge", "spin"]
CONDITION_WORDS: Mapping[str, str] = MappingProxyType({"charge": "total charge", "spin": "multiplicity"})
AtomicVector = Literal["velocities", "external_forces", "magnetic_moments"]
ATOMIC_VECTORS: tuple[AtomicVector, ...] = get_args(AtomicVector)
#: axial vectors are even under inversion, the others odd
AXIAL: frozenset[AtomicVector] = frozenset({"magnetic_moments"})


_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


@contextmanager
def hidden() -> Iterator[None]:
    """While this is open no number is `readable`, since what is computed will be computed again with others."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


def readable(values: Tensor) -> bool:
    """Whether numbers can be looked at, to refuse them: not while a program is traced or recorded."""
    if (
        _hidden.get()
        or torch.compiler.is_compiling()
        or type(values.detach()) is not Tensor
        or values.is_meta
    ):
        return False
    return not (values.is_cuda and torch.cuda.is_current_stream_capturing())


@runtime_checkable
class Halo(Protocol):
    """Copies of atoms that other processes own, or of images: neighbors of the atoms of a batch, and no centers."""

    @property
    def species(self) -> Int[Tensor, " copies"]:
        """Index into the model's element list."""
        ...

    def fill(self, values: Float[Tensor, "atoms *rest"]) -> Float[Tensor, "senders *rest"]:
        """The values of the atoms, and behind them those that the owners of the copies have; differentiable.

        Every process must call this the same number of times, whether it owns atoms or not.
        """
        ...

    def to(self, device: torch.device | str) -> "Halo":
        """The halo on another device."""
        ...


@dataclass(frozen=True, kw_only=True)
class AtomicBatch:
    """What a model may see. Labels live in `Properties`, never here.

    With a halo the batch is the part of a system that one process owns. `senders` count the copies behind the atoms,
    and edges from a copy have no mirror image here (`reverse` is −1), so that energies have first derivatives only.
    """

    positions: Float[Tensor, "atoms 3"]
    species: Int[Tensor, " atoms"]  # index into the model's element list
    system: Int[Tensor, " atoms"]  # which system an atom belongs to, sorted
    cell: Float[Tensor, "systems 3 3"]
    pbc: Bool[Tensor, "systems 3"]
    senders: Int[Tensor, " edges"]  # neighbour j
    receivers: Int[Tensor, " edges"]  # centre i, sorted
    shifts: Int[Tensor, "edges 3"]  # lattice translations of j
    row_pointer: Int[Tensor, " rows"]  # edges of atom i: row_pointer[i] ... row_pointer[i+1]
    reverse: Int[Tensor, " edges"]  # index of the mirrored edge (j <- i, −shift)
    edge_vectors: Float[Tensor, "edges 3"] | None = None  # r_ij, where they are computed already
    charge: Float[Tensor, " systems"] | None = None  # total charge, e
    spin: Float[Tensor, " systems"] | None = None  # multiplicity 2S + 1
    velocities: Float[Tensor, "atoms 3"] | None = None  # Å/fs
    external_forces: Float[Tensor, "atoms 3"] | None = (
        None  # eV/Å, applied to the atoms: an input, not a label
    )
    magnetic_moments: Float[Tensor, "atoms 3"] | None = None  # μ_B; or spins
    halo: Halo | None = None

    @property
    def num_atoms(self) -> int:
        """Atoms of all systems."""
        return self.positions.shape[0]

    @property
    def num_systems(self) -> int:
        """Systems in the batch."""
        return self.cell.shape[0]

    def vectors(self) -> Float[Tensor, "edges 3"]:
        """r_ij = r_j + shift · cell − r_i, from centre to neighbour, in Å."""
        if self.edge_vectors is not None:
            return self.edge_vectors
        cells = self.cell.index_select(0, self.system.index_select(0, self.receivers))
        offset = (self.shifts.to(self.cell.dtype)[:, :, None] * cells).sum(1)
        neighbor = self.positions.index_select(0, self.senders)
        return neighbor + offset - self.positions.index_select(0, self.receivers)

    def of_senders(self, values: Float[Tensor, "atoms *rest"]) -> Float[Tensor, "senders *rest"]:
        """Values of the atoms in the rows that `senders` count: what an operation on edges must gather from."""
        return values if self.halo is None else self.halo.fill(values)

    def all_of_senders(self, values: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        """The same for several at once, whose exchange is one; None stays."""
        if self.halo is None:
            return tuple(values)
        there = [t for t in values if t is not None]
        filled = self.of_senders(
            torch.cat([t.reshape(t.shape[0], math.prod(t.shape[1:])) for t in there], dim=1)
        )
        parts = iter(filled.split([math.prod(t.shape[1:]) for t in there], dim=1))
        return tuple(None if t is None else next(parts).reshape(-1, *t.shape[1:]) for t in values)

    def species_of_senders(self) -> Int[Tensor, " edges"]:
        """The element of the neighbor of every edge."""
        species = self.species if self.halo is None else torch.cat([self.species, self.halo.species])
        return species[self.senders]

    def condition(self, name: Condition) -> Float[Tensor, " systems"]:
        """Total charge or multiplicity, which must be there: ValueError names the one that is not."""
        found = getattr(self, name)
        if found is None:
            raise ValueError(
                f"this model reads the {CONDITION_WORDS[name]} of every system, which a structure lacks. In a file it"
                f" is named by data.keys.{name}; an ase.Atoms has it in atoms.info[{name!r}]."
            )
        return found

    def vectors_of_atoms(self, name: AtomicVector) -> Float[Tensor, "atoms 3"]:
        """A covariant input, which must be there: ValueError names the one that is not."""
        found = getattr(self, name)
        if found is None:
            raise ValueError(
                f"this model reads {name} of every atom, which a structure lacks. In a file they are named by"
                f" data.keys.{name}; an ase.Atoms has them in atoms.arrays[{name!r}]."
            )
        return found

    def volume(self) -> Float[Tensor, " systems"]:
        """|det cell|, Å³: positive for a left-handed cell too; zero where there is no cell."""
        a, b, c = self.cell.unbind(1)
        return (a * torch.linalg.cross(b, c)).sum(-1).abs()

    def atoms_per_system(self) -> Int[Tensor, " systems"]:
        """Number of atoms of every system."""
        zeros = self.system.new_zeros(self.num_systems)
        return zeros.index_add(0, self.system, torch.ones_like(self.system))

    def sum_over_systems(self, values: Float[Tensor, "atoms *rest"]) -> Float[Tensor, "systems *rest"]:
        """Sum a quantity of the atoms over the atoms of each system."""
        zeros = values.new_zeros((self.num_systems, *values.shape[1:]))
        return zeros.index_add(0, self.system, values)

    def with_positions(self, positions: Float[Tensor, "atoms 3"]) -> "AtomicBatch":
        """The same batch, its atoms moved; the edges stay."""
        return replace(self, positions=positions, edge_vectors=None)

    def with_edge_vectors(self) -> "AtomicBatch":
        """The same batch with its edge vectors computed once, so that energies can be differentiated by them."""
        return replace(self, edge_vectors=self.vectors())

    def strained(self, strain: Float[Tensor, "systems 3 3"]) -> "AtomicBatch":
        """Positions and cell under r → r + r·ε with ε symmetrised, edges kept."""
        symmetric = (strain + strain.transpose(1, 2)) / 2
        positions = self.positions + torch.einsum("ai,aij->aj", self.positions, symmetric[self.system])
        return replace(self, positions=positions, cell=self.cell + self.cell @ symmetric, edge_vectors=None)

    def to(self, device: torch.device | str) -> "AtomicBatch":
        """The batch on another device."""
        moved: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in moved.items() if v is not None})


torch.export.register_dataclass(AtomicBatch)
