"""The pair style, compiled against the LAMMPS that is installed, and the functions of it that Python calls."""

import ctypes
import platform
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import files, version
from importlib.resources import files as resources
from pathlib import Path

import torch

from equipot.kernels.cpu.build import NoCompiler, built

MESSAGE = 4096  # bytes, as in the source
Integers, Numbers = ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_double)
Load = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p),
    ctypes.POINTER(ctypes.c_int), Numbers, ctypes.POINTER(ctypes.c_int), ctypes.c_void_p,
)  # fmt: skip
Compute = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64,
    Integers, Integers, Numbers, Integers, Numbers, Numbers, ctypes.c_void_p,
)  # fmt: skip


def plugin_file(package: bool = False) -> Path:
    """The compiled pair style; NoCompiler where it cannot be made.

    With `package` it is the one that runs a compiled model by itself, linked with the libraries of this PyTorch.
    """
    if sys.platform != "linux":
        raise NoCompiler(f"the pair style is built on Linux alone; found {platform.system()}")
    text = (resources("equipot.engines.lammps") / "pair_equipot.cpp").read_text(encoding="utf-8")
    include = [_folder("lammps", "lammps.h"), _folder("mpich", "mpi.h")]
    flags = ["-O2", "-fPIC", "-w", "-DLAMMPS_SMALLBIG", *(f"-I{folder}" for folder in include)]
    flags += _torch_flags() if package else ["-std=c++17"]
    return built(text, flags, version("lammps"), version("mpich"))


def _torch_flags() -> list[str]:
    root = Path(torch.__file__).parent
    include = [f"-I{root / 'include'}", f"-I{root / 'include/torch/csrc/api/include'}"]
    link = [f"-L{root / 'lib'}", f"-Wl,-rpath,{root / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10"]
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    return ["-std=c++20", "-DEQUIPOT_PACKAGE", abi, *include, *link]


def _folder(package: str, name: str) -> Path:
    """Where a package keeps a header."""
    found = next((f for f in files(package) or () if f.name == name), None)
    if found is None:
        raise NoCompiler(f"the installed package {package} has no {name}. Install equipot[lammps].")
    return Path(str(found.locate())).resolve().parent


@cache
def functions() -> ctypes.CDLL:
    """The plugin as Python calls it; the same object that LAMMPS loads."""
    library = ctypes.CDLL(str(plugin_file()))
    library.equipot_host.argtypes = [Load, Compute]
    library.equipot_host.restype = None
    library.equipot_exchange.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int] * 3]
    library.equipot_exchange.restype = ctypes.c_int
    return library


def exchange(pair: int, rows: torch.Tensor, forward: bool) -> None:
    """Fill the rows of the copies, or add them to those of their owners; a contiguous [senders, numbers] on the CPU."""
    width, size = rows.shape[1] * rows.element_size(), rows.element_size()
    if not functions().equipot_exchange(pair, rows.data_ptr(), width, size, int(forward)):
        raise RuntimeError(f"LAMMPS: an exchange of {width} bytes an atom is wider than announced.")


def guarded(function: Callable[..., None], message: int) -> int:
    """Call; 0, or 1 with what went wrong written for LAMMPS: an exception must not pass through C++."""
    try:
        function()
    except BaseException as error:  # LAMMPS stops, whatever it was
        text = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raw = text.encode(errors="replace")[: MESSAGE - 1] + b"\0"
        ctypes.memmove(message, raw, len(raw))
        return 1
    return 0
