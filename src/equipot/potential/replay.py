"""Small systems: what an evaluation does is found out once, recorded, and replayed.

A molecule keeps a processor busy for less time than it takes to ask for the hundreds of operations of its energy and
forces. On a GPU, PyTorch records them as a CUDA graph; on a CPU, they become steps of a machine of ours
(`equipot.kernels.cpu.machine`). In either every size is fixed. So edges are filled up to one of a few numbers by those
of an atom that is alone in a system of its own, longer than the cutoff; every number has its recording.
"""

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from equipot.batch import ATOMIC_VECTORS, AtomicBatch, hidden
from equipot.kernels import recorded
from equipot.kernels.agreement import largest_difference
from equipot.potential.potential import Potential
from equipot.properties import Properties, from_items

log = logging.getLogger("equipot")

MOST_ATOMS = {"cuda": 2048, "cpu": 256}  # more keep a device busy
MOVE = 0.01  # Å, by which atoms are moved before a recording is compared
#: relative; round-off of derivatives of many products, and far from what a number that is left out makes
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
LEAST = 0.01  # eV, eV/Å …: what is smaller is compared with this, since much is zero by symmetry
KEPT = 64  # recordings, each with the memory of all that an evaluation computes,
MOST_BYTES = 1 << 30  # and so much of it on a CPU
WARM = 3  # evaluations before one is recorded: kernels are compiled, chosen and checked in them
#: a recording on a CPU is found by them, and what follows from them is not computed again
FIXED = ("species", "system", "pbc")

Call = Callable[[AtomicBatch], Properties]
#: of a call and a batch that stays in its place: outputs that stay in theirs, and what computes them anew
Record = Callable[[Call, AtomicBatch], tuple[Properties, Callable[[], None]]]


def on_cuda(call: Call, batch: AtomicBatch) -> tuple[Properties, Callable[[], None]]:
    """A CUDA graph of the call."""
    with torch.cuda.device(batch.positions.device):
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM):
                call(batch)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = call(batch)
    return found, graph.replay


def on_cpu(call: Call, batch: AtomicBatch) -> tuple[Properties, Callable[[], None]]:
    """Steps of the machine; all that they must compute is spoilt, so that nothing can be left over from here."""
    with hidden():
        call(batch)
        changing = [values for name, values in _tensors(batch).items() if name not in FIXED]
        found, recording = recorded(lambda: call(batch), changing)
    recording.forget()
    return found, recording


RECORDS: dict[str, Record] = {"cuda": on_cuda, "cpu": on_cpu}


class _Recording:
    """A recording of a batch with some room for edges, which stays in its place."""

    def __init__(self, call: Call, full: AtomicBatch, record: Record) -> None:
        self.place = replace(full, **{name: values.clone() for name, values in _tensors(full).items()})
        self.found, self.replay = record(call, self.place)
        self.spare = _edges_alone(full.senders, full.num_atoms - 1, len(full.senders))
        self.edges = 0
        self.bytes = getattr(self.replay, "bytes", 0)

    def __call__(self, batch: AtomicBatch) -> Properties:
        """Of a batch whose edges fit."""
        edges = len(batch.senders)
        for name, values in _tensors(batch).items():
            place = getattr(self.place, name)
            place[: len(values)].copy_(values)
            if name in self.spare and edges < self.edges:
                place[edges : self.edges].copy_(self.spare[name][edges : self.edges])
        self.edges = edges
        self.replay()
        return emptied(self.found)


class Replayed:
    """A potential as it is called, with recordings of small systems.

    Every recording is compared with the potential itself, on the batch that it was made for with its atoms moved,
    before its numbers are used. Where one differs or cannot be made, that is said once and the potential computes as
    ever. The same batch gives the same bits, whatever came before. With EQUIPOT_KERNELS=reference nothing is recorded.

    Args:
        potential: frozen, and on its device.
        record: how; by its device when None.
    """

    def __init__(self, potential: Potential, record: Record | None = None) -> None:
        self.potential, self._record = potential, record
        self.refused: str | None = None  # why nothing is recorded any more
        self._recordings: OrderedDict[Any, _Recording] = OrderedDict()

    def __call__(
        self,
        batch: AtomicBatch,
        *,
        forces: bool = False,
        stress: bool = False,
        virials: bool = False,
        targets: Collection[str] | None = None,
    ) -> Properties:
        """What `Potential.forward` gives, on its device; the batch may be on another one."""
        weights = next(self.potential.parameters())
        device = weights.device
        names = None if targets is None else tuple(sorted(targets))

        def call(given: AtomicBatch) -> Properties:
            asked = {"forces": forces, "stress": stress, "virials": virials, "targets": names}
            return self.potential(given, **asked).detach()

        record = self._record or RECORDS.get(device.type)
        if self.refused is not None or record is None or not _recordable(batch, device):
            return call(batch.to(device))
        room = edges_for(len(batch.senders))
        where = (weights.data_ptr(), weights.dtype, torch.get_num_threads())
        key = (forces, stress, virials, names, room, where, _found_by(batch, device))
        recording = self._recordings.pop(key, None) or self._recorded(call, batch, room, device, record)
        if recording is None:
            return call(batch.to(device))
        self._recordings[key] = recording  # the last one used is the last one
        self._forget()
        return recording(batch)

    def _forget(self) -> None:
        """What was not used for the longest time, while there is too much, and never the last one."""
        taken = sum(recording.bytes for recording in self._recordings.values())
        while len(self._recordings) > 1 and (len(self._recordings) > KEPT or taken > MOST_BYTES):
            taken -= self._recordings.popitem(last=False)[1].bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.potential, self._record)  # recordings know places in this memory

    def _recorded(
        self, call: Call, batch: AtomicBatch, room: int, device: torch.device, record: Record
    ) -> _Recording | None:
        """The recording of a call, if it computes the same."""
        steps = torch.arange(
            batch.positions.numel(), dtype=batch.positions.dtype, device=batch.positions.device
        )
        moved = batch.with_positions(batch.positions + MOVE * torch.sin(steps).reshape(batch.positions.shape))
        expected = call(moved.to(device))  # says what is wrong with the batch, too
        full = filled(batch, room, self.potential.cutoff).to(device)
        try:
            recording = _Recording(call, full, record)
            found = recording(moved)
        except (RuntimeError, ValueError, AssertionError) as failure:  # of PyTorch, its kernels or the driver
            return self._refuse(f"{type(failure).__name__}: {failure}")
        names = [name for name, _ in expected.items()]
        both = ([_varying(self.potential, batch.to(device), p, n) for n in names] for p in (found, expected))
        error = largest_difference(*both, least=LEAST)
        if error < TOLERANCE[next(self.potential.parameters()).dtype]:  # false for NaN, too
            return recording
        return self._refuse(f"what was recorded differs by {error:.1e} (relative)")

    def _refuse(self, why: str) -> None:
        self.refused = why
        self._recordings.clear()
        log.warning("Evaluations are not recorded, and small systems are slower: %s", why)


