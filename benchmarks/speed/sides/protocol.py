"""A worker of one package: it prepares what it is asked for, and times a block of calls for every line it is sent.

Speaks JSON lines, and needs only what is in the environment of its package, so that each runs as it would alone.
"""

import gc
import json
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.io import read

STRUCTURES = Path(__file__).resolve().parent.parent / "structures"
CUTOFF = 5.0
ELEMENTS = (1, 6, 7, 8)
MEAN_NEIGHBORS = 16.0
TRAINING = "train"


def structures(case: str) -> list[Atoms]:
    """The structures of a case; those of "train" have an energy and forces to learn, of no meaning."""
    if case == "aspirin64":
        molecules = [read(STRUCTURES / "aspirin.extxyz").copy() for _ in range(64)]
        for seed, molecule in enumerate(molecules):
            molecule.rattle(0.05, seed=seed)
        return molecules
    if case == "water1536":
        return [read(STRUCTURES / "water192.extxyz").repeat(2)]
    return read(STRUCTURES / f"{'bpa8' if case == TRAINING else case}.extxyz", ":")


class Side(ABC):
    """A model of one package."""

    parameters: int

    @abstractmethod
    def __init__(self, model: str, mode: str, case: str) -> None:
        """The model; `case` because some packages build it for one size or box."""

    @abstractmethod
    def prepare(self, frames: list[Atoms]) -> Any:
        """What the model takes, neighbor list included."""

    @abstractmethod
    def edges(self, batch: Any) -> int:
        """Number of directed pairs."""

    @abstractmethod
    def evaluate(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Energies and forces."""

    @abstractmethod
    def train_step(self, batch: Any, energy: torch.Tensor, forces: torch.Tensor) -> None:
        """Forward, forces, loss, backward, Adam."""

    def weights(self, path: Path, write: bool) -> None:
        """Write or read all weights, where two packages can exchange them."""
        raise NotImplementedError


def labels(frames: list[Atoms]) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies and forces of the file, float32."""
    energy = torch.tensor([a.get_potential_energy() for a in frames], dtype=torch.float32)
    forces = torch.tensor(np.concatenate([a.get_forces() for a in frames]), dtype=torch.float32)
    return energy, forces


def loss(
    energy: torch.Tensor, forces: torch.Tensor, labels: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """The same for everyone."""
    return ((energy.reshape(-1) - labels[0]) ** 2).mean() + 10.0 * ((forces - labels[1]) ** 2).mean()


class Worker:
    """The case at hand, and what is asked of it."""

    def __init__(self, make: Callable[[str, str, str], Side], model: str, mode: str) -> None:
        self.make, self.model, self.mode = make, model, mode
        self.call: Callable[[], Any] | None = None

    def prepare(self, order: dict[str, Any]) -> dict[str, Any]:
        """Model and structures of a case, evaluated three times; what that is, and the memory that it took."""
        case, self.call = order["case"], None  # with it goes the memory of the last case
        gc.collect()
        torch.manual_seed(0)
        started = time.perf_counter()
        side, frames = self.make(self.model, self.mode, case), structures(case)
        if order.get("weights"):
            side.weights(Path(order["weights"]), write=order["write"])
        forget_peak()
        before = peak_memory()
        batch = side.prepare(frames)
        answer: dict[str, Any] = {}
        if case == TRAINING:
            self.call = partial(side.train_step, batch, *labels(frames))
            self.call()
        else:
            self.call = partial(side.evaluate, batch)
            energy, forces = self.call()
            answer = {"energy": float(energy.reshape(-1)[0]), "forces": forces[:32].flatten().tolist()}
        self.call()
        self.call()
        answer |= {"edges": side.edges(batch), "atoms": sum(map(len, frames)), "parameters": side.parameters}
        answer |= {"added_megabytes": (peak_memory() - before) / 1e6, "megabytes": peak_memory() / 1e6}
        return answer | {"seconds_to_prepare": time.perf_counter() - started}

    def time(self, seconds: float) -> dict[str, Any]:
        """The fastest of the calls that fit, at least one."""
        assert self.call is not None
        times, cpu = [], time.process_time()
        while len(times) < 1 or sum(times) < seconds:
            start = time.perf_counter()
            self.call()
            times.append(time.perf_counter() - start)
        each = 1e3 * (time.process_time() - cpu) / len(times)
        return {"milliseconds": 1e3 * min(times), "calls": len(times), "cpu_milliseconds": each}


def serve(make: Callable[[str, str, str], Side]) -> None:
    """Answer orders until the other end closes: prepare a case, time it."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    worker = Worker(make, *sys.argv[1:3])
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = worker.prepare(order) if order["do"] == "prepare" else worker.time(order["seconds"])
        except Exception as failure:
            answer = {"failed": f"{type(failure).__name__}: {str(failure)[:300]}"}
        print(json.dumps(answer), flush=True)


def peak_memory() -> int:
    """Bytes of the largest resident set since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")
