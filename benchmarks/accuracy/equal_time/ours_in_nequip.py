"""equipot's recipe inside NequIP's training; imported there, by the names that its configuration gives."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from equipot.train.clipping import Clipping
from equipot.train.schedule import WarmupStayCooldown
from equipot.train.soap import Soap


class OurOptimizer(Soap):
    """Soap for what NequIP stores as matrices, which are its radial networks.

    The weights of e3nn's linear layers are flat there, so they can't be rotated: they get Adam, at its rate in equipot.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        learning_rate: float,
        adam_rate: float,
        weight_decay: float = 1e-3,
    ) -> None:
        given = [p for p in params if p.numel()]
        flat = {"betas": (0.9, 0.999), "rotated": False, "lr": adam_rate, "weight_decay": weight_decay}
        groups = [
            {"params": [p for p in given if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in given if p.ndim < 2], **flat},
        ]
        super().__init__(groups, lr=learning_rate)
        self.clipping = Clipping("auto")

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """The gradient of the closure, clipped; a step whose gradient is not finite is left out."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        parameters: list[Tensor] = [p for group in self.param_groups for p in group["params"]]
        if self.clipping.apply(parameters) is not None:
            super().step()
        return loss


def schedule(optimizer: torch.optim.Optimizer, num_steps: int, cooldown: float) -> LambdaLR:
    """equipot's learning rates as a scheduler of PyTorch."""
    return LambdaLR(optimizer, WarmupStayCooldown(num_steps, cooldown).factor)
