"""What the user said about names and units, and what a file says itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equipot import units as unit_tables
from equipot.config import nearest
from equipot.data.labels import (
    BORN_ORDERS,
    CANDIDATES,
    NAMED_ONLY,
    NPZ_CANDIDATES,
    PER_ATOM,
    PER_SYSTEM,
    PLACE,
    UNIT_OF,
    VOIGT,
    Found,
    describe,
    numbers_in,
    value_of,
)
from equipot.data.recognize import energy_evidence, guess_energy_unit
from equipot.data.sources import Source


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
        quantities = [*unit_tables.UNITS, *UNIT_OF]
        for name, unit in self.units.items():
            if name not in quantities:
                raise ValueError(f"{path}: units.{name}: no such quantity.{nearest(name, quantities)}")
            unit_tables.factor(UNIT_OF.get(name, name), unit)
        for name, order in self.components.items():
            if name == "born_charges":
                _check_born_order(path, order)
            elif sorted(order.split()) != sorted(PLACE):
                raise ValueError(f"{path}: components.{name} = {order!r}: expected an order of {VOIGT!r}.")
        for name in ({*self.components} - {"born_charges"}).union(self.symmetrize):
            if name not in ("stress", "virial", "polarizability"):
                raise ValueError(
                    f"{path}: {name!r} has no components to order or to symmetrize."
                    f"{nearest(name, ['stress', 'virial', 'polarizability'])}"
                )


def _check_born_order(path: str, order: str) -> None:
    if order not in BORN_ORDERS:
        raise ValueError(
            f"{path}: components.born_charges = {order!r}: expected {' or '.join(map(repr, BORN_ORDERS))}, what the"
            " rows and what the columns of a Born charge belong to."
        )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which name of a file is which property."""

    names: Mapping[str, str]  # property -> name in the file
    left_out: Mapping[str, int]  # what looked like a property and is none -> number of frames


def choose(source: Source, table: Mapping[str, Found], request: Request) -> Choice:
    """Names as said; for properties about which nothing is said, the customary ones.

    Raises ValueError for a name that the file does not have, and for two customary names with
    different numbers.
    """
    request.check(source.path)
    keys = {**{name: name for name in request.tensors}, **request.keys}
    names: dict[str, str] = {}
    left_out: dict[str, int] = {}
    for name in (*CANDIDATES, *keys):
        if name in ("positions", "numbers"):
            continue
        key = (
            _named(source, table, name, keys[name])
            if name in keys
            else _customary(source, table, name, left_out)
        )
        if key is not None:
            names[name] = key
    return Choice(names=names, left_out=left_out)


def _named(source: Source, table: Mapping[str, Found], name: str, key: str | None) -> str | None:
    if key is None or key in table:
        return key
    known = [f for f in table.values() if f.low is not None or name == "group"]
    listing = "\n".join(f"  {describe(f)}" for f in known) or "  nothing beside species and positions"
    close = nearest(key, [f.name for f in known]).split(" Known:")[0]
    without = ", or targets.energy.forces=false to do without" if name == "forces" else ""
    raise ValueError(
        f"{source.path}: no {key!r} (keys.{name}) in the file.{close}\nIt has\n{listing}\n"
        f"Paste keys.{name}=NAME{without}."
    )


def _customary(source: Source, table: Mapping[str, Found], name: str, left_out: dict[str, int]) -> str | None:
    wanted = (*CANDIDATES[name], *(NPZ_CANDIDATES.get(name, ()) if source.kind == "npz" else ()))
    found = sorted((k for k in table if k.lower() in wanted), key=lambda k: wanted.index(k.lower()))
    if name == "group":
        return next((k for k in found if table[k].per == "system"), None)
    fitting = []
    for key in found:
        if table[key].low is not None and _fits(name, table[key]):
            fitting.append(key)
        elif table[key].low is not None:
            sizes = " or ".join(map(str, PER_ATOM.get(name) or PER_SYSTEM[name]))
            per = "atom" if name in PER_ATOM else "system"
            reason = f"{describe(table[key])}; not read as {name}, which has {sizes} per {per}"
            left_out[reason] = table[key].frames
    if len(fitting) > 1:
        _refuse_ambiguous(source, name, fitting)
    return fitting[0] if fitting else None


