"""Seconds of one training step on 3BPA, 5 frames at once, float32: what to plan accuracy runs with.

    python benchmarks/accuracy/step_time.py DATA --models painn,nequip --sizes small,medium
    python benchmarks/accuracy/step_time.py DATA --models nequip --set model.l_max=1 model.channels=32

On a CPU these are CPU seconds, so that other processes disturb little; on a free core wall time is the same.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import records
import torch
from molecule import RESULTS, configuration, stamp
from settings import available, settings
from three_bpa import three_bpa

from equipot import api
from equipot.train.begin import from_scratch, resolved
from equipot.train.dataset import load
from equipot.train.distributed import Process
from equipot.train.loop import Trainer
from equipot.train.trial import trial


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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=lambda t: t.split(","), default=list(available()))
    parser.add_argument("--sizes", type=lambda t: t.split(","), default=["small"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seconds", type=float, default=10.0, help="of measuring, for each model")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--result", type=Path, default=RESULTS / "step_time_3bpa.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = three_bpa(arguments.data)
    for name in arguments.models:
        for size in arguments.sizes:
            values = configuration(
                chosen, settings(name, size, chosen.name), train=450, seed=1, device=arguments.device
            )
            made = stamp()
            found = step_time(values, arguments.set, arguments.seconds)
            key = ", ".join([name, size, arguments.device, *arguments.set])
            ms = 1e3 * found["seconds_per_step"]
            print(f"{key}: {ms:.0f} ms, {found['parameters']:,} parameters", flush=True)
            header = {
                "what": "seconds of one training step on 5 frames of 3BPA, float32; CPU: one thread, CPU seconds"
            }
            records.add(arguments.result, header, key, {**found, **made})


if __name__ == "__main__":
    sys.exit(main())
