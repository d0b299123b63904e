"""How many steps, of what size, at which learning rate: fixed before the first step, and stored."""

import math
import time
from collections.abc import Callable
from typing import Literal

from equipot.config import Config
from equipot.evaluate.memory import Room
from equipot.train.config import TrainConfig

Optimizer = Literal["soap", "adamw", "adam", "amsgrad"]

# architecture -> peak of soap, and of the others
LEARNING_RATES = {
    "painn": (3e-3, 1e-3),
    "schnet": (3e-3, 1e-3),
    "nequip": (5e-2, 5e-3),
    "allegro": (5e-2, 1e-3),
    "mace": (5e-2, 5e-3),
    "ictp": (5e-2, 5e-3),
    "tensornet": (3e-3, 1e-3),
    "segnn": (3e-3, 1e-3),
}
SHARE_OF_EPOCHS = {"quick": 1 / 20, "standard": 1 / 4, "best": 1.0}
# of training that starts from a model file: a tenth of the rate, few epochs, small batches
TUNING_RATE, TUNING_WARMUP, TUNING_EPOCHS, TUNING_BATCH = 0.1, 0.02, (20, 50), (2, 8)
VALIDATIONS, FINAL_VALIDATIONS = 40, 3
MANY = 16  # structures in the larger of two batches that are tried
NOISE_SCALE = 8.0  # structures; the critical batch size that is assumed before it is measured


class Plan(Config):
    """The schedule of one run. It is part of every checkpoint, so that a resumed run follows the same."""

    batch: int  # mean structures per step
    num_steps: int
    steps_per_epoch: int
    learning_rate: float
    optimizer: Optimizer = "adamw"
    validate_every: int
    warmup: float | None = None  # fraction of the steps
    room: Room | None = None  # what a step takes and what there is; none: every batch fits


def chosen_optimizer(config: TrainConfig, tuning: bool) -> Optimizer:
    """What `auto` stands for: near a minimum somebody else found, long steps along its flat directions forget it."""
    if config.optimizer == "auto":
        return "adamw" if tuning else "soap"
    return config.optimizer


def planned_epochs(num_frames: int, preset: str) -> int:
    """2000 epochs up to 450 structures, then 2000 (450/n)^0.6, at least 20; the preset takes a share of them."""
    full = 2000 if num_frames <= 450 else 2000 * (450 / num_frames) ** 0.6
    return max(20, round(full * SHARE_OF_EPOCHS[preset]))


def tuning_epochs(num_frames: int, preset: str) -> int:
    """50 epochs up to 450 structures, then 50 (450/n)^0.6, at least 20; 20 in a quick run."""
    fewest, most = TUNING_EPOCHS
    return fewest if preset == "quick" else max(fewest, round(most * min(1.0, 450 / num_frames) ** 0.6))


def largest_batch(config: TrainConfig, num_frames: int) -> int:
    """Structures in the largest batch that may be asked for, or tried."""
    if config.batch != "auto":
        return config.batch
    return max(MANY, num_frames // 20, TUNING_BATCH[1])


def best_batch(num_frames: int, seconds: Callable[[int], float]) -> int:
    """b* = √(B t₀/c) from step times t(b) = t₀ + c b, between 1 and n/20 (McCandlish et al., arXiv:1812.06162)."""
    largest = max(1, num_frames // 20)
    few, many = 1, min(MANY, largest)
    if many == few:
        return 1
    t_few, t_many = seconds(few), seconds(many)
    slope = max((t_many - t_few) / (many - few), 1e-6)
    start = max(t_few - slope * few, 0.0)
    return int(min(max(1, round(math.sqrt(NOISE_SCALE * start / slope))), largest))


def plan(
    config: TrainConfig,
    architecture: str,
    num_frames: int,
    world: int,
    seconds: Callable[[int], float],
    *,
    validation: Callable[[], float] = lambda: 0.0,
    tuning: bool = False,
) -> Plan:
    """Settle batch, steps and learning rate; `seconds(b)` measures one step on b mean structures.

    A budget is for the steps, the validations between them (`validation()` measures one) and those at the end.
    `tuning`: the weights are those of a model file.
    """
    if config.steps is not None and config.epochs is not None:
        raise ValueError(f"train.steps={config.steps} and train.epochs={config.epochs}: give one of them.")
    batch = config.batch
    if batch == "auto":
        batch = best_batch(num_frames, seconds)
        if tuning:
            batch = min(max(batch, TUNING_BATCH[0]), TUNING_BATCH[1], num_frames)
    batch = max(batch, world)
    if batch > num_frames:
        raise ValueError(f"train.batch={batch}: the training set has only {num_frames} structures.")
    per_epoch = math.ceil(num_frames / batch)
    epochs = config.epochs or (tuning_epochs if tuning else planned_epochs)(num_frames, config.preset)
    num_steps = config.steps or epochs * per_epoch
    if config.budget is not None and config.epochs is None and config.steps is None:
        num_steps = steps_within(config.budget, seconds(batch), validation(), config.validate_every)
    optimizer = chosen_optimizer(config, tuning)
    peak = LEARNING_RATES[architecture][optimizer != "soap"] * min(math.sqrt(batch / 5), 3.0)
    default_warmup = TUNING_WARMUP if tuning else None
    return Plan(
        batch=batch,
        num_steps=num_steps,
        steps_per_epoch=per_epoch,
        learning_rate=config.learning_rate or (TUNING_RATE * peak if tuning else peak),
        optimizer=optimizer,
        validate_every=config.validate_every or max(1, num_steps // VALIDATIONS),
        warmup=default_warmup if config.warmup is None else config.warmup,
    )


def steps_within(budget: float, step: float, validation: float, validate_every: int | None) -> int:
    """Largest n with n t + (n/k + 3) v ≤ budget: k steps between validations, or 40 of them; three at the end."""
    if validate_every is None:
        number = (budget - (VALIDATIONS + FINAL_VALIDATIONS) * validation) / step
    else:
        number = (budget - FINAL_VALIDATIONS * validation) / (step + validation / validate_every)
    return max(20, int(number))


def median_seconds(step: Callable[[], object], repetitions: int = 5) -> float:
    """Median wall time of a step, after one that warms up."""
    step()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
