"""Optimizers, and which weights decay."""

import torch
from torch import nn

from equipot.nn.dense import NormalizedLinear
from equipot.nn.species import SpeciesLinear
from equipot.tensor.linear import IrrepsLinear
from equipot.train.plan import Optimizer
from equipot.train.soap import Soap


def build_optimizer(
    name: Optimizer, module: nn.Module, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Weight decay on matrices of linear layers; none on biases, embeddings, norms, scales. Frozen ones stay out."""
    decaying = [m.weight for m in module.modules() if isinstance(m, nn.Linear | NormalizedLinear)]
    for linear in (m for m in module.modules() if isinstance(m, IrrepsLinear | SpeciesLinear)):
        decaying += linear.weights.values()
    chosen = {id(p) for p in decaying}
    others = [p for p in module.parameters() if id(p) not in chosen and p.requires_grad]
    decaying = [p for p in decaying if p.requires_grad]
    groups = [
        {"params": decaying, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if name == "soap":
        matrices = [p for p in decaying if p.ndim > 1]
        others = [p for p in decaying if p.ndim < 2] + others
        groups = [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": others, "betas": (0.9, 0.999), "rotated": False},
        ]
        return Soap(groups, lr=learning_rate)
    # Adam itself would add the decay to gradients, which it then divides by their size: decay by far too much
    return torch.optim.AdamW(
        groups, lr=learning_rate, betas=(0.9, 0.999), amsgrad=name == "amsgrad", foreach=True
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """For all groups alike."""
    for group in optimizer.param_groups:
        group["lr"] = value
