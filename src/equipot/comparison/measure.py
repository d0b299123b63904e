"""What models cost, measured side by side: one process, in turns, on the same structures.

A machine that slows down slows down all of them; whoever is measured alone is at its mercy.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from equipot.comparison.said import message_of
from equipot.comparison.table import Cost, Speed, Timing
from equipot.data.collate import collate, graph
from equipot.data.frame import Frame
from equipot.evaluate.cost import peak_bytes
from equipot.potential import Potential, frozen
from equipot.train.config import TrainConfig
from equipot.train.distributed import Process
from equipot.train.loop import Trainer
from equipot.train.memory import training_room
from equipot.train.trial import trial

SECONDS = 1.5  # of measuring, for each model and quantity
ROUNDS = (7, 2000)  # fewest and most
MOST_STRUCTURES, MOST_ATOMS = 16, 512  # evaluated at once
Call = Callable[[], object]


@dataclass(frozen=True)
class Contender:
    """A trained model, and how it was trained."""

    potential: Potential
    train: TrainConfig
    batch: int  # structures of a training step


@dataclass(frozen=True)
class Step:
    """A step of training, on a copy."""

    trainer: Trainer

    @classmethod
    def of(cls, contender: Contender, train: Sequence[Frame], device: torch.device) -> "Step":
        """As in the run of a model, on the first structures."""
        own = contender.potential
        graphs = [graph(f, own.cutoff) for f in train[: contender.batch]]
        names = own.config.targets.names()
        room = training_room(own, graphs, names, contender.train, Process(device=device))
        return cls(trial(own, graphs, names, contender.train, device, len(graphs), room=room))

    def __call__(self) -> object:
        """Take it."""
        return self.trainer.take(list(range(len(self.trainer.train))))

    def kept(self) -> int:
        """Bytes that stay between steps: weights, averages, state of the optimizer; the last gradients go."""
        trainer = self.trainer
        trainer.optimizer.zero_grad(set_to_none=True)
        state = [t for s in trainer.optimizer.state.values() for t in s.values() if isinstance(t, Tensor)]
        averages = [t for track in trainer.averages.tracks.values() for t in track]
        return _bytes([*trainer.potential.parameters(), *state, *averages])


def costs(
    contenders: Mapping[str, Contender],
    train: Sequence[Frame],
    test: Sequence[Frame],
    device: torch.device,
    seconds: float = SECONDS,
) -> tuple[dict[str, Cost], dict[str, str]]:
    """Label -> cost, and label -> why it could not be measured."""
    sizes = _sizes(test)
    failed: dict[str, str] = {}
    models = {label: frozen(c.potential.to(device)) for label, c in contenders.items()}  # as calculators do
    evaluations = {
        size: {n: _evaluation(p, [test[k % len(test)] for k in range(size)]) for n, p in models.items()}
        for size in sizes
    }
    steps = {n: Step.of(c, train, device) for n, c in contenders.items()}
    timed = {size: _in_turns(calls, device, seconds, failed) for size, calls in evaluations.items()}
    steps_timed = _in_turns(steps, device, seconds, failed)
    found = {}
    for label in (n for n in contenders if n not in failed):
        own, step = models[label], steps[label]
        weights = _bytes([*own.parameters(), *own.buffers()])
        found[label] = Cost(
            parameters=sum(p.numel() for p in own.parameters()),
            inference=tuple(_speed(own, test, size, timed[size][label]) for size in sizes),
            step=steps_timed[label],
            batch=contenders[label].batch,
            inference_bytes=weights + peak_bytes(evaluations[sizes[-1]][label], device),
            training_bytes=step.kept() + peak_bytes(step, device),
        )
    return found, failed


def _in_turns(
    calls: Mapping[str, Call], device: torch.device, seconds: float, failed: dict[str, str]
) -> dict[str, Timing]:
    """Round after round each once, the order moving on; those that fail as they warm up are left out and said."""
    alive = [n for n, call in calls.items() if n not in failed and _warm(n, call, failed)]
    times: dict[str, list[float]] = {n: [] for n in alive}
    started, rounds = time.perf_counter(), 0
    while alive and rounds < ROUNDS[1]:
        if rounds >= ROUNDS[0] and time.perf_counter() - started > seconds * len(alive):
            break
        shift = rounds % len(alive)
        for name in (*alive[shift:], *alive[:shift]):
            times[name].append(_seconds(calls[name], device))
        rounds += 1
    return {n: Timing.of(t) for n, t in times.items()}


def _warm(name: str, call: Call, failed: dict[str, str]) -> bool:
    try:
        for _ in range(2):
            call()
    except Exception as error:  # one model's failure must not take the others' numbers away
        failed[name] = f"not measured: {message_of(error)}"
        return False
    return True


def _seconds(call: Call, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _sizes(frames: Sequence[Frame]) -> tuple[int, ...]:
    """One structure, as in dynamics; and many at once."""
    mean = sum(f.num_atoms for f in frames) / len(frames)
    many = int(min(MOST_STRUCTURES, MOST_ATOMS // mean))
    return (1, many) if many > 1 else (1,)


def _evaluation(potential: Potential, frames: Sequence[Frame]) -> Call:
    """Energy and forces, or what else the model predicts; neighbors are not searched."""
    graphs = [graph(f, potential.cutoff) for f in frames]
    batch = collate(graphs, potential.elements).to(next(potential.parameters()).device)
    moves = "energy" in potential.targets
    names = ("energy",) if moves else potential.config.targets.names()
    return partial(potential, batch, forces=moves, targets=names)


def _speed(potential: Potential, frames: Sequence[Frame], size: int, timing: Timing) -> Speed:
    graphs = [graph(frames[k % len(frames)], potential.cutoff) for k in range(size)]
    atoms, edges = sum(g.num_atoms for g in graphs), sum(g.num_edges for g in graphs)
    return Speed(structures=size, atoms=atoms, edges=edges, timing=timing)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
