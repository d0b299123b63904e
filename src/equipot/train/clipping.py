"""Gradient clipping that learns what a usual gradient is."""

import math
import statistics
from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

WINDOW, FACTOR = 101, 3.0


class Clipping:
    """Clip the global norm at three times its running median, or at a given value; skip steps that are not finite."""

    def __init__(self, limit: float | Literal["auto"] | None) -> None:
        self.limit = limit
        self.history: list[float] = []
        self.clipped = self.skipped = 0

    def apply(self, parameters: Iterable[nn.Parameter]) -> float | None:
        """The norm before clipping; None when the step has to be left out."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients))
        if not math.isfinite(norm):
            self.skipped += 1
            return None
        limit = self._current()
        self.history = [*self.history[-(WINDOW - 1) :], norm]
        if limit is not None and norm > limit:
            self.clipped += 1
            torch._foreach_mul_(gradients, limit / norm)
        return norm

    def _current(self) -> float | None:
        if isinstance(self.limit, str):
            return FACTOR * statistics.median(self.history) if len(self.history) >= 10 else None
        return self.limit
