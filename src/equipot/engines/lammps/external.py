"""A potential through `fix external`: any LAMMPS with Python can do it, no plugin and no compiler needed.

Each process computes its own atoms and all copies as far as messages reach, several cutoffs deep in a model that passes
messages; most of that work is done by other processes, too. Forces on copies are added up by atom, over all processes.
"""

import math
from typing import Any

import numpy as np
import torch

from equipot.batch import AtomicBatch
from equipot.data.neighbors import neighbor_list
from equipot.engines.lammps.interface import Interface
from equipot.engines.lammps.system import SKIN
from equipot.potential.edge_gradients import edge_gradients

NAME = "equipot"
_VIRIAL = ((0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2))  # xx yy zz xy xz yz


class External:
    """The fix in a LAMMPS that has a box with atoms."""

    def __init__(self, lammps: Any, interface: Interface) -> None:
        from mpi4py import MPI

        self.lammps, self.interface, self.error = lammps, interface, None
        self.ranks, self.sum = MPI.COMM_WORLD, MPI.SUM
        self.cutoff = interface.potential.cutoff
        reach = interface.messages.cutoffs * self.cutoff + SKIN
        lammps.commands_list(
            [
                f"pair_style zero {self.cutoff!r} full",
                "pair_coeff * *",
                f"comm_modify cutoff {reach!r}",
                f"fix {NAME} all external pf/callback 1 1",
                f"fix_modify {NAME} energy yes virial yes",
            ]
        )
        lammps.set_fix_external_callback(NAME, self._called, None)

    def check(self) -> None:
        """Raise what the callback met; it cannot raise through LAMMPS, and stopped the run instead."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def _called(self, _: Any, step: int, atoms: int, tags: Any, x: Any, forces: np.ndarray) -> None:
        forces[:] = 0.0
        if self.error is not None:
            return
        try:
            self._compute(atoms, forces)
        except Exception as error:  # kept, and raised after the command
            self.error = error
            if self.ranks.size > 1 and not isinstance(error, FloatingPointError):
                print(f"ERROR on process {self.ranks.rank}: {error}", flush=True)
                self.ranks.Abort(1)
            self.lammps.lib.lammps_force_timeout(self.lammps.lmp)

    def _compute(self, atoms: int, forces: np.ndarray) -> None:
        total = atoms + self.lammps.extract_global("nghost")
        extract = self.lammps.numpy.extract_atom
        x = np.array(extract("x", nelem=total, dim=3)).reshape(-1, 3)
        tags = np.array(extract("id", nelem=total)) - 1
        batch = self._batch(x, np.array(extract("type", nelem=total)) - 1)
        owned = (torch.arange(total, device=batch.positions.device) < atoms).double()
        energies, gradient = edge_gradients(self.interface.potential, batch, owned)
        on_all = torch.zeros_like(batch.positions)
        on_all = on_all.index_add(0, batch.receivers, gradient).index_add(0, batch.senders, -gradient)
        summed = np.zeros((int(self.lammps.get_natoms()), 3))
        np.add.at(summed, tags, on_all.cpu().numpy())
        self.ranks.Allreduce(summed.copy(), summed, op=self.sum)
        virial = -(batch.vectors().T @ gradient).cpu().numpy()[_VIRIAL]
        own = energies[:atoms].cpu().numpy()
        totals = self.ranks.allreduce(np.concatenate([[own.sum()], virial]), op=self.sum)
        if not (np.isfinite(summed).all() and math.isfinite(totals[0])):
            raise FloatingPointError("the model predicts an energy or a force that is not a number")
        forces[:] = summed[tags[:atoms]]
        self.lammps.fix_external_set_energy_global(NAME, totals[0])
        self.lammps.fix_external_set_virial_global(NAME, totals[1:].tolist())
        self.lammps.fix_external_set_energy_peratom(NAME, own.tolist())

    def _batch(self, x: np.ndarray, types: np.ndarray) -> AtomicBatch:
        found = neighbor_list(x, np.zeros((3, 3)), np.zeros(3, dtype=bool), self.cutoff)
        device = self.interface.device

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(device)

        species = self.interface.species[tensor(types).long()]
        return AtomicBatch(
            positions=tensor(x),
            species=species,
            system=torch.zeros_like(species),
            cell=torch.zeros(1, 3, 3, dtype=torch.float64, device=device),
            pbc=torch.zeros(1, 3, dtype=torch.bool, device=device),
            senders=tensor(found.senders),
            receivers=tensor(found.receivers),
            shifts=tensor(found.shifts),
            row_pointer=tensor(found.row_pointer),
            reverse=tensor(found.reverse),
        )
