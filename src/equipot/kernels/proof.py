"""What the proof of a program is made of: an excerpt of a structure, and derivatives along fixed directions."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from equipot.batch import ATOMIC_VECTORS, AtomicBatch
from equipot.kernels.description import EdgeProduct

CHECKED_ATOMS = 32  # at most, of the first structure that a program sees


def with_derivatives(
    operation: Callable[..., Tensor],
    dtype: torch.dtype,
    spec: EdgeProduct,
    x: Tensor | None,
    harmonics: Tensor,
    weights: Tensor,
    batch: AtomicBatch,
    *more: Tensor,
) -> list[Tensor]:
    """The result, its gradients along a fixed direction, and theirs; `more`: what weights are made of."""
    with torch.enable_grad():
        given = [argument(t, dtype) for t in (x, harmonics, weights, *more) if t is not None]
        out = operation(spec, *([None] * (x is None)), *given, batch)
        along_out = direction(out).requires_grad_(True)
        # a scalar harmonic is the number one, which the reference leaves out: no gradient is zero
        first = torch.autograd.grad(
            out, given, along_out, create_graph=True, allow_unused=True, materialize_grads=True
        )
        along = sum(((f * direction(f)).sum() for f in first), out.new_zeros(()))
        second = torch.autograd.grad(along, [*given, along_out], allow_unused=True, materialize_grads=True)
    return [t.detach() for t in (out, *first, *second)]


def argument(t: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy to differentiate by."""
    return t.detach().to(dtype, copy=True).requires_grad_(True)


def direction(like: Tensor) -> Tensor:
    """Numbers without symmetry, the same every time; no random state is touched."""
    steps = torch.arange(like.numel(), dtype=torch.float64, device=like.device)
    return torch.sin(0.7 + 1.3 * steps).to(like.dtype).reshape(like.shape)


def excerpt(
    x: Tensor | None, harmonics: Tensor, weights: Tensor, batch: AtomicBatch
) -> tuple[Tensor | None, Tensor, Tensor, AtomicBatch]:
    """The edges among the first atoms that have any, and the first neighbors: a part that is closed under mirroring."""
    some = CHECKED_ATOMS // 2
    # neighbors: the first atoms may all be of a species that only has others around it
    busy = torch.cat([batch.receivers.unique()[:some], batch.senders[:some]]).unique()
    if len(busy) == batch.num_atoms:
        return x, harmonics, weights, batch
    place = batch.receivers.new_full((batch.num_atoms,), -1)
    place[busy] = torch.arange(len(busy), device=busy.device)
    kept = ((place[batch.receivers] >= 0) & (place[batch.senders] >= 0)).nonzero()[:, 0]
    new_edge = batch.receivers.new_full((len(batch.receivers),), -1)
    new_edge[kept] = torch.arange(len(kept), device=kept.device)
    receivers = place[batch.receivers[kept]]
    counts = torch.bincount(receivers, minlength=len(busy))
    part = replace(
        batch,
        positions=batch.positions[busy],
        species=batch.species[busy],
        system=batch.system[busy],
        senders=place[batch.senders[kept]],
        receivers=receivers,
        shifts=batch.shifts[kept],
        row_pointer=torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
        reverse=new_edge[batch.reverse[kept]],
        edge_vectors=None,
        **dict.fromkeys(ATOMIC_VECTORS),
    )
    return x[busy] if x is not None else None, harmonics[kept], weights[kept], part
