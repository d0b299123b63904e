"""Packed slots in the 2l+1 components that programs work on, whatever the basis stores."""

import torch
from torch import Tensor

from equipot.kernels.description import EdgeProduct
from equipot.tensor.irreps import Irrep
from equipot.tensor.tables import constant


def to_spherical(spec: EdgeProduct, slots: tuple[Irrep, ...], packed: Tensor) -> Tensor:
    """Packed slots, [rows, components, channels], with 2l+1 components each."""
    dims = [spec.tensor_basis.dim(irrep.l) for irrep in slots]
    if dims == [irrep.dim for irrep in slots]:
        return packed
    parts = zip(packed.split(dims, dim=1), slots, strict=True)
    return torch.cat([constant("isometry", i.l, like=t).T @ t if i.l > 1 else t for t, i in parts], dim=1)


def from_spherical(spec: EdgeProduct, slots: tuple[Irrep, ...], packed: Tensor) -> Tensor:
    """The way back, exact for irreducible tensors."""
    if all(spec.tensor_basis.dim(irrep.l) == irrep.dim for irrep in slots):
        return packed
    parts = zip(packed.split([irrep.dim for irrep in slots], dim=1), slots, strict=True)
    return torch.cat([constant("isometry", i.l, like=t) @ t if i.l > 1 else t for t, i in parts], dim=1)


def offsets(slots: tuple[Irrep, ...]) -> list[int]:
    """Where the components of each slot begin, and how many there are."""
    out = [0]
    for irrep in slots:
        out.append(out[-1] + irrep.dim)
    return out
