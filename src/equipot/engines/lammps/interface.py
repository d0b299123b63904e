"""The model as LAMMPS sees it: the class that ML-IAP calls `unified`, for that package and for our own pair style.

`pair_style mliap unified` hands a data object to `compute_forces`, and so does ours: indices and vectors of the edges,
elements of atoms and copies; it takes back energies of atoms and ∂E/∂r_ij.
"""

from collections.abc import Sequence
from typing import Any

import torch
from ase.data import atomic_numbers, chemical_symbols
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.engines.lammps.domain import domain
from equipot.engines.lammps.messages import messages
from equipot.potential import Potential, frozen
from equipot.potential.edge_gradients import edge_gradients, refusal


class Interface:
    """Energies and edge gradients of a potential, from data of the shape of ML-IAP's.

    Args:
        potential: a copy of it is frozen.
        elements: symbols, in the order of `data.elems`; all that the potential knows when None.
        device: where to compute; where the potential is when None.

    Raises ValueError for a potential whose energy is no sum over atoms that look at neighbors alone, and for elements
    that it does not know.
    """

    ndescriptors = nparams = 1  # of no meaning here; ML-IAP asks

    def __init__(
        self,
        potential: Potential,
        elements: Sequence[str] | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        refuse_indivisible(potential)
        self.potential = frozen(potential)
        self.device = next(potential.parameters()).device if device is None else torch.device(device)
        self.potential.to(self.device)
        known = [chemical_symbols[z] for z in potential.elements]
        self.element_types = known if elements is None else list(elements)
        self.species = torch.tensor([_index(e, known) for e in self.element_types], device=self.device)
        self.rcutfac = 0.5 * potential.cutoff  # LAMMPS doubles it
        self.messages = messages(self.potential)

    def compute_forces(self, data: Any) -> None:
        """Fill the energies of the atoms, and hand over ∂E/∂r_ij."""
        energies, gradient = edge_gradients(self.potential, self.batch(data))
        atoms = torch.as_tensor(data.eatoms)
        atoms[: len(energies)] = energies.to(atoms)
        data.energy = float(energies.sum())
        if hasattr(data, "update_pair_forces_gpu") and self.device.type == "cuda":
            data.update_pair_forces_gpu(gradient)
        else:
            data.update_pair_forces(gradient.cpu().contiguous().numpy())

    def compute_descriptors(self, data: Any) -> None:
        """Nothing: of the interface."""

    def compute_gradients(self, data: Any) -> None:
        """Nothing: of the interface."""

    def batch(self, data: Any) -> AtomicBatch:
        """The atoms that this process owns."""
        atoms = int(data.nlocal) if hasattr(data, "nlocal") else int(data.nlistatoms)
        receivers, senders = (self._tensor(a).long() for a in (data.pair_i, data.pair_j))
        vectors = self._tensor(data.rij).double()
        if bool((receivers.diff() < 0).any()):
            raise ValueError("LAMMPS: the edges are not sorted by their first atom.")

        def exchange(rows: Tensor, forward: bool) -> Tensor:
            if not hasattr(data, "forward_exchange"):
                raise ValueError(
                    "this model passes messages, and this LAMMPS cannot exchange them: ML-IAP does with KOKKOS. Use"
                    " pair_style equipot."
                )
            out = torch.empty_like(rows)
            (data.forward_exchange if forward else data.reverse_exchange)(rows, out, rows.shape[1])
            return out

        species = self.species[self._tensor(data.elems).long()]
        numbers = torch.bincount(receivers, minlength=atoms)
        row_pointer = torch.cat([numbers.new_zeros(1), numbers.cumsum(0)])
        return domain(species, row_pointer, receivers, senders, vectors, exchange)

    def _tensor(self, array: Any) -> Tensor:
        return torch.as_tensor(array, device=self.device)


def refuse_indivisible(potential: Potential) -> None:
    """Raise ValueError for a potential whose energy is no sum over atoms that look at their neighborhoods."""
    reason = refusal(potential)
    if reason is not None:
        raise ValueError(
            f"engine lammps: this model cannot be divided among processes: {reason}. Use engine ase."
        )


def _index(element: str, known: Sequence[str]) -> int:
    if element not in known:
        what = f"{element!r}" if element in atomic_numbers else f"{element!r}, which is no element"
        raise ValueError(
            f"no parameters for {what}. This model knows {', '.join(known)}: name one of these for every atom type."
        )
    return known.index(element)
