"""The training loop: plain PyTorch, one process or many, stopped and continued at any step."""

import math
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from equipot.batch import AtomicBatch
from equipot.data.collate import Graph, collate, collate_labels
from equipot.evaluate.metrics import evaluate, table
from equipot.potential import Potential
from equipot.properties import Properties, from_items
from equipot.train.averaging import Averages
from equipot.train.batches import share, steps
from equipot.train.clipping import Clipping
from equipot.train.config import TrainConfig
from equipot.train.distributed import Process
from equipot.train.loss import LENGTH, LENGTH_COOLDOWN, Loss, weights
from equipot.train.objective import Objective
from equipot.train.optimizer import build_optimizer, set_learning_rate
from equipot.train.plan import Plan
from equipot.train.schedule import COOLDOWN, Patience, Plateau, WarmupStayCooldown
from equipot.train.state import restore, snapshot

Observer = Callable[[int, int, str], None]
Record = dict[str, Any]


class Interrupted(Exception):
    """Training stopped at a safe point by Ctrl-C; the checkpoint is written."""


class Diverged(Exception):
    """Too many steps in a row had no finite gradient."""


class Trainer:
    """Everything that changes while a potential is trained, and the steps that change it."""

    def __init__(
        self,
        potential: Potential,
        train: Sequence[Graph],
        valid: Sequence[Graph],
        names: Sequence[str],
        config: TrainConfig,
        plan: Plan,
        process: Process,
    ) -> None:
        self.potential, self.train, self.valid, self.names = potential, train, valid, tuple(names)
        self.config, self.plan, self.process = config, plan, process
        self.sizes = [max(g.num_edges, 1) for g in train]
        tensorial = sum(n not in ("energy", "forces", "stress") for n in names)
        robust = config.loss == "huber" or (config.loss == "auto" and len(train) > 5000)
        weighting = weights(config.weights, config.energy_per_atom, robust, tensorial)
        self.loss = Loss(potential.config.targets, potential.statistics, weighting)
        objective = Objective(potential, self.loss)
        self.objective = DistributedDataParallel(objective) if process.world > 1 else objective
        self.optimizer = build_optimizer(plan.optimizer, potential, plan.learning_rate, config.weight_decay)
        cooldown = COOLDOWN[config.preset] if config.cooldown is None else config.cooldown
        self.schedule = WarmupStayCooldown(plan.num_steps, cooldown, plan.warmup)
        self.plateau = Plateau(config.plateau.factor, config.plateau.patience, config.plateau.threshold)
        self.patience = Patience(config.patience)
        self.averages = Averages(potential, plan.num_steps)
        self.clipping = Clipping(config.clip)
        self.step = 0
        self.seconds = 0.0  # spent in training, over all restarts
        self.finished = False

    def run(
        self, observe: Observer, log: Callable[[Record], None], checkpoint: Callable[["Trainer"], None]
    ) -> None:
        """Train to the end of the plan; `checkpoint` is called by time, at the end and when interrupted."""
        budget = self.plan.batch * sum(self.sizes) / len(self.sizes)
        batches = steps(self.sizes, budget, self.config.seed, self.step, minimum=self.process.world)
        last_write = started = time.monotonic()
        already = self.seconds
        window: dict[str, float] = {}
        with _StopRequest() as stop:
            while self.step < self.plan.num_steps and not self.finished:
                parts = self.take(next(batches))
                self.step += 1
                self.seconds = already + time.monotonic() - started
                _accumulate(window, {**parts, "n": 1.0})
                if self.step % self.plan.validate_every == 0 or self.step == self.plan.num_steps:
                    log(self._validated(_means(window)))
                    window.clear()
                observe(self.step, self.plan.num_steps, self._line(parts))
                if self._agreed(stop.requested):
                    checkpoint(self)
                    raise Interrupted
                if time.monotonic() - last_write > self.config.checkpoint_seconds:
                    checkpoint(self)
                    last_write = time.monotonic()
        self.finished = True
        checkpoint(self)

    def select(self) -> dict[str, float]:
        """Keep the best of raw, short and long average on the validation set; the validation loss of each."""
        self.potential.eval()  # from here on, as whoever opens the model file will
        scores = {}
        for track in ("raw", "short", "long") if self.config.ema else ("raw",):
            with self.averages.applied(self.potential, track):
                scores[track], _ = self.validation()
        best = min(scores, key=lambda t: scores[t] if math.isfinite(scores[t]) else math.inf)
        self.averages.keep(self.potential, best)
        return {**scores, "kept": best}  # type: ignore[dict-item]

    def state(self) -> tuple[dict[str, torch.Tensor], Record]:
        """Everything a continuation needs."""
        return snapshot(self)

    def load(self, tensors: dict[str, torch.Tensor], record: Record) -> None:
        """Continue from a checkpoint."""
        restore(self, tensors, record)

    def take(self, indices: list[int]) -> dict[str, float]:
        """One optimizer step on the training structures of these indices; the loss and its parts."""
        mine = share(indices, self.sizes, self.process.rank, self.process.world)
        graphs = [self.train[i] for i in mine]
        pieces = [graphs] if self.plan.room is None else self.plan.room.cut(graphs)
        labels = [collate_labels(piece, self.names).to(self.process.device) for piece in pieces]
        counts = self._counts(labels)
        set_learning_rate(self.optimizer, self.plan.learning_rate * self._factor())
        self.optimizer.zero_grad(set_to_none=True)
        parts: dict[str, float] = {}
        for piece, known in zip(pieces, labels, strict=True):
            with nullcontext() if piece is pieces[-1] else self._alone():
                _accumulate(parts, self._differentiate(piece, known, counts))
        if self.clipping.apply(self.potential.parameters()) is not None:
            self.optimizer.step()
        elif self.clipping.skipped > 20:
            raise Diverged(
                f"step {self.step}: the gradient was not finite in {self.clipping.skipped} steps. Look at the data with"
                " `equipot inspect`, or lower train.learning_rate."
            )
        if self.config.ema:
            self.averages.update(self.potential, self.step)
        return parts

    def _differentiate(
        self, graphs: list[Graph], labels: Properties, counts: dict[str, float]
    ) -> dict[str, float]:
        """Add the gradient of a part of the batch; its share of the loss."""
        batch = collate(graphs, self.potential.elements).to(self.process.device)
        loss, parts = self.objective(batch, labels, counts, self._length())
        # DistributedDataParallel takes the mean over processes of what is a sum; nobody asks for ∂loss/∂positions
        trained = [p for p in self.potential.parameters() if p.requires_grad]
        (loss * self.process.world).backward(inputs=trained)
        return {"loss": float(loss.detach()), **{n: float(p) for n, p in parts.items()}}

    def _alone(self) -> AbstractContextManager[None]:
        """Gradients wait for the last part before they are summed over processes."""
        if isinstance(self.objective, DistributedDataParallel):
            return self.objective.no_sync()
        return nullcontext()

    def _counts(self, labels: Sequence[Properties]) -> dict[str, float]:
        """Target -> labels in the whole batch, of all its parts and all processes."""
        zero = torch.zeros((), dtype=torch.float64, device=self.process.device)
        counted = [self.loss.counts(part) for part in labels]
        counts = torch.stack([sum((c.get(n, zero).double() for c in counted), zero) for n in self.names])
        return dict(zip(self.names, self.process.sum(counts).tolist(), strict=True))

    def _factor(self) -> float:
        match self.config.schedule:
            case "constant":
                return 1.0
            case "plateau":
                return self.plateau.value
            case _:
                return self.schedule.factor(self.step)

    def _length(self) -> float:
        """ℓ of the loss: from 0.2 to 0.07 Å over the first half of the cooldown, as the learning rate falls."""
        if self.config.schedule != "warmup-stay-cooldown":
            return LENGTH
        late = 2 * self.schedule.cooled(self.step)
        return LENGTH * (LENGTH_COOLDOWN / LENGTH) ** min(late, 1.0)

    def _validated(self, train: dict[str, float]) -> Record:
        """Validate with the short average, let schedule and early stopping see it, and describe where we are."""
        track = "short" if self.config.ema else "raw"
        with self.averages.applied(self.potential, track):
            score, errors = self.validation()
        score = self.process.agree(score)
        if self.valid:
            self.plateau.observe(score)
            rate = self.plateau.value * self.plan.learning_rate
            low = self.config.schedule == "plateau" and rate < self.config.plateau.stop_below
            self.finished = self.patience.exhausted(score) or low
        return {
            "step": self.step,
            "epoch": self.step / self.plan.steps_per_epoch,
            "seconds": round(self.seconds, 3),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "train": train,
            "valid_loss": score,
            "valid": errors,
            "weights": track,
            "gradient_norm": self.clipping.history[-1] if self.clipping.history else None,
            "clipped": self.clipping.clipped / max(self.step, 1),
            "skipped": self.clipping.skipped,
        }

    @torch.no_grad()
    def validation(self) -> tuple[float, dict[str, Any]]:
        """Loss with the weights as they are, and errors of every target, on the validation structures."""
        if not self.valid:
            return math.nan, {}
        sums: dict[str, float] = {}
        counts: dict[str, float] = {}

        def add(batch: AtomicBatch, labels: Properties, found: Properties) -> None:
            kept = from_items({n: v for n, v in labels.items() if found.get(n) is not None})
            for total, part in (
                (sums, self.loss.sums(found, kept, batch, LENGTH_COOLDOWN)),
                (counts, self.loss.counts(kept)),
            ):
                for name, value in part.items():
                    total[name] = total.get(name, 0.0) + float(value)

        errors = table(evaluate(self.potential, self.valid, self.names, observe=add))
        total, _ = self.loss.total({n: torch.tensor(s) for n, s in sums.items()}, counts)
        return float(total), errors

    def _line(self, parts: dict[str, float]) -> str:
        return f"loss {parts['loss']:.3g}"

    def _agreed(self, requested: bool) -> bool:
        if self.process.world == 1:
            return requested
        flag = torch.tensor([float(requested)], device=self.process.device)
        return bool(self.process.sum(flag) > 0)


def _accumulate(window: dict[str, float], parts: dict[str, float]) -> None:
    for name, value in parts.items():
        window[name] = window.get(name, 0.0) + value


def _means(window: dict[str, float]) -> dict[str, float]:
    return {n: v / window["n"] for n, v in window.items() if n != "n"}


class _StopRequest:
    """Turns the first Ctrl-C into a request that is looked at between steps; the second one is immediate."""

    def __init__(self) -> None:
        self.requested = False
        self.previous: Any = None

    def __enter__(self) -> "_StopRequest":
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(self, *_: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
