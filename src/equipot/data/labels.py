"""From a file's own names and units to labels: which name is which property, and what its numbers mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from equipot import units as unit_tables
from equipot.config import nearest
from equipot.data.frame import Frame
from equipot.data.recognize import energy_evidence, guess_energy_unit
from equipot.data.sources import RawFrame, Source

#: customary names in lower case, in order of preference
CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "energy": ("energy", "ref_energy", "energy_ref", "dft_energy", "energy_dft", "total_energy", "totenergy"),
    "forces": ("forces", "force", "ref_forces", "ref_force", "forces_ref", "dft_forces", "forces_dft"),
    "stress": ("stress", "ref_stress", "stress_ref", "dft_stress", "stress_dft"),
    "virial": ("virial", "virials", "ref_virial", "ref_virials", "dft_virial"),
    "charges": ("charges", "ref_charges", "dft_charges", "atomic_charges", "partial_charges"),
    "dipole": ("dipole", "ref_dipole", "dft_dipole", "dipole_moment", "total_dipole"),
    "polarizability": ("polarizability", "ref_polarizability", "dft_polarizability", "pol"),
    "charge": ("charge", "total_charge"),
    "spin": ("spin", "multiplicity", "spin_multiplicity"),
    "group": ("group", "config_type"),
}
#: what (r)MD17 files and those written after them call it
_NPZ_CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "energy": ("energy", "energies", "e"),
    "forces": ("forces", "f"),
    "dipole": ("dipole", "dipoles", "d"),
    "charges": ("charges", "q"),
}
#: what else may be named by `keys`
NAMED_ONLY = ("atomic_energies", "positions", "numbers")
#: properties that are sizes of one row, per atom or per system
_PER_ATOM: Mapping[str, tuple[int, ...]] = {"forces": (3,), "charges": (1,), "atomic_energies": (1,)}
_PER_SYSTEM: Mapping[str, tuple[int, ...]] = {
    "energy": (1,),
    "stress": (9, 6),
    "virial": (9, 6),
    "dipole": (3,),
    "polarizability": (9, 6),
    "charge": (1,),
    "spin": (1,),
}
_UNIT_OF = {"virial": "energy", "atomic_energies": "energy"}
_NO_UNIT = ("charge", "spin", "group")
#: ASE's order of six numbers of a stress
VOIGT = "xx yy zz yz xz xy"
_PLACE = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "yz": (1, 2), "xz": (0, 2), "xy": (0, 1)}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One name in a file: where it stands, what it looks like, and what it was read as."""

    name: str
    per: str  # "atom" or "system"
    shape: tuple[int, ...]  # of one row
    frames: int  # how many carry it
    low: float | None = None  # None for text
    high: float | None = None
    used_as: str | None = None  # canonical name
    unit: str | None = None  # of the file
    assumed: bool = False  # nobody said the unit: it is the convention


def describe(found: Found) -> str:
    """Name, shape, range and count of what is in a file, on one line."""
    count = int(np.prod(found.shape))
    span = "" if found.low is None else f", {found.low:.4g} to {found.high:.4g}"
    return f"{found.name}: {count} number{'s' * (count > 1)} per {found.per}{span}, in {found.frames} frames"


def tabulate(source: Source) -> dict[str, Found]:
    """Everything in a file by its name, with shape, range and count."""
    table: dict[str, Found] = {}
    for raw in source.frames:
        for per, values in (("atom", raw.atom), ("system", raw.system)):
            for name, value in values.items():
                array = numbers_in(value)
                shape = () if array is None else array.shape[1:] if per == "atom" else array.shape
                old = table.get(name)
                if old is None or (old.low is None and array is not None):
                    old = Found(name=name, per=per, shape=shape, frames=old.frames if old else 0)
                table[name] = _widened(old, array)
    return table


