"""Small systems on a GPU: the kernels of an evaluation are asked for once, recorded, and replayed by one launch.

A molecule keeps a GPU busy for less time than it takes to launch the hundreds of kernels of its energy and forces.
PyTorch records them as a CUDA graph, in which every size is fixed. So edges are filled up to one of a few numbers by
those of an atom that is alone in a system of its own, longer than the cutoff; every number has its recording.
"""

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from equipot.batch import ATOMIC_VECTORS, AtomicBatch
from equipot.kernels.agreement import TOLERANCE, largest_difference
from equipot.potential.potential import Potential
from equipot.properties import Properties, from_items

log = logging.getLogger("equipot")

MOST_ATOMS = 2048  # more keep a GPU busy
KEPT = 16  # recordings, each with the memory of an evaluation
WARM = 3  # evaluations before one is recorded: kernels are compiled, chosen and checked in them

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


@dataclass(frozen=True)
class _Recording:
    batch: AtomicBatch
    found: Properties
    replay: Callable[[], None]

    def __call__(self, batch: AtomicBatch) -> Properties:
        for name, values in _tensors(batch).items():
            getattr(self.batch, name).copy_(values)
        self.replay()
        return self.found


class Replayed:
    """A potential as it is called, with recordings for systems of up to 2,048 atoms.

    Every recording is compared with the potential itself, on the batch that it was made for, before its numbers are
    used. Where one differs or cannot be made, that is said once and the potential computes as ever. With
    EQUIPOT_KERNELS=reference nothing is recorded.

    Args:
        potential: frozen, and on its device.
        record: how.
    """

    def __init__(self, potential: Potential, record: Record = on_cuda) -> None:
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
        device = next(self.potential.parameters()).device
        asked = {"forces": forces, "stress": stress, "virials": virials}
        asked |= {"targets": None if targets is None else tuple(sorted(targets))}

        def call(given: AtomicBatch) -> Properties:
            return self.potential(given, **asked).detach()

        if self.refused is not None or not _recordable(batch):
            return call(batch.to(device))
        full = filled(batch, edges_for(len(batch.senders)), self.potential.cutoff)
        key = (tuple(asked.items()), _sizes(full), _looked_at(batch))
        recording = self._recordings.pop(key, None)
        if recording is None:
            recording = self._recorded(call, batch.to(device), full.to(device))
        if recording is None:
            return call(batch.to(device))
        self._recordings[key] = recording  # the last one used is the last one
        while len(self._recordings) > KEPT:
            self._recordings.popitem(last=False)
        return emptied(recording(full))

    def _recorded(self, call: Call, batch: AtomicBatch, full: AtomicBatch) -> _Recording | None:
        """The recording of a call, if it computes the same; kept are its own copies of all tensors."""
        expected = call(batch)  # says what is wrong with the batch, too
        try:
            place = replace(full, **{name: values.clone() for name, values in _tensors(full).items()})
            recording = _Recording(place, *self._record(call, place))
            found = emptied(recording(full))
        except (RuntimeError, ValueError, AssertionError) as failure:  # of PyTorch, its kernels or the driver
            return self._refuse(f"{type(failure).__name__}: {failure}")
        names = [name for name, _ in expected.items()]
        error = largest_difference(
            *([_varying(self.potential, batch, p, n) for n in names] for p in (found, expected))
        )
        dtype = next(self.potential.parameters()).dtype
        if error < TOLERANCE[dtype]:  # false for NaN, too
            return recording
        return self._refuse(f"what was recorded differs by {error:.1e} (relative)")

    def _refuse(self, why: str) -> None:
        self.refused = why
        self._recordings.clear()
        log.warning("Evaluations are not recorded as CUDA graphs, and small systems are slower: %s", why)


def status() -> str:
    """In words, how small systems are computed on a GPU, if there is one."""
    if _switched_off():
        return "call by call, because EQUIPOT_KERNELS=reference"
    return (
        f"replayed as CUDA graphs up to {MOST_ATOMS:,} atoms by the calculator of ASE, each compared with the potential"
        " before it is used; in progress: tested without a device, not run on one"
    )


def _switched_off() -> bool:
    return os.environ.get("EQUIPOT_KERNELS", "auto") == "reference"


def edges_for(number: int) -> int:
    """The number of edges that a recording has room for: at most a sixteenth more, and even."""
    step = max(32, 1 << max(number.bit_length() - 5, 0))
    return -(-number // step) * step


def filled(batch: AtomicBatch, edges: int, cutoff: float) -> AtomicBatch:
    """The batch with so many edges: behind it is a system of one atom, its edges the rest, longer than the cutoff."""
    atoms, systems, excess = batch.num_atoms, batch.num_systems, edges - len(batch.senders)
    new, one = batch.senders.new_tensor, torch.arange(excess, device=batch.senders.device)
    there = batch.shifts.new_zeros((excess, 3))
    there[:, 0] = 1 - 2 * (one % 2)  # each beside its mirrored one
    cell = 2 * cutoff * torch.eye(3, dtype=batch.cell.dtype, device=batch.cell.device)
    self_edges = new([atoms]).expand(excess)
    more: dict[str, Tensor | None] = {
        "positions": batch.positions.new_zeros((1, 3)),
        "species": new([0]),
        "system": new([systems]),
        "cell": cell[None],
        "pbc": batch.pbc.new_zeros((1, 3)),
        "senders": self_edges,
        "receivers": self_edges,
        "shifts": there,
        "row_pointer": new([edges]),
        "reverse": len(batch.senders) + (one ^ 1),
    }
    for name in ("charge", "spin"):
        values = getattr(batch, name)
        more[name] = None if values is None else values[:1]
    for name in ATOMIC_VECTORS:
        values = getattr(batch, name)
        more[name] = None if values is None else values.new_zeros((1, 3))
    return replace(batch, **{n: torch.cat([getattr(batch, n), v]) for n, v in more.items() if v is not None})


def emptied(found: Properties) -> Properties:
    """Copies of what belongs to the batch itself: the atom behind it, and its system, are the last rows."""
    return from_items({name: values[:-1].clone() for name, values in found.items()})


def _recordable(batch: AtomicBatch) -> bool:
    """Whether a batch is small, and its edges come in mirrored pairs that are not given as vectors."""
    if _switched_off():
        return False
    whole = batch.halo is None and batch.edge_vectors is None
    return whole and batch.num_atoms <= MOST_ATOMS and len(batch.senders) % 2 == 0


def _tensors(batch: AtomicBatch) -> dict[str, Tensor]:
    values = ((f.name, getattr(batch, f.name)) for f in fields(batch))
    return {name: v for name, v in values if isinstance(v, Tensor)}


def _sizes(batch: AtomicBatch) -> tuple[tuple[str, tuple[int, ...], torch.dtype], ...]:
    return tuple((name, tuple(v.shape), v.dtype) for name, v in _tensors(batch).items())


def _looked_at(batch: AtomicBatch) -> tuple[Any, ...]:
    """Numbers that may be refused, which a recording cannot do: another value is another recording."""
    values = (batch.pbc, batch.charge, batch.spin)
    return tuple(None if v is None else tuple(v.flatten().tolist()) for v in values)


def _varying(potential: Potential, batch: AtomicBatch, found: Properties, name: str) -> Tensor:
    """A property without what the atoms have of themselves, beside which everything else is small."""
    values = found.get(name)
    assert values is not None
    if name not in ("energy", "atomic_energies"):
        return values
    own = potential.constant_energies(batch.species)
    return values - (own if name == "atomic_energies" else batch.sum_over_systems(own))
