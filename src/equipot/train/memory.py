"""Training steps that fit the memory: a batch that does not is computed in parts, with the same gradient."""

import math
from collections.abc import Sequence

from equipot.data.collate import Graph
from equipot.evaluate.free_memory import in_words
from equipot.evaluate.memory import GENEROUS_TRAINING, Room, room
from equipot.potential import Potential
from equipot.train.config import TrainConfig
from equipot.train.distributed import Process
from equipot.train.plan import Plan, largest_batch
from equipot.train.trial import trial


def training_room(
    potential: Potential, train: Sequence[Graph], names: Sequence[str], config: TrainConfig, process: Process
) -> Room | None:
    """What a step takes and what there is, the same for all processes; None where memory is no question.

    ValueError when a step on one of the structures does not fit.
    """

    def steps(graphs: list[Graph]) -> None:
        one = trial(potential, graphs, names, config, process.device, len(graphs))
        for _ in range(2):  # the second has a state of the optimizer
            one.take(list(range(len(graphs))))

    share = largest_batch(config, len(train)) / process.world
    found = _agreed(room(steps, train, share, process.device, GENEROUS_TRAINING), process)
    if found is not None:
        found.refuse(train, "a training step", process.device)
    return found


def still_fits(
    settled: Plan,
    potential: Potential,
    train: Sequence[Graph],
    names: Sequence[str],
    config: TrainConfig,
    process: Process,
) -> Plan:
    """The plan of a run that goes on: its parts are kept, for the sake of the last bit, as long as they fit."""
    if settled.room is None:
        found = training_room(potential, train, names, config, process)
    else:
        found = _agreed(settled.room.now(process.device), process)
        assert found is not None
        found.refuse(train, "a training step", process.device)
    return settled.model_copy(update={"room": found})


def in_parts(settled: Plan, train: Sequence[Graph], world: int) -> str:
    """What is said of a mean batch that does not fit; nothing of one that does."""
    found = settled.room
    if found is None:
        return ""
    share = settled.batch / world / len(train)
    needed = found.fixed + share * (found.takes(train) - found.fixed)
    if needed <= found.bytes:
        return ""
    parts = math.ceil((needed - found.fixed) / max(found.bytes - found.fixed, 1.0))
    return (
        f"The batch of {settled.batch} is computed in {min(parts, settled.batch)} parts, it would need"
        f" {in_words(needed)} of {in_words(found.bytes)}. The gradient is the same."
    )


def _agreed(mine: Room | None, process: Process) -> Room | None:
    """That of the first process, whose parts the others need not share, but whose refusal they must."""
    if process.world == 1:
        return mine
    own = {} if mine is None else mine.model_dump()
    shared = {name: process.agree(own.get(name, math.nan)) for name in Room.model_fields}
    return None if math.isnan(shared["bytes"]) else Room(**shared)