def _fits(name: str, found: Found) -> bool:
    sizes = PER_ATOM.get(name) if found.per == "atom" else PER_SYSTEM.get(name)
    return sizes is not None and int(np.prod(found.shape)) in sizes


def _refuse_ambiguous(source: Source, name: str, keys: Sequence[str]) -> None:
    first, *others = keys
    for other in others:
        for index, raw in enumerate(source.frames):
            a, b = (numbers_in(value_of(raw, name, key)) for key in (first, other))
            if (a is None) != (b is None):
                detail = f"frame {index} has only {first if b is None else other}"
            elif a is not None and b is not None and not _same(a, b):
                detail = f"frame {index}: {a.ravel()[0]:.9g} and {b.ravel()[0]:.9g}"
            else:
                continue
            raise ValueError(
                f"{source.path}: {name} is ambiguous, {first!r} and {other!r} differ ({detail}). "
                f"Paste {' or '.join(f'keys.{name}={key}' for key in keys)}."
            )


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal up to the digits that a text file drops."""
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-7, atol=1e-6, equal_nan=True)


def said_units(source: Source, names: Mapping[str, str], request: Request) -> dict[str, str]:
    """Unit of every property that has one, as said by the user or stated by the file.

    Raises ValueError where a unit is needed and missing: in npz files, and for derivatives of an
    energy that is not in eV.
    """
    stated = {n: source.units[k] for n, k in names.items() if k in source.units}
    if "length" in source.units:
        stated["length"] = source.units["length"]
    for name, unit in stated.items():
        table = unit_tables.UNITS.get(UNIT_OF.get(name, name))
        if table is not None and unit not in table and name not in request.units:
            raise ValueError(
                f"{source.path}: the file states the unit {unit!r} for {name}, which is not known. "
                f"Paste units.{name}=UNIT, one of {', '.join(table)}."
            )
    said = {**stated, **request.units}
    _ask_npz_units(source, names, said)
    _ask_following_units(source, names, said)
    return said


def _ask_following_units(source: Source, names: Mapping[str, str], said: Mapping[str, str]) -> None:
    energy, length = said.get("energy", "eV"), said.get("length", "Å")
    if energy == "eV" and length == "Å":
        return
    follows = {"forces": f"{energy}/{length}", "virial": energy, "stress": "eV/Å^3"}
    for name, unit in follows.items():
        if name in names and name not in said and (energy != "eV" or name != "virial"):
            raise ValueError(
                f"{source.path}: units.energy={energy} and units.length={length} leave the unit of {name} open. "
                f"Paste units.{name}={unit}, or what it is."
            )


def _ask_npz_units(source: Source, names: Mapping[str, str], said: Mapping[str, str]) -> None:
    missing = [n for n in ("energy", "forces") if n in names and n not in said]
    if source.kind != "npz" or not missing:
        return
    guess, evidence = None, ""
    if "energy" in names:
        some = source.frames[:50]
        energies = np.array([float(f.system[names["energy"]].ravel()[0]) for f in some])
        guess = guess_energy_unit([f.atoms.numbers for f in some], energies)
        evidence = f" Energies: {energy_evidence(some[0].atoms.numbers, float(energies[0]))}."
    paste = ", ".join(f"{n}: {guess or 'UNIT'}{'/Å' if n == 'forces' else ''}" for n in missing)
    looks = f" It looks like {guess}." if guess else " (r)MD17 files are in kcal/mol."
    raise ValueError(
        f"{source.path}: an npz file does not say the unit of {' and '.join(missing)}.{evidence}{looks} "
        f"Paste data.units={{{paste}}}"
    )
