"""What a model returns: equivariant features of the atoms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils import _pytree as pytree

from equipot.tensor.basis import TensorBasis
from equipot.tensor.irreps import SCALAR, Irrep, Irreps
from equipot.tensor.tables import constant


@dataclass(frozen=True)
class Features:
    """One tensor per irrep, [nodes, components, channels], in the order of `irreps`.

    The components are those of the tensor basis of the model: 2l+1 spherical ones or the
    3**l of a symmetric traceless tensor. A degree-1 block is (x, y, z) in both.
    """

    irreps: Irreps
    blocks: tuple[Tensor, ...]

    def __getitem__(self, irrep: Irrep | str) -> Tensor:
        return self.blocks[self.irreps.index(irrep)]

    def __contains__(self, irrep: Irrep | str) -> bool:
        return irrep in self.irreps

    @property
    def scalars(self) -> Tensor:
        """The 0e block without its component axis, [nodes, channels]."""
        return self[SCALAR].squeeze(1)


def side_by_side(parts: Sequence[Features]) -> Features:
    """Features of the same rows as one: the channels of an irrep behind one another, irreps in their order."""
    labels = sorted({irrep for part in parts for irrep in part.irreps.labels})
    blocks = [[part[irrep] for part in parts if irrep in part] for irrep in labels]
    joined = tuple(b[0] if len(b) == 1 else torch.cat(b, dim=-1) for b in blocks)
    return Features(Irreps(tuple((b.shape[-1], i) for b, i in zip(joined, labels, strict=True))), joined)


def concatenate_components(features: Features) -> Float[Tensor, "rows components channels"]:
    """The blocks behind one another along the component axis; they need the same number of channels."""
    return features.blocks[0] if len(features.blocks) == 1 else torch.cat(features.blocks, dim=1)


def add(x: Features, y: Features) -> Features:
    """Their sum, irrep by irrep; y may lack some."""
    blocks = [x[irrep] + y[irrep] if irrep in y else x[irrep] for irrep in x.irreps.labels]
    return Features(x.irreps, tuple(blocks))


def select(features: Features, irreps: Irreps) -> Features:
    """The blocks of these irreps alone."""
    return Features(irreps, tuple(features[irrep] for irrep in irreps.labels))


def in_spherical(features: Features, basis: TensorBasis) -> Features:
    """The same features with 2l+1 spherical components."""
    if all(basis.dim(irrep.l) == irrep.dim for irrep in features.irreps.labels):
        return features
    pairs = zip(features.irreps.labels, features.blocks, strict=True)
    return Features(
        features.irreps,
        tuple(b if basis.dim(i.l) == i.dim else constant("isometry", i.l, like=b).T @ b for i, b in pairs),
    )


def from_spherical(features: Features, basis: TensorBasis) -> Features:
    """Features with 2l+1 spherical components in the components of a basis."""
    pairs = zip(features.irreps.labels, features.blocks, strict=True)
    blocks = [b if basis.dim(i.l) == i.dim else constant("isometry", i.l, like=b) @ b for i, b in pairs]
    return Features(features.irreps, tuple(blocks))


def _flatten(features: Features) -> tuple[list[Any], str]:
    return list(features.blocks), str(features.irreps)


def _unflatten(blocks: Any, irreps: str) -> Features:
    return Features(Irreps.parse(irreps), tuple(blocks))


def _flatten_with_keys(features: Features) -> tuple[list[tuple[Any, Any]], str]:
    blocks, irreps = _flatten(features)
    return [(pytree.SequenceKey(n), block) for n, block in enumerate(blocks)], irreps


# The tensors are leaves, the irreps part of the structure: what compile and export need.
pytree.register_pytree_node(
    Features,
    _flatten,
    _unflatten,
    serialized_type_name="equipot.tensor.features.Features",
    flatten_with_keys_fn=_flatten_with_keys,
)
