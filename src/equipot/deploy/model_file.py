"""NAME.equipot: weights and everything that gives them a meaning, in one file that cannot run anything.

Loading trusts nothing: sizes, then the document, then a model of that configuration without memory, whose
names, shapes and dtypes must be those of the file, then the weights, then the stored frames computed again.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from equipot.data.frame import Frame
from equipot.deploy import fingerprints
from equipot.deploy.atomic import write_atomically
from equipot.deploy.citations import bibtex
from equipot.deploy.document import (
    ModelDocument,
    Precision,
    Proof,
    Provenance,
    check_consistent,
    from_json,
    to_json,
    units,
)
from equipot.deploy.tensors import Header, Stored, pack, read_data, read_header, read_tensors, repack
from equipot.potential import Potential

PRECISIONS: dict[torch.dtype, Precision] = {torch.float32: "float32", torch.float64: "float64"}
DTYPES = {name: dtype for dtype, name in PRECISIONS.items()}


def describe(
    potential: Potential,
    frames: Sequence[Frame] = (),
    *,
    provenance: Provenance | None = None,
    run: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    proofs: Sequence[Proof] = (),
    licence: str = "not stated",
) -> ModelDocument:
    """The document of a potential. The three smallest of `frames` (training data) are its fingerprints."""
    chosen = fingerprints.choose(frames, potential)
    return ModelDocument(
        potential=potential.config,
        statistics=potential.statistics,
        precision=_precision(potential),
        units=units(potential.config),
        fingerprints=tuple(fingerprints.fingerprint(potential, f) for f in chosen),
        provenance=provenance or Provenance(),
        run=dict(run or {}),
        metrics=dict(metrics or {}),
        history=tuple(dict(h) for h in history),
        proofs=tuple(proofs),
        licence=licence,
        citation=bibtex(potential.config.model.name),
    )


def save(path: str | Path, potential: Potential, document: ModelDocument | None = None) -> ModelDocument:
    """Write a model file, atomically, and only if it loads again with the same numbers."""
    path, tensors = Path(path), weights(potential)
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(
                f"{path}: not saved: {name} has weights that are not finite. The training diverged."
            )
    document = document or describe(potential)
    check_consistent(document, str(path))
    write_atomically(path, pack("model", to_json(document), tensors), check=load)
    return document


def load(
    path: str | Path, device: torch.device | str = "cpu", check: bool = True
) -> tuple[Potential, ModelDocument]:
    """The potential of a file, and its document; ValueError for anything that is not exactly what was saved.

    `check=False` leaves out the fingerprints, not the checksum.
    """
    header = read_header(path, "model")
    document = from_json(header.document, str(path))
    _check_tensors(header, _outline(document, header), DTYPES[document.precision])
    potential = _build(document, header.path)
    stored = read_tensors(header)
    with torch.no_grad():
        for name, tensor in weights(potential).items():
            if not bool(torch.isfinite(stored[name]).all()):
                raise ValueError(
                    f"{path}: {name} has weights that are not finite; expected numbers. Train again."
                )
            tensor.copy_(stored[name])
    potential = potential.to(device).eval()
    if check:
        _check_fingerprints(potential, document, str(path))
    return potential, document


def read_document(path: str | Path) -> ModelDocument:
    """The document of a file alone; no tensor is read, and the checksum not verified."""
    return from_json(read_header(path, "model").document, str(path))


def rewrite(path: str | Path, **changes: Any) -> ModelDocument:
    """Replace fields of the document; the tensors stay, byte by byte."""
    header = read_header(path, "model")
    document = from_json(header.document, str(path))
    values = {**dict(document), **changes}
    document = ModelDocument.model_validate(values)
    check_consistent(document, str(path))
    write_atomically(Path(path), repack(header, to_json(document)), check=read_document)
    return document


def with_proofs(path: str | Path, proofs: Sequence[Proof]) -> ModelDocument:
    """Store a proof sheet in the file."""
    return rewrite(path, proofs=tuple(proofs))


def identity(path: str | Path) -> str:
    """A hash of what determines the numbers of a model; it survives new proofs and metrics.

    Defaults are left out, so that an option which a later version adds does not change the hash of an old file.
    """
    header = read_header(path, "model")
    document = from_json(header.document, str(path))
    tables = (document.potential, document.statistics)
    essence = [document.convention, document.precision, document.potential.model.name]
    essence += [table.model_dump_json(exclude_defaults=True) for table in tables]
    return hashlib.sha256("\n".join(essence).encode() + read_data(header)).hexdigest()


def weights(potential: Potential) -> dict[str, Tensor]:
    """Parameters, and buffers of real numbers whether torch calls them persistent or not.

    A constant such as the frequencies of a radial basis has the rounding of the precision it was made in, so
    it belongs to the numbers of a model. Indices follow from the document.
    """
    buffers = {n: b for n, b in potential.named_buffers() if b.is_floating_point()}
    return {**dict(potential.named_parameters()), **buffers}


def _precision(potential: Potential) -> Precision:
    found = {t.dtype for t in weights(potential).values()}
    if len(found) != 1 or (dtype := found.pop()) not in PRECISIONS:
        raise ValueError(f"a potential of {sorted(map(str, found))}; expected all float32, or all float64.")
    return PRECISIONS[dtype]


def _outline(document: ModelDocument, header: Header) -> dict[str, tuple[int, ...]]:
    """Names and shapes that the document asks for, found without memory and without exceeding the file."""
    with _at_most(header.tensors), torch.device("meta"):
        potential = _build(document, header.path)
    return {name: tuple(tensor.shape) for name, tensor in weights(potential).items()}


def _build(document: ModelDocument, path: Path) -> Potential:
    """A potential of the document, its weights still random; the caller's random numbers are left alone."""
    try:
        with torch.random.fork_rng(devices=[]):
            return Potential(document.potential, document.statistics).to(DTYPES[document.precision])
    except Exception as error:  # whatever a foreign document brings a constructor to: the file is at fault
        message = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise ValueError(f"{path}: no model can be built as its document says: {message}") from error


