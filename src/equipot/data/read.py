"""Reading structures and labels by name and unit. Nothing is guessed without being said.

Without `keys`, every property is searched under its customary names; two candidates with different
numbers are an error. Without `units`, the convention of ASE holds (eV, Å, e); npz files have no
convention and must say.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

from equipot.data.extraction import Extraction
from equipot.data.frame import Frame
from equipot.data.keys import Request, choose, said_units
from equipot.data.labels import PER_ATOM, Found, describe, tabulate
from equipot.data.sources import RawFrame, open_source

#: values of `config_type` that mark an isolated atom, in lower case and without separators
_ISOLATED = {"isolatedatom", "isolatedatoms", "isolated"}


@dataclass(frozen=True, kw_only=True)
class Frames(Sequence[Frame]):
    """The frames of a file, with a table of everything that was found in it."""

    path: str
    kind: str  # "extxyz", "npz", "database", or ASE's name of the format
    frames: tuple[Frame, ...]
    found: tuple[Found, ...] = ()
    notes: tuple[str, ...] = ()

    @overload
    def __getitem__(self, place: int) -> Frame: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Frame, ...]: ...
    def __getitem__(self, place: int | slice) -> Frame | tuple[Frame, ...]:
        return self.frames[place]

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    @property
    def structures(self) -> tuple[Frame, ...]:
        """Frames to train on or to evaluate: all but the isolated atoms."""
        return tuple(f for f in self.frames if not f.isolated)

    @property
    def isolated(self) -> tuple[Frame, ...]:
        """Isolated atoms: reference energies."""
        return tuple(f for f in self.frames if f.isolated)

    @property
    def labels(self) -> tuple[str, ...]:
        """Canonical names of the labels that some structure carries."""
        return tuple(dict.fromkeys(n for f in self.structures for n in f.labels))

    def count(self, name: str) -> int:
        """Structures that carry a label."""
        return sum(name in f.labels for f in self.structures)

    def require(self, names: Sequence[str], everywhere: bool = False) -> None:
        """Raise ValueError when a label is in no structure, or, if `everywhere`, not in all of them."""
        for name in names:
            count, total = self.count(name), len(self.structures)
            if count == 0:
                raise ValueError(missing_label(self, name))
            if everywhere and count < total:
                first = next(f for f in self.structures if name not in f.labels)
                raise ValueError(
                    f"{self.path}: {total - count} of {total} frames have no {name}, the first is frame "
                    f"{first.index}. data.required demands it in all: complete them, or take it off the list."
                )


def missing_label(frames: Frames, name: str) -> str:
    """Message for a label that is in no frame: what the file has instead, and what to paste."""
    per = "atom" if name in PER_ATOM else "system"
    fitting = [f for f in frames.found if f.per == per and f.low is not None]
    listing = "\n".join(f"  {describe(f)}" for f in fitting) or "  none"
    off = {"forces": "targets.energy.forces=false", "stress": "targets.energy.stress=false"}
    without = f", or {off[name]} to do without" if name in off else ""
    return (
        f"{frames.path}: no {name} found. Numbers per {per} in the file:\n{listing}\n"
        f"Paste keys.{name}=NAME{without}."
    )


def read(
    path: str | Path,
    keys: Mapping[str, str | None] | None = None,
    units: Mapping[str, str] | None = None,
    *,
    components: Mapping[str, str] | None = None,
    symmetrize: Sequence[str] = (),
    tensors: Mapping[str, tuple[int, ...]] | None = None,
    isolated: bool = False,
) -> Frames:
    """Read extended XYZ (also .gz, .bz2, .xz), npz, ASE databases and ASE's other formats.

    Args:
        path: the file. Nothing in it is executed: pickles and arrays of objects are refused.
        keys: property -> name in the file, which must exist; None leaves a property out.
        units: property -> unit of the file, see `equipot.units.UNITS`; `length` for positions and cell.
        components: property -> order of six numbers, say "xx yy zz yz xz xy".
        symmetrize: matrices (polarizability, stress) of which the symmetric part is taken.
        tensors: declared tensor -> shape of one row; its key defaults to its own name.
        isolated: take single atoms for isolated atoms whatever they are called.

    A `virial` W becomes stress = −W / V, so that stress = (1/V) ∂E/∂ε is positive under tension.
    """
    named = {n: k for n, k in (keys or {}).items() if k is not None}
    source = open_source(path, named)
    request = Request(
        keys=dict(keys or {}),
        units=dict(units or {}),
        components=dict(components or {}),
        symmetrize=tuple(symmetrize),
        tensors=dict(tensors or {}),
    )
    table = tabulate(source)
    choice = choose(source, table, request)
    extraction = Extraction(
        source=source,
        request=request,
        chosen=choice.names,
        units=said_units(source, choice.names, request),
        left_out=dict(choice.left_out),
    )
    frames = [extraction.frame(k) for k in range(len(source.frames))]
    return Frames(
        path=source.path,
        kind=source.kind,
        frames=tuple(_marked(f, raw, isolated) for f, raw in zip(frames, source.frames, strict=True)),
        found=tuple(extraction.described(f) for f in table.values()),
        notes=tuple(extraction.notes()),
    )


def _marked(frame: Frame, raw: RawFrame, given: bool) -> Frame:
    """Mark an isolated atom: one atom that is called so, was given as such, or is neutral in open space."""
    if frame.num_atoms != 1:
        return frame
    called = str(raw.system.get("config_type", "")).lower().replace("_", "").replace("-", "").replace(" ", "")
    alone = not frame.pbc.any() and frame.charge in (None, 0.0)
    return replace(frame, isolated=given or called in _ISOLATED or alone)
