"""One process or many: what torchrun sets up, and nothing else.

Started by torchrun, every process joins a group (NCCL on GPUs, gloo on CPUs); started alone, there is no group and
every function here is the identity.
"""

import os
import warnings
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Process:
    """One of the processes that train together: the one that runs this code."""

    rank: int = 0
    world: int = 1
    device: torch.device = CPU

    @property
    def leads(self) -> bool:
        """Whether this one writes files and speaks."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def agree(self, value: float) -> float:
        """The value of the first process, on all of them."""
        if self.world == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, src=0)
        return float(shared)

    def barrier(self) -> None:
        """Wait for the others."""
        if self.world > 1:
            dist.barrier()

    def leave(self) -> None:
        """Close the group."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()


def leads() -> bool:
    """Whether this process speaks, before any group is joined."""
    return os.environ.get("RANK", "0") == "0"


def join(device: str) -> Process:
    """Join the group that torchrun describes in the environment, or be alone."""
    use_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "train.device=cuda: PyTorch sees no GPU here. Use train.device=cpu or a CUDA build of torch."
        )
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Process(device=torch.device("cuda" if use_cuda else "cpu"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = torch.device("cuda", local) if use_cuda else torch.device("cpu")
    if not dist.is_initialized():
        dist.init_process_group("nccl" if use_cuda else "gloo")
        # weights of one row: a matter of layout, not of numbers
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    return Process(rank=dist.get_rank(), world=world, device=chosen)
