"""Steerable linear layers: linear maps whose matrix is steered by an attribute of the atom or the edge.

J. Brandstetter, R. Hesselink, E. van der Pol, E. J. Bekkers, M. Welling, ICLR 2022 (arXiv:2110.02905), Sec. 2.

    W_ã h = Σ_paths [(h W_p)_l1 ⊗ ã_l2]_l3 + b        one weight matrix per path (l1, l2, l3), b in 0e alone

The attribute has one channel of each irrep and ã_0 = 1, so ã = 1 leaves an ordinary linear layer. Weights act on
channels and the attribute on components: here the weights come first, so that features of atoms are mixed on the
atoms however many edges they are sent along, and the matrices that ã makes of the couplings, which have no
parameters, are made once for all layers.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import reduce
from math import isqrt, sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from equipot.tensor.basis import TensorBasis, get_basis
from equipot.tensor.features import Features
from equipot.tensor.irreps import SCALAR, Irrep, Irreps, products
from equipot.tensor.linear import mixed
from equipot.tensor.tables import constant

#: [rows, components path by path, channels] per block; None stands for zero
Mixed = tuple[Tensor | None, ...]


@dataclass(frozen=True)
class Block:
    """A part of a steered matrix: between two irreps, through those of the attribute that couple them."""

    source: Irrep
    target: Irrep
    through: tuple[Irrep, ...]


def blocks_of(
    sources: Collection[Irrep], attribute: Collection[Irrep], targets: Collection[Irrep]
) -> tuple[Block, ...]:
    """The blocks of W_ã that are not zero by symmetry, target by target."""
    found = (
        Block(a, c, tuple(b for b in sorted(attribute) if c in products(a, b)))
        for c in sorted(targets)
        for a in sorted(sources)
    )
    return tuple(block for block in found if block.through)


def balanced_channels(channels: int, labels: Collection[Irrep], attribute: Collection[Irrep]) -> int:
    """Channels per irrep, the fewest that give W_ã as many weights as a map between `channels` scalars has."""
    num_paths = sum(len(block.through) for block in blocks_of(labels, attribute, labels))
    return isqrt(-(-(channels**2) // num_paths) - 1) + 1


@dataclass(frozen=True)
class SteeringMatrices:
    """What an attribute makes of the couplings of every block.

    A matrix leads from the components of the source, path by path, to those of the target.
    """

    blocks: tuple[Block, ...]
    matrices: tuple[Tensor, ...]  # [rows, components of the target, components of the source path by path]

    def __getitem__(self, block: Block) -> Float[Tensor, "rows dim dims"]:
        return self.matrices[self.blocks.index(block)]


class Steering:
    """M(ã) = Σ_m C^(l1 l2 l3)_m ã_m, for attributes in spherical components and features in either basis."""

    def __init__(
        self, sources: Collection[Irrep], attribute: Collection[Irrep], targets: Collection[Irrep], basis: str
    ) -> None:
        self.blocks = blocks_of(sources, attribute, targets)
        self.basis: TensorBasis = get_basis(basis)

    def __call__(self, attribute: Features) -> SteeringMatrices:
        """The matrices of all blocks, at every atom or edge."""
        return SteeringMatrices(self.blocks, tuple(self._matrix(block, attribute) for block in self.blocks))

    def _matrix(self, block: Block, attribute: Features) -> Float[Tensor, "rows dim dims"]:
        paths = [self._path(block.source.l, b, block.target.l, attribute) for b in block.through]
        return torch.stack(paths, dim=-1).flatten(-2)

    def _path(self, l1: int, irrep: Irrep, l3: int, attribute: Features) -> Float[Tensor, "rows dim3 dim1"]:
        table = constant("coupling", l1, irrep.l, l3, like=attribute[irrep])
        matrix = (attribute[irrep][..., 0] @ table.flatten(0, 1).T).unflatten(-1, table.shape[:2])
        if self.basis.dim(l3) != 2 * l3 + 1:
            matrix = constant("isometry", l3, like=matrix) @ matrix
        if self.basis.dim(l1) != 2 * l1 + 1:
            matrix = matrix @ constant("isometry", l1, like=matrix).T
        return matrix


def rows_of(mixed: Mixed, index: Int[Tensor, " rows"]) -> Mixed:
    """What was mixed on atoms, at other rows: on the edges that leave or reach them."""
    return tuple(None if z is None else z.index_select(0, index) for z in mixed)


def total(*parts: Mixed) -> Mixed:
    """The sum of what several parts of the inputs were mixed to."""
    return tuple(_sum([z for z in block if z is not None]) for block in zip(*parts, strict=True))


def _sum(tensors: list[Tensor]) -> Tensor | None:
    return reduce(torch.add, tensors) if tensors else None


class SteerableLinear(nn.Module):
    """W_ã. Weights and bias start uniform in ±1/√fan_in, fan_in the number of terms in an output channel."""

    def __init__(self, irreps_in: Irreps, attribute: Collection[Irrep], irreps_out: Irreps) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.blocks = blocks_of(irreps_in.labels, attribute, irreps_out.labels)
        missing = set(irreps_out.labels) - {block.target for block in self.blocks}
        if missing:
            raise ValueError(
                f"steerable linear: no path from '{irreps_in}' to {', '.join(map(str, sorted(missing)))} through an "
                f"attribute of {', '.join(map(str, sorted(attribute)))}"
            )
        self.weights = nn.ParameterDict({self._name(block): self._initial(block) for block in self.blocks})
        bound = 1 / sqrt(self._fan_in(SCALAR)) if SCALAR in irreps_out else 0.0
        self.bias = nn.Parameter(torch.empty(irreps_out.channels(SCALAR)).uniform_(-bound, bound))

    def forward(self, features: Features, matrices: SteeringMatrices) -> Features:
        """W_ã h, by the matrices of ã."""
        return self._collect(self._term(block, features[block.source], matrices) for block in self.blocks)

    def mix(self, features: Features, start: int = 0) -> Mixed:
        """The part before ã: h W_p. `start` is the first channel where `features` are a part of all inputs."""
        return tuple(
            self._mix(features[block.source], self.weights[self._name(block)], start)
            if block.source in features
            else None
            for block in self.blocks
        )

    def steer(self, mixed: Mixed, matrices: SteeringMatrices) -> Features:
        """The part after the weights: ⊗ ã, the sum over paths, the bias."""
        pairs = zip(self.blocks, mixed, strict=True)
        return self._collect(None if z is None else _steered(block, z, matrices) for block, z in pairs)

    def _collect(self, terms: Iterable[Tensor | None]) -> Features:
        """Sums over the blocks of a target, and the bias."""
        parts: dict[Irrep, list[Tensor]] = {irrep: [] for irrep in self.irreps_out.labels}
        for block, term in zip(self.blocks, terms, strict=True):
            if term is not None:
                parts[block.target].append(term)
        if SCALAR in parts:
            parts[SCALAR].append(self.bias)
        return Features(self.irreps_out, tuple(reduce(torch.add, terms) for terms in parts.values()))

    def _term(
        self, block: Block, x: Float[Tensor, "rows dim channels"], matrices: SteeringMatrices
    ) -> Float[Tensor, "rows dim3 outputs"]:
        """One block of W_ã h; ã comes before the weights where it leaves fewer components to multiply."""
        weight = self.weights[self._name(block)]
        if block.target.l >= block.source.l:
            return _steered(block, self._mix(x, weight, 0), matrices)
        num_paths = len(block.through)
        paths = matrices[block].unflatten(2, (-1, num_paths)).transpose(2, 3).flatten(1, 2)
        turned = _product(paths, x).unflatten(1, (-1, num_paths)).flatten(2)
        return mixed(turned, weight.transpose(0, 1).flatten(0, 1))

    def _mix(
        self, x: Float[Tensor, "rows dim channels"], weight: Float[Tensor, "inputs paths outputs"], start: int
    ) -> Float[Tensor, "rows dims outputs"]:
        rows = mixed(x, weight[start : start + x.shape[-1]].flatten(1))
        return rows.unflatten(-1, weight.shape[1:]).flatten(1, 2)

    @staticmethod
    def _name(block: Block) -> str:
        return f"{block.source}-{block.target}"

    def _initial(self, block: Block) -> nn.Parameter:
        bound = 1 / sqrt(self._fan_in(block.target))
        shape = (
            self.irreps_in.channels(block.source),
            len(block.through),
            self.irreps_out.channels(block.target),
        )
        return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

    def _fan_in(self, target: Irrep) -> int:
        into = [block for block in self.blocks if block.target == target]
        return sum(self.irreps_in.channels(block.source) * len(block.through) for block in into)


def _steered(
    block: Block, z: Float[Tensor, "rows dims channels"], matrices: SteeringMatrices
) -> Float[Tensor, "rows dim channels"]:
    """What is mixed, ⊗ ã; from scalars to scalars ã_0 = 1."""
    return z if block.source == block.target == SCALAR else _product(matrices[block], z)


def _product(
    matrix: Float[Tensor, "rows dim dims"], z: Float[Tensor, "rows dims channels"]
) -> Float[Tensor, "rows dim channels"]:
    """The matrix product, row by row. From and to a single component it takes half the time without `bmm`."""
    if matrix.shape[2] == 1:
        return matrix * z
    if matrix.shape[1] == 1:
        return (matrix.transpose(1, 2) * z).sum(1, keepdim=True)
    return torch.bmm(matrix, z)
