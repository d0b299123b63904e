"""Covariant inputs of the atoms: velocities, applied forces, magnetic moments, as attributes and as features."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from equipot.batch import AXIAL, AtomicBatch, AtomicVector
from equipot.statistics import Statistics
from equipot.tensor.basis import solid_harmonics, spherical_harmonics
from equipot.tensor.features import Features, add, side_by_side
from equipot.tensor.irreps import SCALAR, Irrep, Irreps
from equipot.tensor.norm import safe_norm


class AtomicVectors:
    """Harmonics of v = vector/(its root mean square in training), and the features v and |v|.

    Of a polar vector the harmonics have natural parity, of an axial one (1e: a magnetic moment) all are even.
    Bounded, they are |t|^l Y_l(t) with t = v/√(1 + |v|²): smooth at v = 0, where a direction is not, and of the
    size of Y_l for large v. As `directions` they are Y_l(v̂), as published. Energies are not made even under
    v → −v; time reversal, which turns velocities and moments round, is left to the data.
    """

    def __init__(
        self, names: Sequence[AtomicVector], l_max: int, statistics: Statistics, directions: bool = False
    ) -> None:
        self.names, self.l_max, self.directions = tuple(names), l_max, directions
        self.scales = {name: statistics.inputs.get(name, 1.0) for name in names}
        self.irreps_of = {name: tuple(_irrep(name, l) for l in range(1, l_max + 1)) for name in names}
        self.irreps = {irrep for irreps in self.irreps_of.values() for irrep in irreps}

    def features_beside(self, num_scalars: int) -> Irreps:
        """Irreps of the features together with other scalars: a length and a vector of each."""
        vectors = [_irrep(name, 1) for name in self.names]
        counts = ((vectors.count(irrep), irrep) for irrep in sorted(set(vectors)))
        return Irreps(((num_scalars + len(vectors), SCALAR), *counts))

    def features(self, batch: AtomicBatch, dtype: torch.dtype) -> list[Features]:
        """The vectors and their lengths."""
        parts = []
        for name in self.names:
            v = self._scaled(name, batch, dtype)
            length = safe_norm(v, dim=-1, keepdim=True)
            irreps = Irreps(((1, SCALAR), (1, _irrep(name, 1))))
            parts.append(Features(irreps, (length[:, None], v[..., None])))
        return parts

    def add_to(self, attribute: Features, batch: AtomicBatch) -> Features:
        """The attribute of the atoms with all harmonics, l > 0, added to it."""
        for name in self.names:
            v = self._scaled(name, batch, attribute.blocks[0].dtype)
            attribute = _sum(attribute, self._harmonics(name, v))
        return attribute

    def _scaled(self, name: AtomicVector, batch: AtomicBatch, dtype: torch.dtype) -> Float[Tensor, "atoms 3"]:
        return (batch.vectors_of_atoms(name) / self.scales[name]).to(dtype)

    def _harmonics(self, name: AtomicVector, v: Float[Tensor, "atoms 3"]) -> Features:
        if self.directions:
            harmonics = spherical_harmonics(v, self.l_max)
        else:
            bounded = v * (1 + v.square().sum(-1, keepdim=True)).rsqrt()
            harmonics = solid_harmonics(bounded, self.l_max)
        irreps = self.irreps_of[name]
        return Features(Irreps.uniform(1, irreps), tuple(y[..., None] for y in harmonics[1:]))


def _irrep(name: AtomicVector, l: int) -> Irrep:
    return Irrep(l, 1) if name in AXIAL else Irrep.natural(l)


def _sum(x: Features, y: Features) -> Features:
    """The sum irrep by irrep, with all irreps of either."""
    new = Irreps(tuple((n, irrep) for n, irrep in y.irreps if irrep not in x))
    total = add(x, y)
    if not new.blocks:
        return total
    return side_by_side([total, Features(new, tuple(y[irrep] for irrep in new.labels))])
