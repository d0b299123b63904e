"""A safetensors file with one JSON document and one checksum in its header.

    8 bytes   length of the header, little endian
    header    JSON: name -> dtype, shape, offsets; under `__metadata__` three strings: kind, document, sha256
    data      the tensors, one after another

The checksum covers kind, document, the table of tensors and the data, so that a file is either exactly what
was written or refused. Nothing in such a file can run: there is no pickle to open.
"""

import codecs
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

MAX_HEADER = 16 * 2**20  # bytes
MAX_TENSORS = 10_000
KINDS = {"model": "a model file", "state": "the state of a training run"}
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive, as torch.save writes it, with a pickle inside"),
    (b"\x80", "a pickle"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "an HDF5 file"),
)


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies in the data, and what it is."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """What a file says before any tensor is read."""

    path: Path
    kind: str
    document: str
    sha256: str
    table: Mapping[str, Any]  # as in the file
    tensors: Mapping[str, Stored]
    data_start: int


def refuse(path: Path, found: str, expected: str, fix: str) -> ValueError:
    """The error of a file that is not what it should be."""
    return ValueError(f"{path}: found {found}; expected {expected}. {fix}")


def pack(kind: str, document: str, tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a file."""
    # copies, because safetensors refuses tensors that share memory
    own = {n: t.detach().to("cpu", copy=True).contiguous() for n, t in tensors.items()}
    body = safetensors.torch.save(own)
    start = 8 + int.from_bytes(body[:8], "little")
    return _assemble(kind, document, json.loads(body[8:start]), body[start:])


def read_header(path: str | Path, kind: str) -> Header:
    """Header of a file of that kind, checked against the size of the file; no tensor is read."""
    path = Path(path)
    if not path.is_file():
        inside = path / "model.equipot"
        hint = f" Did you mean {inside}?" if inside.is_file() else " Expected a file NAME.equipot."
        raise ValueError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}.{hint}")
    size = path.stat().st_size
    with path.open("rb") as file:
        raw = _raw_header(path, file.read(512), size)
        file.seek(8)
        text = file.read(raw)
    values = _parse(path, text)
    metadata = values.pop("__metadata__", None)
    _check_metadata(path, metadata, kind)
    stored = {name: _stored(path, name, entry) for name, entry in values.items()}
    _check_layout(path, stored.values(), size - 8 - raw)
    return Header(
        path=path,
        kind=kind,
        document=metadata["document"],
        sha256=metadata["sha256"],
        table=values,
        tensors=stored,
        data_start=8 + raw,
    )


def read_data(header: Header) -> bytes:
    """The data behind a header, after the checksum."""
    data = header.path.read_bytes()[header.data_start :]
    found = _checksum(header.kind, header.document, header.table, data)
    if found != header.sha256:
        raise refuse(
            header.path,
            f"contents with checksum {found[:12]}…",
            f"{header.sha256[:12]}…, as when it was written",
            "The file was damaged or changed by something else; take a good copy.",
        )
    return data


def read_tensors(header: Header) -> dict[str, Tensor]:
    """The tensors behind a header, after the checksum, on the CPU."""
    data = read_data(header)
    try:
        return safetensors.torch.load(_with_header(header.table, data))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{header.path}: tensors that cannot be read: {error}.") from None


def repack(header: Header, document: str) -> bytes:
    """The bytes of the same file with another document; its tensors are copied byte by byte."""
    return _assemble(header.kind, document, header.table, read_data(header))


def _assemble(kind: str, document: str, table: Mapping[str, Any], data: bytes) -> bytes:
    metadata = {"kind": kind, "document": document, "sha256": _checksum(kind, document, table, data)}
    return _with_header({"__metadata__": metadata, **table}, data)


def _with_header(values: Mapping[str, Any], data: bytes) -> bytes:
    header = json.dumps(values, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # so that the data is aligned
    if len(header) > MAX_HEADER:
        raise ValueError(f"the description has {len(header)} bytes; at most {MAX_HEADER} fit into a file.")
    return len(header).to_bytes(8, "little") + header + data


def _checksum(kind: str, document: str, table: Mapping[str, Any], data: bytes) -> str:
    described = json.dumps([kind, document, table], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(described.encode())
    digest.update(data)
    return digest.hexdigest()


def _raw_header(path: Path, start: bytes, size: int) -> int:
    """Length of the header; what is obviously another kind of file is called by its name."""
    expected, fix = "a file written by equipot", "Give a NAME.equipot."
    if size == 0:
        raise refuse(path, "an empty file", expected, "It was never written; take a good copy.")
    length = int.from_bytes(start[:8], "little")
    if size >= 8 and 2 <= length <= MAX_HEADER:
        if length > size - 8:
            raise refuse(path, f"{size} bytes", f"{8 + length} for the header alone", "It was cut off.")
        return length
    for signature, what in _SIGNATURES:
        if start.startswith(signature):
            raise refuse(path, what, expected, f"equipot does not open such files. {fix}")
    if _is_text(start):
        raise refuse(path, "a text file", expected, fix)
    raise refuse(path, f"a header of {length} bytes", f"{expected}, at most {MAX_HEADER}", fix)


def _is_text(start: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c.isspace() for c in text)


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        values = json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its header is not JSON ({error}). Damaged, or not ours.") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: its header is not a table of tensors. Damaged, or not ours.")
    if len(values) > MAX_TENSORS:
        raise refuse(path, f"{len(values)} tensors", f"at most {MAX_TENSORS}", "It is not ours.")
    return values


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json`: a key that stands twice is an error, since readers disagree which one counts."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice")
    return values


def _check_metadata(path: Path, metadata: Any, kind: str) -> None:
    strings = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
    if not strings or set(metadata) != {"kind", "document", "sha256"}:
        raise refuse(path, "a safetensors file of someone else", KINDS[kind], "Give a NAME.equipot.")
    if metadata["kind"] != kind:
        found = KINDS.get(metadata["kind"], repr(metadata["kind"][:40]))
        raise refuse(path, found, KINDS[kind], "Give the other file of the run.")


def _stored(path: Path, name: str, entry: Any) -> Stored:
    try:
        dtype, shape, (begin, end) = DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
        numbers = [*shape, begin, end]
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{path}: tensor {name[:60]!r} is not described as one. Damaged, or not ours."
        ) from None
    if not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError(
            f"{path}: tensor {name[:60]!r}: shape and offsets must be counts. Damaged, or not ours."
        )
    stored = Stored(dtype, tuple(shape), begin, end)
    if stored.numel * dtype.itemsize != end - begin:
        raise refuse(
            path,
            f"{end - begin} bytes for tensor {name[:60]!r}",
            f"{stored.numel * dtype.itemsize} for its shape",
            "Damaged, or not ours.",
        )
    return stored


def _check_layout(path: Path, stored: Iterable[Stored], size: int) -> None:
    """Tensors fill the data one after another: no overlap, no gap, no byte behind the last."""
    position = 0
    for tensor in sorted(stored, key=lambda t: (t.begin, t.end)):
        if tensor.begin != position:
            raise ValueError(
                f"{path}: its tensors overlap or leave gaps at byte {position}. Damaged, or not ours."
            )
        position = tensor.end
    if position > size:
        raise refuse(path, f"{size} bytes of tensors", str(position), "It was cut off; take a good copy.")
    if position < size:
        raise refuse(path, f"{size} bytes of tensors", str(position), "Something was appended to it.")
