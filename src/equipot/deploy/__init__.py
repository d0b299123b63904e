"""Model files and the states of training runs: safetensors with a validated document, never a pickle."""

from equipot.deploy.checkpoints import Skipped, latest_valid, load_state, save_state
from equipot.deploy.document import (
    Ancestor,
    DataFile,
    Fingerprint,
    ModelDocument,
    Proof,
    Provenance,
    versions,
)
from equipot.deploy.model_file import (
    describe,
    identity,
    load,
    read_document,
    rewrite,
    save,
    weights,
    with_proofs,
)

__all__ = [
    "Ancestor",
    "DataFile",
    "Fingerprint",
    "ModelDocument",
    "Proof",
    "Provenance",
    "Skipped",
    "describe",
    "identity",
    "latest_valid",
    "load",
    "load_state",
    "read_document",
    "rewrite",
    "save",
    "save_state",
    "versions",
    "weights",
    "with_proofs",
]
