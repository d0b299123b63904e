"""The other side of the pair style: loads the models that inputs name, and computes their energies."""

from functools import cache
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
    """Answers all pair styles of this process, of which a user may have several."""

    def __init__(self) -> None:
        self.device: torch.device | str | None = None  # of models from files; None: the CPU
        self._named: dict[str, tuple[Potential, torch.device | str | None]] = {}
        self._models: list[Interface | None] = []
        self._numbers: dict[tuple[str, tuple[str, ...]], int] = {}
        self._kept = Load(self._load), Compute(self._compute)  # C++ holds pointers to them
        functions().equipot_host(*self._kept)

    def register(self, potential: Potential, device: torch.device | str | None = None) -> str:
        """A name for `pair_coeff * * NAME El1 ...`, where there is no file."""
        name = f"equipot:{len(self._named)}"
        self._named[name] = potential, device
        return name

    def forget(self, name: str) -> None:
        """Free what was registered; the pair style must not be asked again."""
        for key in [key for key in self._numbers if key[0] == name]:
            self._models[self._numbers.pop(key)] = None

    def _number(self, name: str, elements: tuple[str, ...]) -> int:
        key = name, elements
        if key not in self._numbers:
            if name in self._named:
                potential, device = self._named[name]
            else:
                potential, device = load(Path(name))[0], self.device
            self._models.append(Interface(potential, elements, device))
            if name not in self._named:  # a file may change
                return len(self._models) - 1
            self._numbers[key] = len(self._models) - 1
        return self._numbers[key]

    def _load(
        self, name: bytes, types: int, elements: Any, model: Any, cutoff: Any, row: Any, message: int
    ) -> int:
        def work() -> None:
            number = self._number(name.decode(), tuple(elements[k].decode() for k in range(types)))
            made = self._models[number]
            assert made is not None
            model[0], cutoff[0], row[0] = number, made.potential.cutoff, made.messages.bytes

        return guarded(work, message)

    def _compute(self, model: int, pair: int, *rest: Any) -> int:
        *given, message = rest

        def work() -> None:
            made = self._models[model]
            assert made is not None
            made.compute_forces(PairData(pair, *given))

        return guarded(work, message)


@cache
def host() -> Host:
    """The one of this process; LAMMPS must have been loaded before."""
    return Host()


def _view(pointer: Any, *shape: int) -> np.ndarray:
    if 0 in shape:
        return np.empty(shape, dtype=np.dtype(pointer._type_))
    return np.ctypeslib.as_array(pointer, shape=shape)
