"""Learning rates over a planned number of steps."""

import math
from dataclasses import dataclass, field

COOLDOWN = {"quick": 0.3, "standard": 0.4, "best": 0.4}
FLOOR = 1e-3


@dataclass(frozen=True)
class WarmupStayCooldown:
    """Linear warm-up, a constant part, and a cooldown 1 − √x to a thousandth of the peak (arXiv:2405.18392)."""

    num_steps: int
    cooldown: float
    warmup: float | None = None  # fraction of the steps

    @property
    def warmup_steps(self) -> int:
        """As given; else one per cent, at least 100 steps, at most a tenth of a short run."""
        if self.warmup is not None:
            return round(self.warmup * self.num_steps)
        return min(max(100, self.num_steps // 100), max(1, self.num_steps // 10))

    @property
    def cooldown_start(self) -> int:
        """First step of the cooldown."""
        return self.num_steps - int(self.cooldown * self.num_steps)

    def factor(self, step: int) -> float:
        """What the peak learning rate is multiplied by in this step, counted from 0."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if step < self.cooldown_start:
            return 1.0
        return max(1 - math.sqrt(self.cooled(step + 1)), FLOOR)

    def cooled(self, step: int) -> float:
        """Fraction of the cooldown that lies behind, from 0 to 1."""
        x = (step - self.cooldown_start) / max(1, self.num_steps - self.cooldown_start)
        return min(max(x, 0.0), 1.0)


@dataclass
class Plateau:
    """Multiply by `factor` after `patience` validations without gain, as most published recipes do."""

    factor_per_drop: float
    patience: int
    threshold: float = 0.0  # a fall by less than this share is no gain
    best: float = math.inf
    waited: int = 0
    value: float = 1.0

    def observe(self, error: float) -> None:
        """Take note of a validation error."""
        if error < self.best * (1 - self.threshold):
            self.best, self.waited = error, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.value, self.waited = self.value * self.factor_per_drop, 0


@dataclass
class Patience:
    """Early stopping: true after `limit` validations without gain."""

    limit: int | None
    best: float = field(default=math.inf)
    waited: int = 0

    def exhausted(self, error: float) -> bool:
        """Take note of a validation error, and say whether to stop."""
        self.waited = 0 if error < self.best else self.waited + 1
        self.best = min(self.best, error)
        return self.limit is not None and self.waited >= self.limit
