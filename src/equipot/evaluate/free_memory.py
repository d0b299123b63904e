"""How much memory there is to take.

What is free is asked of the machine: of the GPU, or of Linux and of the control group that a queue or a container puts
us in. EQUIPOT_MEMORY=20 says 20 GB instead, for each process; with EQUIPOT_MEMORY=inf everything is tried. Where
nobody knows, nothing is predicted.
"""

import math
import os
from pathlib import Path

import torch

VARIABLE = "EQUIPOT_MEMORY"
SHARE = 0.9  # of what is free, for what is not counted: Python, PyTorch, fragments
GROUPS = Path("/sys/fs/cgroup")


def usable(device: torch.device) -> float | None:
    """Bytes that may be planned with: what the user says, or a share of what is free."""
    said = os.environ.get(VARIABLE)
    if said:
        return _said(said)
    free = free_bytes(device)
    return None if free is None else SHARE * free


def free_bytes(device: torch.device) -> float | None:
    """Bytes that this process could take now, or may by EQUIPOT_MEMORY."""
    said = os.environ.get(VARIABLE)
    if said:
        return _said(said)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type != "cpu":
        return None
    known = [m for m in (_machine(), _group()) if m is not None]
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # those of torchrun share what is free
    return min(known) / processes if known else None


def in_words(number: float) -> str:
    """With the unit that suits."""
    return f"{number / 1e6:.3g} MB" if number < 1e9 else f"{number / 1e9:.3g} GB"


def _said(text: str) -> float:
    try:
        number = 1e9 * float(text)
    except ValueError:
        number = math.nan
    if not number > 0:
        raise ValueError(
            f"{VARIABLE}={text!r}: expected the memory that may be taken in GB, such as 20, or inf to try everything."
        )
    return number


def _machine() -> float | None:
    """What Linux could give without swapping; elsewhere nobody says."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024.0 * int(found[0]) if found else None


def _group() -> float | None:
    """What the control group leaves, of both versions: files kept in memory give way."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    left: list[float] = []
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            left += _left(GROUPS, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in kinds.split(","):
            names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
            left += _left(GROUPS / "memory", path, *names)
    return min(left) if left else None


def _left(root: Path, path: str, limit: str, usage: str, files: str) -> list[float]:
    """Of the group and of those above it; a container sees only its own, at the root."""
    found = []
    own = root / path.lstrip("/")
    for group in [own, *own.parents]:
        if group != root and root not in group.parents:
            break
        try:
            most, taken = (group / limit).read_text().strip(), int((group / usage).read_text())
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        if most != "max":
            found.append(max(float(most) - taken + int(stat.get(files, 0)), 0.0))
    return found
