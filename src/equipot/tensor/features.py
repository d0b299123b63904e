"""What a model returns: equivariant features of the atoms."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from equipot.tensor.irreps import SCALAR, Irrep, Irreps


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
        return self[SCALAR][:, 0]


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
