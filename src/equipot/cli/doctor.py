"""`equipot doctor`."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

import torch
from rich.markup import escape
from rich.table import Table

import equipot
from equipot.cli.options import AsJson
from equipot.cli.screen import as_json, out
from equipot.engines.catalog import ENGINES
from equipot.engines.settings import EngineName
from equipot.kernels import chooser
from equipot.potential import replay
from equipot.tensor import product

PACKAGES = ("torch", "numpy", "ase", "vesin", "pydantic", "safetensors")


def doctor(json_: AsJson = False) -> None:
    """What this machine can do: versions, processors, GPU, compiler."""
    found = {
        "equipot": equipot.__version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "processors": f"{os.cpu_count()}, PyTorch uses {torch.get_num_threads()} threads",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none that PyTorch sees",
        "C++ compiler": shutil.which("c++") or "none",
        "edge operation": chooser.status(),
        "edge operation, CUDA": chooser.status_on_cuda(),
        "matrix products": product.status(),
        "small systems": replay.status(),
        **{f"engine {name}": _engine(name) for name in ENGINES},
    }
    if json_:
        as_json(found)
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    for name, value in found.items():
        table.add_row(name, escape(value))  # [extra] is no markup
    out.print(table)


def _engine(name: EngineName) -> str:
    engine = ENGINES[name]
    return f"{engine.installed}: {engine.good_for}" if engine.installed else f"none. {engine.how_to_install}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
