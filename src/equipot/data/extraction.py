"""Labels of a file in internal units, frame by frame."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from equipot import units as unit_tables
from equipot.batch import ATOMIC_VECTORS
from equipot.data.frame import Frame
from equipot.data.keys import Request
from equipot.data.labels import (
    BORN_ORDERS,
    NO_LABEL,
    PER_ATOM,
    PER_SYSTEM,
    PLACE,
    UNIT_OF,
    VOIGT,
    Found,
    numbers_in,
    value_of,
)
from equipot.data.sources import RawFrame, Source


@dataclass(kw_only=True)
class Extraction:
    """Reads the labels of one file and keeps account of what it leaves out."""

    source: Source
    request: Request
    chosen: Mapping[str, str]  # property -> name in the file
    units: Mapping[str, str]  # property -> unit, as said
    left_out: dict[str, int] = field(default_factory=dict)  # reason -> number of frames

    def frame(self, index: int) -> Frame:
        """Structure and labels of one frame, in internal units."""
        raw = self.source.frames[index]
        frame = Frame.from_atoms(raw.atoms, source=self.source.path, index=index)
        scale = unit_tables.factor("length", self.units.get("length", "Å"))
        if scale != 1:
            frame = replace(frame, positions=frame.positions * scale, cell=frame.cell * scale)
        self._check_positions(frame)
        labels = {}
        for name in self.chosen:
            if name not in NO_LABEL:
                value = self._label(raw, frame, name)
                if value is not None:
                    labels[name] = value
        self._settle_stress(frame, labels)
        given = {name: self._label(raw, frame, name) for name in ATOMIC_VECTORS}
        group = raw.system.get(self.chosen.get("group", ""))
        return replace(
            frame,
            labels=labels,
            vectors={**frame.vectors, **{name: v for name, v in given.items() if v is not None}},
            charge=self._scalar(raw, frame, "charge"),
            spin=self._scalar(raw, frame, "spin"),
            group=None if group is None else str(group),
        )

    def _check_positions(self, frame: Frame) -> None:
        bad = np.flatnonzero(~np.isfinite(frame.positions).all(axis=1))
        if len(bad):
            raise ValueError(f"{frame.where}: position of atom {bad[0]} is not a finite number.")
        if not np.isfinite(frame.cell).all():
            raise ValueError(f"{frame.where}: the cell is not finite.")
        if (dummies := np.flatnonzero(frame.numbers == 0)).size:
            raise ValueError(
                f"{frame.where}: atom {dummies[0]} is X, a place without an element. Remove it, or name its element."
            )

    def _scalar(self, raw: RawFrame, frame: Frame, name: str) -> float | None:
        value = self._label(raw, frame, name)
        return None if value is None else float(value)

    def _label(self, raw: RawFrame, frame: Frame, name: str) -> np.ndarray | None:
        key = self.chosen.get(name)
        if key is None:
            return None
        value = value_of(raw, name, key)
        array = numbers_in(value)
        if array is None:
            if value is None or isinstance(value, bool | np.bool_):
                return None
            raise ValueError(f"{frame.where}: {key} = {str(value)[:40]!r} is not a number.")
        _refuse_nan(frame, key, array, per_atom=key in raw.atom)
        unit = self.units.get(name)
        if unit is not None:
            array = np.asarray(array * unit_tables.factor(UNIT_OF.get(name, name), unit))
        return self._shaped(frame, name, key, array, per_atom=key in raw.atom)

    def _shaped(self, frame: Frame, name: str, key: str, array: np.ndarray, per_atom: bool) -> np.ndarray:
        n = frame.num_atoms
        if name in PER_ATOM:
            rest = tuple(s for s in PER_ATOM[name] if s > 1)
            if array.size == n * PER_ATOM[name][0]:
                return (
                    self._born(array.reshape(n, 3, 3)) if name == "born_charges" else array.reshape(n, *rest)
                )
        elif name in self.request.tensors or name not in PER_SYSTEM:
            rows = n if per_atom else 1
            shape = self.request.tensors.get(name, array.shape[1:] if per_atom else array.shape)
            if array.size == rows * int(np.prod(shape)):
                return array.reshape(rows, *shape)
        elif array.size in PER_SYSTEM[name]:
            if array.size in (6, 9):
                return self._matrix(frame, name, key, array.reshape(-1))
            return array.reshape(3) if array.size == 3 else array.reshape(())
        raise ValueError(f"{frame.where}: {key} has shape {array.shape}, which is not that of {name}.")

    def _born(self, charges: np.ndarray) -> np.ndarray:
        """With the index of the dipole first, whatever the file does."""
        order = self.request.components.get("born_charges", BORN_ORDERS[0])
        return charges if order == BORN_ORDERS[0] else charges.transpose(0, 2, 1)

    def _matrix(self, frame: Frame, name: str, key: str, flat: np.ndarray) -> np.ndarray:
        if flat.size == 9:
            matrix = flat.reshape(3, 3)
        else:
            order = self.request.components.get(name, VOIGT if name == "stress" else None)
            if order is None:
                raise ValueError(
                    f"{frame.where}: {key} has 6 numbers in an unknown order. Paste "
                    f"data.components={{{name}: {VOIGT}}} (Voigt) or {{{name}: xx xy xz yy yz zz}}, "
                    "whichever it is."
                )
            matrix = np.empty((3, 3))
            for value, place in zip(flat, order.split(), strict=True):
                a, b = PLACE[place]
                matrix[a, b] = matrix[b, a] = value
        return (matrix + matrix.T) / 2 if name in self.request.symmetrize else matrix

    def _settle_stress(self, frame: Frame, labels: dict[str, np.ndarray]) -> None:
        """A virial W is the stress −W/V; neither means anything without a volume."""
        virial = labels.pop("virial", None)
        if not (frame.pbc.all() and frame.volume() > 0):
            if labels.pop("stress", None) is not None or virial is not None:
                self._skip("stress of frames that are not periodic in three directions, not read")
            return
        if virial is None:
            return
        stress = -virial / frame.volume()
        given = labels.setdefault("stress", stress)
        if not np.allclose(given, stress, rtol=1e-3, atol=1e-6):
            raise ValueError(
                f"{frame.where}: stress and virial disagree: {given[0, 0]:.6g} and −W/V = {stress[0, 0]:.6g} "
                f"eV/Å^3 (xx). Paste keys.virial=null or keys.stress=null."
            )

    def _skip(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    def described(self, found: Found) -> Found:
        """A name of the file with the property and unit it was read as."""
        used = next((name for name, key in self.chosen.items() if key == found.name), None)
        quantity = UNIT_OF.get(used, used) if used is not None else None
        if used is None or quantity is None or quantity not in unit_tables.INTERNAL:
            return replace(found, used_as=used)
        unit = self.units.get(used)
        return replace(found, used_as=used, unit=unit or unit_tables.INTERNAL[quantity], assumed=unit is None)

    def notes(self) -> list[str]:
        """What was left out, and conventions that were applied."""
        notes = [f"{reason} ({count} frames)." for reason, count in self.left_out.items()]
        notes += self.source.notes
        if "virial" in self.chosen:
            notes.append("stress is taken from the virial W as −W/V: positive under tension, (1/V) ∂E/∂ε.")
        return notes


def _refuse_nan(frame: Frame, key: str, array: np.ndarray, per_atom: bool) -> None:
    if np.isfinite(array).all():
        return
    place = np.argwhere(~np.isfinite(array))[0]
    atom = f", atom {place[0]}" if per_atom else ""
    raise ValueError(
        f"{frame.where}{atom}: {key} is {array[tuple(place)]}. "
        "Remove the number (a missing label is left out) or the frame."
    )
