"""The other side of the pair style: loads the models that inputs name, and computes their energies."""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equipot.deploy.model_file import load
from equipot.engines.lammps.interface import Interface
from equipot.engines.lammps.plugin import Compute, Load, exchange, functions, guarded
from equipot.potential import Potential


class PairData:
    """What the pair style of equipot hands over, of the shape of ML-IAP's data; arrays are views of its memory."""

    def __init__(self, pair: int, atoms: int, copies: int, edges: int, *arrays: Any) -> None:
        i, j, r, elements, energies, gradient = arrays
        self._pair = pair
        self.nlocal, self.ntotal, self.npairs = atoms, atoms + copies, edges
        self.pair_i, self.pair_j = _view(i, edges), _view(j, edges)
        self.rij, self.elems = _view(r, edges, 3), _view(elements, atoms + copies)
        self.eatoms, self._gradient = _view(energies, atoms), _view(gradient, edges, 3)
        self.energy = 0.0

    def update_pair_forces(self, fij: np.ndarray) -> None:
        """Take ∂E/∂r_ij."""
        self._gradient[:] = fij

    def forward_exchange(self, src: Tensor, dst: Tensor, vec_len: int) -> None:
        """Rows of copies from those of their owners."""
        self._exchange(src, dst, True)

    def reverse_exchange(self, src: Tensor, dst: Tensor, vec_len: int) -> None:
        """Rows of copies added to those of their owners."""
        self._exchange(src, dst, False)

    def _exchange(self, src: Tensor, dst: Tensor, forward: bool) -> None:
        rows = dst if dst.device.type == "cpu" else torch.empty_like(src, device="cpu")
        rows.copy_(src)
        exchange(self._pair, rows, forward)
        if rows is not dst:
            dst.copy_(rows)


class Host:
    """Answers the pair style. One for a process; it must live as long as LAMMPS runs.

    Args:
        named: potentials that inputs may name beside model files.
        device: where to compute.
    """

    def __init__(self, named: Mapping[str, Potential], device: torch.device | str | None = None) -> None:
        self.named, self.device, self.models = dict(named), device, []
        self._kept = Load(self._load), Compute(self._compute)  # C++ holds pointers to them
        functions().equipot_host(*self._kept)

    def _load(self, name: bytes, types: int, elements: Any, model: Any, cutoff: Any, row: Any, message: int) -> int:
        def work() -> None:
            path = name.decode()
            potential = self.named[path] if path in self.named else load(Path(path))[0]
            made = Interface(potential, [elements[k].decode() for k in range(types)], self.device)
            self.models.append(made)
            model[0], cutoff[0], row[0] = len(self.models) - 1, potential.cutoff, made.messages.bytes

        return guarded(work, message)

    def _compute(self, model: int, pair: int, *rest: Any) -> int:
        *given, message = rest
        return guarded(lambda: self.models[model].compute_forces(PairData(pair, *given)), message)


def _view(pointer: Any, *shape: int) -> np.ndarray:
    if 0 in shape:
        return np.empty(shape, dtype=np.dtype(pointer._type_))
    return np.ctypeslib.as_array(pointer, shape=shape)
