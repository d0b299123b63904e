"""Normalisation of features over the atoms of each system."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipot.batch import AtomicBatch
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irreps


class InstanceNorm(nn.Module):
    """x ← w x / √(⟨x²⟩ + ε), the mean over components and the atoms of a system; l = 0 is centred before.

    A trainable weight per channel, one at first, and a bias, zero at first, per channel of 0e. Every atom feels
    every other of its system, so energies do not add: for molecules of one kind, not for dynamics.
    """

    epsilon = 1e-5

    def __init__(self, irreps: Irreps) -> None:
        super().__init__()
        self.irreps = irreps
        self.weights = nn.ParameterDict({str(irrep): torch.ones(n) for n, irrep in irreps})
        self.bias = nn.Parameter(torch.zeros(irreps.channels(SCALAR)))

    def forward(self, features: Features, batch: AtomicBatch) -> Features:
        """The normalised features."""
        blocks = []
        for _, irrep in self.irreps:
            x = features[irrep]
            if irrep.l == 0:
                x = x - _mean(x, batch)
            power = _mean(x.square().sum(1, keepdim=True) / irrep.dim, batch)
            x = x * (power + self.epsilon).rsqrt() * self.weights[str(irrep)]
            blocks.append(x + self.bias if irrep == SCALAR else x)
        return Features(self.irreps, tuple(blocks))


def _mean(x: Float[Tensor, "atoms dim channels"], batch: AtomicBatch) -> Float[Tensor, "atoms dim channels"]:
    """Mean over the atoms of its system, at every atom."""
    means = batch.sum_over_systems(x) / batch.atoms_per_system()[:, None, None]
    return means.index_select(0, batch.system)
