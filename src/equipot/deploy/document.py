"""What a model file says of itself: everything beside the weights."""

import json
import math
import platform
import re
from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field, JsonValue, NonNegativeInt

import equipot
from equipot.batch import ATOMIC_VECTORS
from equipot.config import Config, parse
from equipot.data.labels import UNIT_OF
from equipot.deploy.tensors import unique_keys
from equipot.potential import PotentialConfig
from equipot.potential.targets import NAMED
from equipot.statistics import Statistics
from equipot.units import INTERNAL

FORMAT_VERSION = 1
#: component order, normalisation and signs of docs/theory/conventions.md, and their version
Convention = Literal["real harmonics in e3nn order, component normalised, Cartesian sign of couplings; 1"]
CONVENTION: Convention = "real harmonics in e3nn order, component normalised, Cartesian sign of couplings; 1"
Precision = Literal["float32", "float64"]
MAX_FINGERPRINT_ATOMS = 200
MAX_EXTENT = 1e4  # Å; neighbor searches divide space into cells of the cutoff and count them in integers
CUTOFFS = (0.1, 1e3)  # Å
_DEEPEST = 64  # levels of a document
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')  # those inside of text are text

Vector = tuple[float, float, float]


def plain(value: Any) -> Any:
    """Values as JSON knows them. It has no NaN and no infinity; null stands for both."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


Table = Annotated[dict[str, JsonValue], BeforeValidator(plain)]


class Proof(Config):
    """One line of the proof sheet: a measured error and the limit it was held against."""

    name: str
    value: Annotated[float | None, BeforeValidator(plain)]  # None: not a finite number
    limit: float
    passed: bool
    detail: str = ""


class DataFile(Config):
    """A file that a model was made from."""

    name: str
    sha256: str
    frames: NonNegativeInt | None = None

    @classmethod
    def of(cls, path: str | Path, frames: int | None = None) -> "DataFile":
        """The file at a path; its folder is nobody's business."""
        with Path(path).open("rb") as file:
            return cls(name=Path(path).name, sha256=file_digest(file, "sha256").hexdigest(), frames=frames)


class Ancestor(Config):
    """A model file that a training started from."""

    name: str
    identity: str  # hash of its weights and of what gives them a meaning


class Provenance(Config):
    """Where a model comes from."""

    ancestors: tuple[Ancestor, ...] = ()  # of a fine-tuned model, the nearest first
    data: tuple[DataFile, ...] = ()
    split: dict[str, NonNegativeInt] = {}  # part -> number of frames
    split_seed: int | None = None
    seed: int | None = None
    versions: dict[str, str] = {}
    created: str = ""  # ISO 8601
    device: str = ""
    seconds: float | None = None
    command: str = ""


