"""From C++ text to functions: compiled once per machine, kept in a cache, loaded without running anything else."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch

# not -ffast-math: linked into a shared library it switches denormal numbers off in the whole process
FLAGS = (
    "-O2",
    "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fopenmp",
    "-fPIC",
    "-std=c++17",
    "-w",
)


class NoCompiler(RuntimeError):
    """There is no C++ compiler, or it does not work."""


@cache
def compiler() -> str:
    """The C++ compiler: $CXX, or the first of c++, g++, clang++ that exists."""
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    for name in candidates:
        found = shutil.which(name)
        if found:
            return found
    raise NoCompiler(f"no C++ compiler: none of {', '.join(candidates)} is on the PATH")


def cache_folder() -> Path:
    """Where compiled kernels are kept: $EQUIPOT_CACHE, or ~/.cache/equipot."""
    chosen = os.environ.get("EQUIPOT_CACHE")
    base = (
        Path(chosen)
        if chosen
        else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "equipot"
    )
    return base / "kernels"


def library(text: str) -> ctypes.CDLL:
    """The compiled program; NoCompiler, with the compiler's words, when it cannot be made."""
    return ctypes.CDLL(str(built(text)))


def built(text: str, flags: Sequence[str] = FLAGS, *needs: str) -> Path:
    """The file of the compiled program. `needs`: what else it depends on, such as the version of a library."""
    path = cache_folder() / f"{_key(text, flags, *needs)}.so"
    if not path.exists():
        _compile(text, flags, path)
    return path


def _key(text: str, flags: Sequence[str], *needs: str) -> str:
    """Contents, compiler, flags and processor: a cache on a shared disk serves different machines."""
    parts = (text, compiler(), " ".join(flags), platform.machine(), instructions(), torch.__version__, *needs)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@cache
def instructions() -> str:
    """The instruction sets of this processor, as the kernel of the system lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _compile(text: str, flags: Sequence[str], path: Path) -> None:
    """Compile beside the place and rename: two processes may do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source, made = Path(folder) / "program.cpp", Path(folder) / "program.so"
        source.write_text(text)
        command = [compiler(), "-shared", "-o", str(made), str(source), *flags]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoCompiler(f"{compiler()}: {error}") from error
        if result.returncode:
            raise NoCompiler(f"{' '.join(command[:1])} failed: {result.stderr.strip()[:500]}")
        os.replace(made, path)
