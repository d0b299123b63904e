"""How properties answer to rotations and reflections of the structure."""

import torch
from jaxtyping import Float
from torch import Tensor

from equipot.potential.targets import TargetsConfig, TensorTarget
from equipot.properties import Properties, from_items
from equipot.tensor.basis import Cartesian
from equipot.tensor.irreps import Irrep, Irreps

#: Cartesian axes; the others have none
_ORDER = {"forces": 1, "dipole": 1, "stress": 2, "virials": 2, "born_charges": 2, "polarizability": 2}


def transformed(properties: Properties, targets: TargetsConfig, matrix: Float[Tensor, "3 3"]) -> Properties:
    """Properties of the structure r → R r, from those of the structure; R is orthogonal, det R = ±1."""
    values = {}
    for name, value in properties.items():
        target = targets.tensors.get(name)
        if target is None:
            values[name] = _rotate_axes(value, _ORDER.get(name, 0), matrix)
        else:
            values[name] = _transformed_tensor(value, target, matrix)
    return from_items(values)


def representation(irrep: Irrep, matrix: Float[Tensor, "3 3"]) -> Float[Tensor, "dim dim"]:
    """D(R) on the components of an irrep, from R ⊗ … ⊗ R on symmetric traceless tensors.

    The l-fold product has parity (−1)^l; the other parity takes a factor det R.
    """
    power = torch.ones(1, 1, dtype=matrix.dtype)
    for _ in range(irrep.l):
        power = torch.kron(power, matrix)
    isometry = Cartesian().to_spherical(irrep.l).to(matrix.dtype)
    natural = isometry.T @ power @ isometry
    return natural if irrep.parity == (-1) ** irrep.l else torch.linalg.det(matrix) * natural


def _transformed_tensor(value: Tensor, target: TensorTarget, matrix: Float[Tensor, "3 3"]) -> Tensor:
    if target.order is not None:
        return _rotate_axes(value, target.order, matrix)
    assert target.irreps is not None
    irreps = Irreps.parse(target.irreps)
    parts = value.split([copies * irrep.dim for copies, irrep in irreps], dim=-1)
    rotated = [
        (part.unflatten(-1, (copies, irrep.dim)) @ representation(irrep, matrix).T).flatten(-2)
        for part, (copies, irrep) in zip(parts, irreps, strict=True)
    ]
    return torch.cat(rotated, dim=-1)


def _rotate_axes(value: Tensor, order: int, matrix: Float[Tensor, "3 3"]) -> Tensor:
    for axis in range(1, order + 1):
        value = (value.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
    return value
