"""A new architecture in one class, held against the numerical contract before it has learned anything.

Atoms send scalars s and vectors v; unlike PaiNN's, messages also couple v to degree-2 harmonics. To make it selectable
by name, see CONTRIBUTING.md. Ends in the largest deviation from a law: below 1e-7, the accuracy of differences.
"""

import torch
from torch import nn

from equipot import testing
from equipot.config import parse
from equipot.kernels import EdgeProduct, Path, edge_product
from equipot.nn.cutoff import envelope
from equipot.nn.dense import AtomicEmbedding, dense, mlp
from equipot.nn.radial import Bessel
from equipot.potential import PotentialConfig
from equipot.tensor.basis import Spherical
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irrep, Irreps

S, V, D = map(Irrep.parse, ("0e", "1o", "2e"))
MESSAGE = EdgeProduct(  # paths: which input times which harmonic goes into which output
    inputs=(S, V), edge=(S, V, D), outputs=(S, V),
    paths=(Path(0, 0, 0), Path(1, 1, 0), Path(0, 1, 1), Path(1, 0, 1), Path(1, 2, 1)),
)  # fmt: skip


class Quadrupolar(nn.Module):
    """x_i += mix(Σ_j W(r_ij) x_j ⊗ Y(r̂_ij)), the vectors gated by the scalars."""

    def __init__(self, elements, channels=16, num_layers=2, cutoff=3.0):
        super().__init__()
        self.cutoff, self.basis, self.radial = cutoff, Spherical(), Bessel(8, cutoff)
        self.irreps = Irreps.parse(f"{channels}x0e + {channels}x1o")
        self.embedding = AtomicEmbedding(elements, channels)
        self.filters = nn.ModuleList(dense(8, len(MESSAGE.paths) * channels) for _ in range(num_layers))
        self.scalars = nn.ModuleList(mlp(channels, channels, 2 * channels) for _ in range(num_layers))
        self.vectors = nn.ModuleList(dense(channels, channels, bias=False) for _ in range(num_layers))

    def forward(self, batch):
        s = self.embedding(batch.species)[:, None]
        v = s.new_zeros(len(s), 3, s.shape[2])
        edges = batch.vectors().to(s.dtype)
        r = edges.norm(dim=-1)
        cut = envelope("polynomial", r, self.cutoff)
        harmonics = torch.cat([self.basis.harmonics(edges, degree) for degree in (0, 1, 2)], dim=-1)
        for fltr, scalar, vector in zip(self.filters, self.scalars, self.vectors, strict=True):
            weights = (fltr(self.radial(r)) * cut[:, None]).unflatten(1, (5, -1))
            message = edge_product(MESSAGE, torch.cat([s, v], dim=1), harmonics, weights, batch)
            ds, gate = scalar(message[:, :1]).chunk(2, dim=-1)
            s, v = s + ds, v + torch.sigmoid(gate) * vector(message[:, 1:])
        return Features(self.irreps, (s, v))


elements, values = (
    (1, 6, 8),
    {"model": {"name": "painn", "channels": 16, "cutoff": 3.0}, "targets": {"dipole": {}}},
)
potential = testing.random_potential(parse(PotentialConfig, values, "example"), elements)
potential.model = Quadrupolar(elements).double()  # heads and derivatives of a backbone with the same features
molecule = testing.molecule(elements)
laws = {law: testing.worst(getattr(testing, law)(potential, molecule)) for law in ("rotation", "reflection")}
laws["smooth at the cutoff"] = testing.worst(testing.cutoff_jump(potential))
laws["forces"] = testing.forces_by_differences(potential, molecule)
print(*(f"{law}: {deviation:.1e}" for law, deviation in laws.items()), sep="\n")
print(f"largest deviation: {max(laws.values()):.1e}")
