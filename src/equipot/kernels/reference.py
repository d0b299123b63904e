"""The edge operation in plain PyTorch: any device, any precision, differentiable any number of times.

Scalars, the most common case, are products without a coupling. Everything else multiplies the weighted
features by the small matrix Σ_b C[k,a,b] Y[b] of its edge. Cartesian tensors enter and leave through their
2l+1 independent components, which is exact: between irreps a coupling is unique up to a factor.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.kernels.description import EdgeProduct, Path
from equipot.tensor.irreps import Irrep
from equipot.tensor.tables import constant


def reference_edge_product(
    spec: EdgeProduct,
    x: Float[Tensor, "senders inputs channels"] | None,
    harmonics: Float[Tensor, "edges harmonics"],
    weights: Float[Tensor, "edges paths channels"],
    batch: AtomicBatch,
) -> Float[Tensor, "atoms outputs channels"]:
    """The sum over neighbors and paths; see `equipot.kernels.edge`."""
    y = _harmonic_slots(spec, harmonics)
    gathered = [None] * len(spec.inputs) if x is None else _gather(spec, x, batch)
    w = weights.split(1, dim=1)
    outputs = []
    for slot, irrep in enumerate(spec.outputs):
        out = weights.new_zeros(batch.num_atoms, irrep.dim, weights.shape[-1])
        message = None
        for number, path in spec.paths_into[slot]:
            message = _add(message, spec, path, gathered[path.input], y[path.edge], w[number])
        outputs.append(out if message is None else out.index_add_(0, batch.receivers, message))
    outputs = [_from_spherical(spec, out, irrep) for out, irrep in zip(outputs, spec.outputs, strict=True)]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


def _gather(
    spec: EdgeProduct, x: Float[Tensor, "senders inputs channels"], batch: AtomicBatch
) -> list[Float[Tensor, "edges dim channels"]]:
    """Features of the senders, slot by slot: no cotangent is padded to the width of all slots."""
    slots = zip(x.split(spec.input_dims, dim=1), spec.inputs, strict=True)
    return [_to_spherical(spec, slot, irrep).index_select(0, batch.senders) for slot, irrep in slots]


def _harmonic_slots(
    spec: EdgeProduct, harmonics: Float[Tensor, "edges harmonics"]
) -> list[Float[Tensor, "edges dim 1"]]:
    slots = zip(harmonics.unsqueeze(-1).split(spec.edge_dims, dim=1), spec.edge, strict=True)
    return [_to_spherical(spec, slot, irrep) for slot, irrep in slots]


def _to_spherical(spec: EdgeProduct, t: Tensor, irrep: Irrep) -> Tensor:
    stored = spec.tensor_basis.dim(irrep.l)
    return t if stored == irrep.dim else constant("isometry", irrep.l, like=t).T @ t


def _from_spherical(spec: EdgeProduct, t: Tensor, irrep: Irrep) -> Tensor:
    stored = spec.tensor_basis.dim(irrep.l)
    return t if stored == irrep.dim else constant("isometry", irrep.l, like=t) @ t


def _add(
    message: Float[Tensor, "edges dim3 channels"] | None,
    spec: EdgeProduct,
    path: Path,
    x: Float[Tensor, "edges dim1 channels"] | None,
    y: Float[Tensor, "edges dim2 1"],
    w: Float[Tensor, "edges 1 channels"],
) -> Float[Tensor, "edges dim3 channels"]:
    """The message with one more path in it."""
    l1, l2, l3 = spec.degrees(path)
    scale = path.scale * spec.tensor_basis.coupling_gain(l1, l2, l3)
    if l2 == 0:
        if x is None:
            return w * scale if message is None else message + w * scale
        return _add_product(message, w, x, scale)
    if l1 == 0:
        scaled = y if scale == 1 else scale * y  # the smallest factor
        return _add_product(message, w if x is None else w * x, scaled)
    assert x is not None
    table = constant("coupling", l1, l2, l3, like=x)
    matrix = (y.squeeze(-1) @ (scale * table).flatten(0, 1).T).unflatten(-1, (2 * l3 + 1, 2 * l1 + 1))
    if message is None:
        return torch.bmm(matrix, w * x)
    return torch.baddbmm(message, matrix, w * x)


def _add_product(message: Tensor | None, a: Tensor, b: Tensor, scale: float = 1.0) -> Tensor:
    """Message + scale · a · b. Not addcmul, whose backward multiplies both factors by its constant once more."""
    product = a * b if scale == 1 else (a * scale) * b
    return product if message is None else message + product