def status() -> str:
    """In words, how small systems are computed."""
    if _switched_off():
        return "call by call, because EQUIPOT_KERNELS=reference"
    return (
        f"recorded and replayed by the calculator of ASE, up to {MOST_ATOMS['cpu']:,} atoms on a CPU, and up to"
        f" {MOST_ATOMS['cuda']:,} as CUDA graphs on a GPU; each recording is compared with the potential before it is"
        " used; those on a GPU in progress: tested without a device, not run on one"
    )


def _switched_off() -> bool:
    return os.environ.get("EQUIPOT_KERNELS", "auto") == "reference"


def edges_for(number: int) -> int:
    """The number of edges that a recording has room for: at most a sixteenth more, and even."""
    step = max(32, 1 << max(number.bit_length() - 5, 0))
    return -(-number // step) * step


def filled(batch: AtomicBatch, edges: int, cutoff: float) -> AtomicBatch:
    """The batch with so many edges: behind it is a system of one atom, its edges the rest, longer than the cutoff."""
    new = batch.senders.new_tensor
    cell = 1.001 * cutoff * torch.eye(3, dtype=batch.cell.dtype, device=batch.cell.device)
    alone = _edges_alone(batch.senders, batch.num_atoms, edges)
    more: dict[str, Tensor | None] = {
        "positions": batch.positions.new_zeros((1, 3)),
        "species": new([0]),
        "system": new([batch.num_systems]),
        "cell": cell[None],
        "pbc": batch.pbc.new_zeros((1, 3)),
        "row_pointer": new([edges]),
        **{name: values[len(batch.senders) :] for name, values in alone.items()},
    }
    for name in ("charge", "spin"):
        values = getattr(batch, name)
        more[name] = None if values is None else values[:1]
    for name in ATOMIC_VECTORS:
        values = getattr(batch, name)
        more[name] = None if values is None else values.new_zeros((1, 3))
    return replace(batch, **{n: torch.cat([getattr(batch, n), v]) for n, v in more.items() if v is not None})


def _edges_alone(like: Tensor, atom: int, edges: int) -> dict[str, Tensor]:
    """So many edges of an atom with itself along the first vector of its cell, each beside its mirrored one."""
    number = torch.arange(edges, device=like.device)
    shifts = like.new_zeros((edges, 3))
    shifts[:, 0] = 1 - 2 * (number % 2)
    ends = like.new_full((edges,), atom)
    return {"senders": ends, "receivers": ends, "shifts": shifts, "reverse": number ^ 1}


def emptied(found: Properties) -> Properties:
    """Copies of what belongs to the batch itself: the atom behind it, and its system, are the last rows."""
    return from_items({name: values[:-1].clone() for name, values in found.items()})


def _recordable(batch: AtomicBatch, device: torch.device) -> bool:
    """Whether a batch is small, and its edges come in mirrored pairs that are not given as vectors."""
    if _switched_off() or batch.num_atoms > MOST_ATOMS.get(device.type, MOST_ATOMS["cpu"]):
        return False
    return batch.halo is None and batch.edge_vectors is None and len(batch.senders) % 2 == 0


def _tensors(batch: AtomicBatch) -> dict[str, Tensor]:
    return {name: v for name in _FIELDS if isinstance(v := getattr(batch, name), Tensor)}


_FIELDS = tuple(f.name for f in fields(AtomicBatch))


def _found_by(batch: AtomicBatch, device: torch.device) -> tuple[Any, ...]:
    """What is the same in all that a recording replays: sizes, and numbers that may be refused or are looked at."""
    sizes = (batch.num_atoms, batch.num_systems, batch.positions.dtype)
    looked_at = [batch.pbc, batch.charge, batch.spin]
    looked_at += [batch.species, batch.system] if device.type == "cpu" else []
    there = tuple(getattr(batch, name) is not None for name in ATOMIC_VECTORS)
    return (*sizes, *there, *(None if v is None else v.cpu().numpy().tobytes() for v in looked_at))


def _varying(potential: Potential, batch: AtomicBatch, found: Properties, name: str) -> Tensor:
    """A property without what the atoms have of themselves, beside which everything else is small."""
    values = found.get(name)
    assert values is not None
    if name not in ("energy", "atomic_energies"):
        return values
    own = potential.constant_energies(batch.species)
    return values - (own if name == "atomic_energies" else batch.sum_over_systems(own))
