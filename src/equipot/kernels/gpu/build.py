"""From Triton text to functions: kept as files, which is where Triton looks for the text of what it compiles."""

import hashlib
import importlib.util
import os
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

import torch

from equipot.kernels.cpu.build import NoCompiler, cache_folder


def installed() -> bool:
    """Whether there is a Triton, which CUDA builds of PyTorch bring along."""
    return importlib.util.find_spec("triton") is not None


def interpreted() -> bool:
    """Whether programs run in Triton's interpreter, slowly and on any tensors: a tool of tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def on_triton(device: torch.device) -> bool:
    """Whether Triton is to compute on such a device."""
    return device.type == "cuda" or (device.type == "cpu" and interpreted())


@cache
def module(text: str) -> ModuleType:
    """The functions of a text; NoCompiler without Triton."""
    if not installed():
        raise NoCompiler("Triton is not installed")
    name = f"equipot_triton_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    path = cache_folder() / f"{name}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        _write(path, text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def _write(path: Path, text: str) -> None:
    """Beside the place, and rename: two processes may do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        written = Path(folder) / path.name
        written.write_text(text, encoding="utf-8")
        os.replace(written, path)
