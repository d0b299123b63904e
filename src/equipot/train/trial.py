"""Steps that leave no trace, to know what a step costs."""

import copy
from collections.abc import Sequence

import torch

from equipot.data.collate import Graph
from equipot.evaluate.memory import Room
from equipot.potential import Potential
from equipot.train.config import TrainConfig
from equipot.train.distributed import Process
from equipot.train.loop import Trainer
from equipot.train.plan import Plan, chosen_optimizer


def trial(
    potential: Potential,
    train: Sequence[Graph],
    names: Sequence[str],
    config: TrainConfig,
    device: torch.device,
    batch: int,
    valid: Sequence[Graph] = (),
    room: Room | None = None,
) -> Trainer:
    """A trainer on a copy of the potential, alone whatever the number of processes."""
    optimizer = chosen_optimizer(config, tuning=False)
    plan = Plan(
        batch=batch,
        num_steps=100,
        steps_per_epoch=1,
        learning_rate=1e-6,
        optimizer=optimizer,
        validate_every=100,
        room=room,
    )
    return Trainer(copy.deepcopy(potential), train, valid, names, config, plan, Process(device=device))
