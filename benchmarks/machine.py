"""What every result file says of where it was made."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def stamp() -> dict[str, Any]:
    """Command, machine, versions, commit, date."""
    return {
        "command": " ".join([Path(sys.executable).name, *_relative(sys.argv)]),
        "machine": {
            "cpu": _cpu(),
            "vectors": torch.backends.cpu.get_cpu_capability(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "versions": {
            "python": platform.python_version(),
            "torch": version("torch"),
            "equipot": version("equipot"),
        },
        "commit": _commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (x.partition(":")[2].strip() for x in lines if x.startswith("model name")), platform.machine()
    )


def _commit() -> str:
    here = Path(__file__).parent
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def _relative(arguments: list[str]) -> list[str]:
    root = Path(__file__).resolve().parent.parent
    out = []
    for text in arguments:
        path = Path(text)
        if path.is_absolute():
            out.append(str(path.relative_to(root)) if path.is_relative_to(root) else path.name)
        else:
            out.append(text)
    return out
