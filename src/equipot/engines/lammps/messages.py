"""How far a model looks, and how wide its messages are: found by running it, so that no architecture declares it."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.potential import Potential
from equipot.potential.edge_gradients import edge_gradients


@dataclass(frozen=True, kw_only=True)
class Messages:
    """What the atoms of a model tell each other."""

    cutoffs: int  # E_i depends on what lies within so many cutoffs of atom i
    exchanges: int  # of features, in one evaluation
    bytes: int  # of an atom, in the widest of them
    all_bytes: int  # of an atom, in all of them

    @property
    def local(self) -> bool:
        """Whether the energy of an atom depends on its neighbors alone, so that nothing has to be exchanged."""
        return self.cutoffs == 1


@dataclass(eq=False)
class _Counter:
    """A halo without copies that takes notes."""

    species: Int[Tensor, " copies"]
    geometric: int = 0
    widths: list[int] = field(default_factory=list)

    def fill(self, values: Float[Tensor, "atoms *rest"]) -> Float[Tensor, "senders *rest"]:
        self.widths.append(values[0].numel() * values.element_size())
        self.geometric += values.requires_grad  # else it is a function of the elements
        return values

    def to(self, device: torch.device | str) -> "_Counter":
        return replace(self, species=self.species.to(device))


def messages(potential: Potential) -> Messages:
    """Run a frozen potential on some atoms. This also checks its compiled programs, which a divided system cannot."""
    batch = some_atoms(potential)
    edge_gradients(potential, batch)
    counter = _Counter(batch.species[:0])
    edge_gradients(potential, replace(batch, halo=counter))
    widths = counter.widths
    return Messages(
        cutoffs=1 + counter.geometric,
        exchanges=len(widths),
        bytes=max(widths, default=8),
        all_bytes=sum(widths),
    )


def some_atoms(potential: Potential) -> AtomicBatch:
    """27 atoms of all elements in turn, without symmetry, about half a cutoff apart."""
    sites = np.argwhere(np.ones((3, 3, 3)))
    shaken = sites + 0.1 * np.sin(1.3 + 2.1 * np.arange(sites.size)).reshape(sites.shape)
    frame = Frame(
        numbers=np.resize(potential.elements, len(sites)).astype(np.int64),
        positions=0.5 * potential.cutoff * shaken,
        cell=np.zeros((3, 3)),
        pbc=np.zeros(3, dtype=bool),
        source="27 atoms",
    )
    device = next(potential.parameters()).device
    return batch_of([frame], potential.elements, potential.cutoff).to(device)
