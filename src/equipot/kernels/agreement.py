"""When a compiled program may be asked at all, and how near it must come to what it stands for."""

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from equipot.kernels.cpu.vectors import SCALARS

MIN_CHANNELS = 16  # fewer do not fill a vector of 64 bytes
#: relative to the largest number, with derivatives; sums of some hundred terms in another order
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4}


def compilable(like: Tensor, channels: int) -> bool:
    """Whether there is a program for such numbers, and the user has not switched programs off."""
    if channels < MIN_CHANNELS or like.dtype not in SCALARS:
        return False
    if torch.compiler.is_compiling() or type(like.detach()) is not Tensor:  # traced, or without numbers
        return False
    return os.environ.get("EQUIPOT_KERNELS", "auto") != "reference"


def largest_difference(found: Sequence[Tensor], expected: Sequence[Tensor], least: float = 1e-30) -> float:
    """Of any tensor, relative to the largest number in it or to `least`; NaN where there is one."""
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        size = max(float(b.abs().max()) if b.numel() else 0.0, least)
        difference = float((a - b).abs().max()) / size if b.numel() else 0.0
        worst = difference if not difference <= worst else worst  # NaN wins
    return worst