def versions() -> dict[str, str]:
    """Versions of what computes."""
    return {
        "equipot": equipot.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


class Fingerprint(Config):
    """A small frame and what the model says of it: whoever loads the model must get the same numbers."""

    numbers: tuple[int, ...] = Field(min_length=1, max_length=MAX_FINGERPRINT_ATOMS)
    positions: tuple[Vector, ...]  # Å
    cell: tuple[Vector, Vector, Vector]  # Å
    pbc: tuple[bool, bool, bool]
    charge: float | None = None  # e
    spin: float | None = None  # multiplicity
    vectors: dict[str, tuple[Vector, ...]] = {}  # covariant inputs of the atoms that the model reads
    expected: dict[str, tuple[float, ...]] = Field(
        min_length=1
    )  # name -> components, flattened; internal units


class ModelDocument(Config):
    """The whole document. A field added later gets a default, so that old files stay readable."""

    format_version: int = FORMAT_VERSION
    convention: Convention = CONVENTION
    potential: PotentialConfig
    statistics: Statistics
    precision: Precision
    units: dict[str, str]
    fingerprints: tuple[Fingerprint, ...] = Field(min_length=1, max_length=16)
    provenance: Provenance = Provenance()
    run: Table = {}  # the resolved configuration
    metrics: Table = {}  # part -> target -> measure -> number
    history: tuple[Table, ...] = ()  # validations of the training, short
    proofs: tuple[Proof, ...] = ()
    licence: str = "not stated"  # of the weights
    citation: str = ""  # BibTeX of the architecture


def units(potential: PotentialConfig) -> dict[str, str]:
    """Unit of every input and output of a potential."""
    targets = potential.targets
    out = {"positions": INTERNAL["length"], "cell": INTERNAL["length"], "charge": INTERNAL["charges"]}
    out |= {name: INTERNAL[UNIT_OF.get(name, name)] for name in potential.model.atomic_inputs}
    out |= {"spin": "1"} if "spin" in potential.model.conditions else {}
    if targets.energy is not None:
        out |= {name: INTERNAL[name] for name in ("energy", "forces", "stress")}
        out["atomic_energies"] = INTERNAL["energy"]
    for name in NAMED:
        if getattr(targets, name) is not None:
            out[name] = INTERNAL[name]
    return out | {name: target.unit for name, target in targets.tensors.items()}


def to_json(document: ModelDocument) -> str:
    """One text for one document: fields in their order, floats exact, no spaces."""
    try:
        return json.dumps(document.model_dump(mode="json"), separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise ValueError(
            "a model's document holds a NaN or an infinite number; its training diverged."
        ) from None


def from_json(text: str, where: str) -> ModelDocument:
    """The document in a header; ValueError when it is newer, incomplete, unknown or contradicts itself."""
    _refuse_depth(text, where)
    try:
        values = json.loads(text, object_pairs_hook=unique_keys, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: its document is not valid JSON: {error}.") from None
    if not isinstance(values, dict):
        raise ValueError(f"{where}: its document is not a table of names.")
    _check_version(values, where)
    try:
        document = parse(ModelDocument, _completed(values), where)
    except (ValueError, OverflowError) as error:
        raise ValueError(_shortened(str(error))) from None
    check_consistent(document, where)
    return document


def _refuse_depth(text: str, where: str) -> None:
    """ValueError for brackets so deep that Python's reader, whose own limit others may have raised, would crash."""
    depth = 0
    for mark in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark.group(), 0)
        if depth > _DEEPEST:
            raise ValueError(
                f"{where}: its document is not valid JSON: it is nested deeper than {_DEEPEST} levels."
            )


def check_consistent(document: ModelDocument, where: str) -> None:
    """Parts of a document that must agree with each other."""
    statistics, found = document.statistics, document.units
    elements = statistics.elements
    if not elements or list(elements) != sorted(set(elements)) or not 1 <= elements[0] <= elements[-1] <= 118:
        raise ValueError(f"{where}: elements {elements[:20]}: expected atomic numbers, each once, ascending.")
    baselines = {n: t.baseline for n, t in statistics.targets.items()}
    for name, numbers in {"reference_energies": statistics.reference_energies, **baselines}.items():
        if len(numbers) != len(elements):
            raise ValueError(f"{where}: {name}: found {len(numbers)} numbers for {len(elements)} elements.")
    if not _finite([statistics.model_dump(), document.potential.model_dump()]):
        raise ValueError(f"{where}: a statistic or hyper-parameter is not finite. The training diverged?")
    cutoff = document.potential.model.cutoff
    if not CUTOFFS[0] <= cutoff <= CUTOFFS[1]:
        raise ValueError(
            f"{where}: cutoff = {cutoff} Å: expected one between {CUTOFFS[0]} and {CUTOFFS[1]} Å."
        )
    if found != units(document.potential):
        raise ValueError(f"{where}: units {found}: expected {units(document.potential)}.")
    for index, fingerprint in enumerate(document.fingerprints):
        _check_fingerprint(fingerprint, elements, f"{where}: fingerprint {index}")


def _completed(values: dict[str, Any]) -> dict[str, Any]:
    """Keys of which 0.1.0 knew one value alone, where the present default is another."""
    found: Any = values
    for key in ("potential", "targets", "tensors"):
        found = found.get(key) if isinstance(found, dict) else None
    for target in found.values() if isinstance(found, dict) else ():
        if isinstance(target, dict):
            target.setdefault("readout", "linear")
    return values


def _check_version(values: dict[str, Any], where: str) -> None:
    version = values.get("format_version")
    if type(version) is not int or version < 1:
        raise ValueError(f"{where}: format_version = {str(version)[:40]}: expected a number from 1 on.")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{where}: found a model file of format version {version}; expected at most {FORMAT_VERSION},"
            f" which this equipot {equipot.__version__} reads. Install a newer equipot."
        )


def _check_fingerprint(fingerprint: Fingerprint, elements: tuple[int, ...], where: str) -> None:
    if len(fingerprint.positions) != len(fingerprint.numbers):
        raise ValueError(
            f"{where}: found {len(fingerprint.positions)} positions for {len(fingerprint.numbers)} atoms."
        )
    for name, vectors in fingerprint.vectors.items():
        if name not in ATOMIC_VECTORS or len(vectors) != len(fingerprint.numbers):
            known = ", ".join(ATOMIC_VECTORS)
            raise ValueError(
                f"{where}: found {len(vectors)} vectors {name[:40]!r}; expected one per atom of {known}."
            )
    if not set(fingerprint.numbers) <= set(elements):
        raise ValueError(f"{where}: its atoms are not all of the model's elements {elements}.")
    if not _finite(fingerprint.model_dump()):
        raise ValueError(f"{where}: it holds a number that is not finite.")
    if max(abs(x) for row in (*fingerprint.positions, *fingerprint.cell) for x in row) > MAX_EXTENT:
        raise ValueError(f"{where}: it is larger than {MAX_EXTENT:.0f} Å.")


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return _finite(list(value.values()))
    if isinstance(value, list | tuple):
        return all(_finite(v) for v in value)
    return not isinstance(value, float) or math.isfinite(value)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _shortened(message: str) -> str:
    """An error of a hostile file may quote megabytes of it."""
    lines = [line if len(line) < 400 else f"{line[:300]} … {line[-80:]}" for line in message.splitlines()]
    return "\n".join(lines[:10] + [f"and {len(lines) - 10} more"] * (len(lines) > 10))
