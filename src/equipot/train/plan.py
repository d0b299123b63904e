"""How many steps, of what size, at which learning rate: fixed before the first step, and stored."""

import math
import time
from collections.abc import Callable

from equipot.config import Config
from equipot.train.config import TrainConfig

LEARNING_RATES = {"painn": 1e-3, "schnet": 1e-3, "nequip": 5e-3}
SHARE_OF_EPOCHS = {"quick": 1 / 20, "standard": 1 / 4, "best": 1.0}
NOISE_SCALE = 8.0  # structures; the critical batch size that is assumed before it is measured


class Plan(Config):
    """The schedule of one run. It is part of every checkpoint, so that a resumed run follows the same."""

    batch: int  # mean structures per step
    num_steps: int
    steps_per_epoch: int
    learning_rate: float
    validate_every: int


def planned_epochs(num_frames: int, preset: str) -> int:
    """2000 epochs up to 450 structures, then 2000 (450/n)^0.6, at least 20; the preset takes a share of them."""
    full = 2000 if num_frames <= 450 else 2000 * (450 / num_frames) ** 0.6
    return max(20, round(full * SHARE_OF_EPOCHS[preset]))


def best_batch(num_frames: int, seconds: Callable[[int], float]) -> int:
    """b* = √(B t₀/c) from step times t(b) = t₀ + c b, between 1 and n/20 (McCandlish et al., arXiv:1812.06162)."""
    largest = max(1, num_frames // 20)
    few, many = 1, min(16, largest)
    if many == few:
        return 1
    t_few, t_many = seconds(few), seconds(many)
    slope = max((t_many - t_few) / (many - few), 1e-6)
    start = max(t_few - slope * few, 0.0)
    return int(min(max(1, round(math.sqrt(NOISE_SCALE * start / slope))), largest))


def plan(
    config: TrainConfig, architecture: str, num_frames: int, world: int, seconds: Callable[[int], float]
) -> Plan:
    """Settle batch, steps and learning rate; `seconds(b)` measures one step on b mean structures."""
    if config.steps is not None and config.epochs is not None:
        raise ValueError(f"train.steps={config.steps} and train.epochs={config.epochs}: give one of them.")
    batch = config.batch if config.batch != "auto" else best_batch(num_frames, seconds)
    batch = max(batch, world)
    if batch > num_frames:
        raise ValueError(f"train.batch={batch}: the training set has only {num_frames} structures.")
    per_epoch = math.ceil(num_frames / batch)
    epochs = config.epochs or planned_epochs(num_frames, config.preset)
    num_steps = config.steps or epochs * per_epoch
    if config.budget is not None and config.epochs is None and config.steps is None:
        num_steps = max(20, int(config.budget / seconds(batch)))
    rate = config.learning_rate or LEARNING_RATES[architecture] * min(math.sqrt(batch / 5), 3.0)
    every = config.validate_every or max(1, num_steps // 40)
    return Plan(
        batch=batch, num_steps=num_steps, steps_per_epoch=per_epoch, learning_rate=rate, validate_every=every
    )


def median_seconds(step: Callable[[], object], repetitions: int = 5) -> float:
    """Median wall time of a step, after one that warms up."""
    step()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
