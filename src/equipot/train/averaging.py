"""Exponential moving averages of the weights, two horizons at once."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

HORIZONS = {"short": 0.001, "long": 0.01}  # of the planned steps


class Averages:
    """Two tracks of averaged weights: 0.1 % and 1 % of the planned steps, with a ramp (1 + t)/(10 + t).

    These are the usual 0.99 and 0.999 at 10⁵ steps. Which of raw, short and long is kept is decided on the
    validation set at the end.
    """

    def __init__(self, module: nn.Module, num_steps: int) -> None:
        self.decays = {n: 1 - 1 / max(10.0, h * num_steps) for n, h in HORIZONS.items()}
        self.tracks = {n: [p.detach().clone() for p in module.parameters()] for n in HORIZONS}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """After an optimizer step, counted from 0."""
        raw: list[Tensor] = list(module.parameters())
        for name, track in self.tracks.items():
            decay = min(self.decays[name], (1 + step) / (10 + step))
            torch._foreach_lerp_(track, raw, 1 - decay)

    @contextmanager
    def applied(self, module: nn.Module, track: str) -> Iterator[None]:
        """The module with averaged weights, inside the block ('raw': as it is)."""
        if track == "raw":
            yield
            return
        parameters = list(module.parameters())
        raw = [p.detach().clone() for p in parameters]
        _copy(self.tracks[track], parameters)
        try:
            yield
        finally:
            _copy(raw, parameters)

    def keep(self, module: nn.Module, track: str) -> None:
        """Let the averaged weights be the module's."""
        if track != "raw":
            _copy(self.tracks[track], list(module.parameters()))

    def state(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint."""
        return {f"ema.{n}.{i}": t for n, track in self.tracks.items() for i, t in enumerate(track)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Tensors of a checkpoint."""
        for name, track in self.tracks.items():
            _copy([state[f"ema.{name}.{i}"] for i in range(len(track))], track)


@torch.no_grad()
def _copy(source: list[Tensor], target: list[Tensor] | list[nn.Parameter]) -> None:
    for s, t in zip(source, target, strict=True):
        t.copy_(s)