def numbers_in(value: Any) -> np.ndarray | None:
    """A value as float64 numbers; None for text and for bare words of a comment, which ASE reads as True."""
    if isinstance(value, bool | np.bool_ | str | None):
        return None
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    return array.astype(np.float64) if array.dtype.kind in "fiu" and array.size else None


def _widened(found: Found, array: np.ndarray | None) -> Found:
    if array is None:
        return replace(found, frames=found.frames + 1)
    finite = array[np.isfinite(array)]
    lows = [x for x in (found.low, float(finite.min()) if finite.size else None) if x is not None]
    highs = [x for x in (found.high, float(finite.max()) if finite.size else None) if x is not None]
    return replace(found, frames=found.frames + 1, low=min(lows, default=None), high=max(highs, default=None))


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user said about a file."""

    keys: Mapping[str, str | None]  # property -> name in the file; None: do not read it
    units: Mapping[str, str]
    components: Mapping[str, str]
    symmetrize: Sequence[str]
    tensors: Mapping[str, tuple[int, ...]]  # declared tensor -> shape of one row

    def check(self, path: str) -> None:
        """Refuse names of properties, units and components that do not exist."""
        known = [*CANDIDATES, *NAMED_ONLY, *self.tensors]
        for name in self.keys:
            if name not in known:
                raise ValueError(
                    f"{path}: keys.{name}: no such property.{nearest(name, known)} "
                    f"A tensor of your own is declared as targets.tensors.{name}."
                )
        quantities = [*unit_tables.UNITS, *_UNIT_OF]
        for name, unit in self.units.items():
            if name not in quantities:
                raise ValueError(f"{path}: units.{name}: no such quantity.{nearest(name, quantities)}")
            unit_tables.factor(_UNIT_OF.get(name, name), unit)
        for name, order in self.components.items():
            if sorted(order.split()) != sorted(_PLACE):
                raise ValueError(f"{path}: components.{name} = {order!r}: expected an order of {VOIGT!r}.")
        for name in (*self.components, *self.symmetrize):
            if name not in ("stress", "virial", "polarizability"):
                raise ValueError(
                    f"{path}: {name!r} has no components to order or to symmetrize."
                    f"{nearest(name, ['stress', 'virial', 'polarizability'])}"
                )


@dataclass(kw_only=True)
class Extraction:
    """Reads the labels of one file, property by property, and keeps account of what it left out."""

    source: Source
    request: Request
    table: dict[str, Found]
    chosen: dict[str, str] = field(init=False)  # property -> name in the file
    units: dict[str, str] = field(init=False)  # property -> unit, as said
    left_out: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.request.check(self.source.path)
        self.chosen = self._choose_all()
        self.units = self._said_units()

    # --- which name is which property

    def _choose_all(self) -> dict[str, str]:
        chosen = {}
        keys = {**{name: name for name in self.request.tensors}, **self.request.keys}
        for name in (*CANDIDATES, *keys):
            if name in ("positions", "numbers"):
                continue
            key = self._named(name, keys[name]) if name in keys else self._customary(name)
            if key is not None:
                chosen[name] = key
        return chosen

    def _named(self, name: str, key: str | None) -> str | None:
        if key is None:
            return None
        if key not in self.table:
            known = [f for f in self.table.values() if f.low is not None or name == "group"]
            listing = "\n".join(f"  {describe(f)}" for f in known) or "  nothing beside species and positions"
            close = nearest(key, [f.name for f in known]).split(" Known:")[0]
            advice = f"Paste keys.{name}=NAME"
            if name == "forces":
                advice += ", or targets.energy.forces=false to do without"
            raise ValueError(
                f"{self.source.path}: no {key!r} (keys.{name}) in the file.{close}\nIt has\n{listing}\n"
                f"{advice}."
            )
        return key

    def _customary(self, name: str) -> str | None:
        wanted = (*CANDIDATES[name], *(_NPZ_CANDIDATES.get(name, ()) if self.source.kind == "npz" else ()))
        found = sorted((k for k in self.table if k.lower() in wanted), key=lambda k: wanted.index(k.lower()))
        if name != "group":
            found = [k for k in found if self.table[k].low is not None]
        fitting = [k for k in found if self._fits(name, self.table[k])]
        if len(fitting) > 1 and name != "group":
            self._refuse_ambiguous(name, fitting)
        return fitting[0] if fitting else None

    def _fits(self, name: str, found: Found) -> bool:
        count = int(np.prod(found.shape))
        if name == "group":
            return found.per == "system"
        sizes = _PER_ATOM.get(name) if found.per == "atom" else _PER_SYSTEM.get(name)
        if sizes and count in sizes:
            return True
        expected = " or ".join(map(str, _PER_ATOM.get(name) or _PER_SYSTEM[name]))
        per = "atom" if name in _PER_ATOM else "system"
        self.left_out[f"{describe(found)}; not read as {name}, which has {expected} per {per}"] = found.frames
        return False

    def _refuse_ambiguous(self, name: str, keys: Sequence[str]) -> None:
        first, *others = keys
        for other in others:
            for index, raw in enumerate(self.source.frames):
                a, b = (numbers_in(_value(raw, name, key)) for key in (first, other))
                if (a is None) != (b is None):
                    detail = f"frame {index} has only {first if b is None else other}"
                elif a is not None and b is not None and not _same(a, b):
                    detail = f"frame {index}: {a.ravel()[0]:.9g} and {b.ravel()[0]:.9g}"
                else:
                    continue
                options = " or ".join(f"keys.{name}={key}" for key in keys)
                raise ValueError(
                    f"{self.source.path}: {name} is ambiguous, {first!r} and {other!r} differ ({detail}). "
                    f"Paste {options}."
                )

    # --- what unit it is in

    def _said_units(self) -> dict[str, str]:
        stated = {n: self.source.units[k] for n, k in self.chosen.items() if k in self.source.units}
        if "length" in self.source.units:
            stated["length"] = self.source.units["length"]
        said = {**stated, **self.request.units}
        for name, unit in stated.items():
            if (
                name in unit_tables.UNITS
                and unit not in unit_tables.UNITS[name]
                and name not in self.request.units
            ):
                raise ValueError(
                    f"{self.source.path}: the file states the unit {unit!r} for {name}, which is not known. "
                    f"Paste units.{name}=UNIT, one of {', '.join(unit_tables.UNITS[name])}."
                )
        self._ask_npz_units(said)
        energy, length = said.get("energy", "eV"), said.get("length", "Å")
        for name, follows in (("forces", f"{energy}/{length}"), ("virial", energy)):
            if (
                name in self.chosen
                and name not in said
                and (energy != "eV" or (name == "forces" and length != "Å"))
            ):
                raise ValueError(
                    f"{self.source.path}: units.energy={energy} and units.length={length} leave the unit "
                    f"of {name} open. Paste units.{name}={follows}, or what it is."
                )
        return said

    def _ask_npz_units(self, said: Mapping[str, str]) -> None:
        open_units = [n for n in ("energy", "forces") if n in self.chosen and n not in said]
        if self.source.kind != "npz" or not open_units:
            return
        guess, evidence = None, ""
        if "energy" in self.chosen:
            pairs = [
                (f.atoms.numbers, numbers_in(f.system.get(self.chosen["energy"])))
                for f in self.source.frames[:50]
            ]
            energies = np.array([e.ravel()[0] for _, e in pairs if e is not None])
            guess = guess_energy_unit([z for z, e in pairs if e is not None], energies)
            evidence = f" Energies: {energy_evidence(pairs[0][0], energies[0])}."
        likely = guess or "UNIT"
        paste = ", ".join(f"{n}: {likely}{'/Å' if n == 'forces' else ''}" for n in open_units)
        looks = f" It looks like {guess}." if guess else " (r)MD17 files are in kcal/mol."
        raise ValueError(
            f"{self.source.path}: an npz file does not say the unit of {' and '.join(open_units)}."
            f"{evidence}{looks} Paste data.units={{{paste}}}"
        )

    # --- one frame

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
            if name not in _NO_UNIT:
                value = self._label(raw, frame, name)
                if value is not None:
                    labels[name] = value
        self._settle_stress(frame, labels)
        group = raw.system.get(self.chosen.get("group", ""))
        return replace(
            frame,
            labels=labels,
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

    def _scalar(self, raw: RawFrame, frame: Frame, name: str) -> float | None:
        value = self._label(raw, frame, name)
        return None if value is None else float(value)

    def _label(self, raw: RawFrame, frame: Frame, name: str) -> np.ndarray | None:
        key = self.chosen.get(name)
        if key is None:
            return None
        value = _value(raw, name, key)
        array = numbers_in(value)
        if array is None:
            if value is None or isinstance(value, bool | np.bool_):
                return None
            raise ValueError(f"{frame.where}: {key} = {str(value)[:40]!r} is not a number.")
        _refuse_nan(frame, key, array)
        unit = self.units.get(name)
        if unit is not None:
            array = np.asarray(array * unit_tables.factor(_UNIT_OF.get(name, name), unit))
        return self._shaped(frame, name, key, array, per_atom=key in raw.atom)

    def _shaped(self, frame: Frame, name: str, key: str, array: np.ndarray, per_atom: bool) -> np.ndarray:
        n = frame.num_atoms
        if name in _PER_ATOM:
            rest = tuple(s for s in _PER_ATOM[name] if s > 1)
            if array.size == n * _PER_ATOM[name][0]:
                return array.reshape(n, *rest)
        elif name in self.request.tensors or name not in _PER_SYSTEM:
            rows = n if per_atom else 1
            shape = self.request.tensors.get(name, array.shape[1:] if per_atom else array.shape)
            if array.size == rows * int(np.prod(shape)):
                return array.reshape(rows, *shape)
        elif array.size in _PER_SYSTEM[name]:
            if array.size in (6, 9):
                return self._matrix(frame, name, key, array.reshape(-1))
            return array.reshape(3) if array.size == 3 else array.reshape(())
        raise ValueError(f"{frame.where}: {key} has shape {array.shape}, which is not that of {name}.")

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
                a, b = _PLACE[place]
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

    # --- the account

    def described(self, found: Found) -> Found:
        """A name of the file with the property and unit it was read as."""
        used = next((name for name, key in self.chosen.items() if key == found.name), None)
        quantity = _UNIT_OF.get(used or "", used)
        if quantity not in unit_tables.INTERNAL:
            return replace(found, used_as=used)
        unit = self.units.get(used or "")
        return replace(found, used_as=used, unit=unit or unit_tables.INTERNAL[quantity], assumed=unit is None)

    def notes(self) -> list[str]:
        """What was left out, and conventions that were applied."""
        notes = [f"{reason} ({count} frames)." for reason, count in self.left_out.items()]
        if "virial" in self.chosen:
            notes.append("stress is taken from the virial W as −W/V: positive under tension, (1/V) ∂E/∂ε.")
        return notes


def _value(raw: RawFrame, name: str, key: str) -> Any:
    first, second = (raw.atom, raw.system) if name in _PER_ATOM else (raw.system, raw.atom)
    return first.get(key, second.get(key))


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal up to the digits that a text file drops."""
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-7, atol=1e-6, equal_nan=True)


def _refuse_nan(frame: Frame, key: str, array: np.ndarray) -> None:
    if np.isfinite(array).all():
        return
    place = np.argwhere(~np.isfinite(array))[0]
    atom = f", atom {place[0]}" if array.ndim and array.shape[0] == frame.num_atoms else ""
    raise ValueError(
        f"{frame.where}{atom}: {key} is {array[tuple(place)]}. "
        "Remove the number (a missing label is left out) or the frame."
    )