@contextmanager
def _at_most(tensors: Mapping[str, Stored]) -> Iterator[None]:
    """Stop building when a model has more weights than the file: 10⁹ layers take 10⁹ steps even empty."""
    # a model that asks for a little more is built, so that the message can name what is missing
    left = [len(tensors) + 100, sum(t.numel for t in tensors.values()) + 1_000_000]
    thread = threading.get_ident()

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        if tensor is None or not tensor.is_floating_point() or threading.get_ident() != thread:
            return
        left[0] -= 1
        left[1] -= tensor.numel()
        if min(left) < 0:
            raise ValueError("its hyper-parameters ask for more weights than the file holds.")

    hooks = (register_module_parameter_registration_hook, register_module_buffer_registration_hook)
    handles = [register(count) for register in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_tensors(header: Header, expected: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> None:
    missing, extra = sorted(set(expected) - set(header.tensors)), sorted(set(header.tensors) - set(expected))
    if missing or extra:
        raise ValueError(
            f"{header.path}: tensors missing: {_some(missing)}; unknown: {_some(extra)}."
            " The weights do not belong to the document; take a good copy."
        )
    for name, shape in expected.items():
        found = header.tensors[name]
        if found.shape != shape or found.dtype != dtype:
            raise ValueError(
                f"{header.path}: {name}: found {found.dtype} {found.shape}; expected {dtype} {shape}."
                " The weights do not belong to the document; take a good copy."
            )


def _check_fingerprints(potential: Potential, document: ModelDocument, where: str) -> None:
    try:
        fingerprints.check(potential, document.fingerprints, document.precision, where)
    except ValueError:
        raise
    except Exception as error:  # as in `_build`
        raise ValueError(f"{where}: its stored frames cannot be computed: {str(error)[:300]}") from error


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(n[:60] for n in names[:3]) or "none"
    return shown + f" and {len(names) - 3} more" * (len(names) > 3)
