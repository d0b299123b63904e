"""A budget of time as a number of steps, measured once on a quiet machine: every run is the same on a busy one."""

import itertools
import time
from pathlib import Path
from typing import Any

import records
import torch

from equipot import api
from equipot.train.begin import from_scratch, resolved
from equipot.train.dataset import load
from equipot.train.distributed import Process
from equipot.train.loop import Trainer
from equipot.train.trial import trial


def seconds(text: str) -> float:
    """A time such as 5min, as the configuration reads it."""
    return api.run_config({"data": {"train": "x"}, "train": {"budget": text}}).train.budget or 0.0


def steps_for(
    path: Path, key: str, values: dict[str, Any], assignments: list[str], budget: float, measure: float = 15.0
) -> int:
    """How many steps the budget gives; the seconds of a step are measured once and kept in the result file."""
    known = records.load(path).get("seconds_per_step", {})
    if key not in known:
        found = step_time(values, assignments, measure)["seconds_per_step"]
        known = {**records.load(path).get("seconds_per_step", {}), key: round(found, 5)}
        records.note(path, "seconds_per_step", dict(sorted(known.items())))
    return max(40, int(budget / known[key]))


def step_time(values: dict[str, Any], assignments: list[str], most: float) -> dict[str, Any]:
    """Median CPU seconds of the steps that fit into `most` seconds, at least three, after one that warms up."""
    config = api.run_config(values, assignments)
    splits = load(config.data, config.targets)
    device = torch.device(values["train"].get("device", "cpu"))
    begun = from_scratch(resolved(config, splits), splits, Process(device=device), say=lambda text: None)
    graphs, batch = begun.graphs["train"], values["train"]["batch"]
    trainer = trial(begun.potential, graphs, begun.names, config.train, device, batch)
    steps = itertools.cycle(range(0, len(graphs) - batch + 1, batch))
    seconds: list[float] = []
    _timed(trainer, range(batch), device)
    while len(seconds) < 3 or sum(seconds) < most:
        first = next(steps)
        seconds.append(_timed(trainer, range(first, first + batch), device))
    return {
        "seconds_per_step": sorted(seconds)[len(seconds) // 2],
        "fastest": min(seconds),
        "steps_measured": len(seconds),
        "parameters": sum(p.numel() for p in begun.potential.parameters()),
        "edges_per_step": sum(g.num_edges for g in graphs) * batch / len(graphs),
        "model": config.model.model_dump(mode="json"),
    }


def _timed(trainer: Trainer, frames: range, device: torch.device) -> float:
    if device.type == "cpu":
        start = time.process_time()
        trainer.take(list(frames))
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    trainer.take(list(frames))
    torch.cuda.synchronize()
    return time.perf_counter() - start
