"""What operations of PyTorch are as steps of the machine.

Each function here gets the result that PyTorch has made of the arguments, and says which steps make it anew in the same
place. `NotHere` where there are none: the recording then asks PyTorch again.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from equipot.kernels.cpu.machine import COMPARISONS
from equipot.kernels.cpu.steps import NotHere, Number, Steps

aten = torch.ops.aten
Lowering = Callable[..., None]
LOWERINGS: dict[Any, Lowering] = {}


def _of(*operations: Any) -> Callable[[Lowering], Lowering]:
    def add(function: Lowering) -> Lowering:
        LOWERINGS.update(dict.fromkeys(operations, function))
        return function

    return add


def _elementwise(name: str) -> Lowering:
    return lambda steps, out, *given: steps.elementwise(name, out, *given)


for operation, word in (
    (aten.mul.Tensor, "mul"),
    (aten.mul.Scalar, "mul"),
    (aten.div.Tensor, "div"),
    (aten.neg.default, "neg"),
    (aten.abs.default, "abs"),
    (aten.sqrt.default, "sqrt"),
    (aten.rsqrt.default, "rsqrt"),
    (aten.reciprocal.default, "reciprocal"),
    (aten.sin.default, "sin"),
    (aten.cos.default, "cos"),
    (aten.exp.default, "exp"),
    (aten.sigmoid.default, "sigmoid"),
    (aten.silu.default, "silu"),
    (aten.sigmoid_backward.default, "sigmoid_backward"),
    (aten.silu_backward.default, "silu_backward"),
    (aten.where.self, "where"),
):
    LOWERINGS[operation] = _elementwise(word)


@_of(aten.add.Tensor, aten.add_.Tensor)
def _add(steps: Steps, out: Tensor, a: Tensor, b: Tensor | Number, alpha: Number = 1) -> None:
    steps.elementwise("add", out, a, b, numbers=(alpha,))


@_of(aten.mul_.Tensor)
def _mul_(steps: Steps, out: Tensor, a: Tensor, b: Tensor | Number) -> None:
    steps.elementwise("mul", out, a, b)


@_of(aten.sub.Tensor)
def _sub(steps: Steps, out: Tensor, a: Tensor, b: Tensor | Number, alpha: Number = 1) -> None:
    steps.elementwise("add", out, a, b, numbers=(-alpha,))


@_of(aten.rsub.Scalar)
def _rsub(steps: Steps, out: Tensor, a: Tensor, b: Number, alpha: Number = 1) -> None:
    steps.elementwise("add", out, b, a, numbers=(-alpha,))


@_of(aten.pow.Tensor_Scalar)
def _pow(steps: Steps, out: Tensor, a: Tensor, power: Number) -> None:
    known = {1: "copy", 2: "square", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}
    steps.elementwise(known.get(power, "pow"), out, a, numbers=(power,))


@_of(aten.clamp.default)
def _clamp(
    steps: Steps, out: Tensor, a: Tensor, low: Number | None = None, high: Number | None = None
) -> None:
    bounds = (-math.inf if low is None else low, math.inf if high is None else high)
    steps.elementwise("clamp", out, a, numbers=bounds)


for comparison in COMPARISONS:
    LOWERINGS[getattr(aten, comparison).Scalar] = lambda steps, out, a, b, name=comparison: steps.elementwise(
        name, out, a, numbers=(b,)
    )


@_of(aten._to_copy.default, aten.clone.default)
def _copy(steps: Steps, out: Tensor, a: Tensor, **_: Any) -> None:
    steps.copy(out, a)


@_of(aten.copy_.default)
def _copy_(steps: Steps, out: Tensor, _: Tensor, a: Tensor, non_blocking: bool = False) -> None:
    steps.copy(out, a)


@_of(aten.new_zeros.default, aten.zeros.default, aten.zeros_like.default, aten.zero_.default)
def _zeros(steps: Steps, out: Tensor, *_: Any, **__: Any) -> None:
    steps.copy(out, 0.0)


@_of(aten.new_ones.default, aten.ones.default, aten.ones_like.default)
def _ones(steps: Steps, out: Tensor, *_: Any, **__: Any) -> None:
    steps.copy(out, 1.0)


@_of(aten.full.default, aten.new_full.default, aten.full_like.default, aten.fill_.Scalar)
def _full(steps: Steps, out: Tensor, _: Any, *more: Any, **__: Any) -> None:
    steps.copy(out, more[-1])


@_of(aten.scalar_tensor.default)
def _scalar(steps: Steps, out: Tensor, value: Number, **_: Any) -> None:
    steps.copy(out, value)


@_of(aten.masked_fill_.Scalar, aten.masked_fill.Scalar)
def _masked_fill(steps: Steps, out: Tensor, a: Tensor, mask: Tensor, value: Number) -> None:
    steps.elementwise("where", out, mask, value, a)


@_of(aten.sum.default)
def _sum(steps: Steps, out: Tensor, a: Tensor) -> None:
    steps.sum("sum", out, a.reshape(-1) if a.ndim == 0 else a, range(max(a.ndim, 1)))


@_of(aten.sum.dim_IntList)
def _sum_along(steps: Steps, out: Tensor, a: Tensor, axes: Sequence[int] | None, _: bool = False) -> None:
    steps.sum("sum", out, a, axes or range(a.ndim))


@_of(aten.linalg_vector_norm.default)
def _norm(
    steps: Steps,
    out: Tensor,
    a: Tensor,
    order: Number = 2,
    axes: Sequence[int] | None = None,
    _: bool = False,
) -> None:
    if order != 2:
        raise NotHere("norm")
    steps.sum("squares", out, a, axes or range(a.ndim))
    steps.elementwise("sqrt", out, out)


@_of(aten.mm.default)
def _mm(steps: Steps, out: Tensor, a: Tensor, b: Tensor) -> None:
    steps.product(out, a, b, None)


@_of(aten.addmm.default)
def _addmm(steps: Steps, out: Tensor, bias: Tensor, a: Tensor, b: Tensor, **factors: Number) -> None:
    if factors:
        raise NotHere("factors")
    steps.product(out, a, b, bias)


if hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # of `equipot.tensor.product`

    @_of(torch.ops.mkldnn._linear_pointwise.default)
    def _linear(steps: Steps, out: Tensor, a: Tensor, weight: Tensor, bias: Tensor | None, *_: Any) -> None:
        steps.product(out, a, weight.T, bias)


@_of(aten.bmm.default)
def _bmm(steps: Steps, out: Tensor, a: Tensor, b: Tensor) -> None:
    steps.products(out, a, b)


@_of(aten.softplus.default)
def _softplus(steps: Steps, out: Tensor, a: Tensor, beta: Number = 1, threshold: Number = 20) -> None:
    if beta != 1:
        raise NotHere("beta")
    steps.elementwise("softplus", out, a, numbers=(0, threshold))


@_of(aten.softplus_backward.default)
def _softplus_backward(
    steps: Steps, out: Tensor, g: Tensor, a: Tensor, beta: Number, threshold: Number
) -> None:
    if beta != 1:
        raise NotHere("beta")
    steps.elementwise("softplus_backward", out, g, a, numbers=(0, threshold))


@_of(aten.native_layer_norm.default)
def _layer_norm(
    steps: Steps,
    found: Sequence[Tensor],
    a: Tensor,
    shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    epsilon: Number,
) -> None:
    out, mean, deviation = found
    steps.normalized("norm", out, a, mean, deviation, epsilon)
    if weight is not None:
        steps.elementwise("mul", out, out, weight)
    if bias is not None:
        steps.elementwise("add", out, out, bias, numbers=(1,))


@_of(aten.native_layer_norm_backward.default)
def _layer_norm_backward(
    steps: Steps,
    found: Sequence[Tensor | None],
    g: Tensor,
    a: Tensor,
    shape: Sequence[int],
    mean: Tensor,
    deviation: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    wanted: Sequence[bool],
) -> None:
    out = found[0]
    if out is None or any(wanted[1:]):
        raise NotHere("of weights")
    weighted = steps.keep(torch.empty_like(a))
    steps.elementwise("mul", weighted, g, 1.0 if weight is None else weight)
    steps.normalized("norm_backward", out, weighted, a, deviation, 0.0)


@_of(aten.cat.default)
def _cat(steps: Steps, out: Tensor, parts: Sequence[Tensor], axis: int = 0) -> None:
    start = 0
    for part in parts:
        if part.ndim != out.ndim:
            continue  # an empty one of another shape
        steps.copy(out.narrow(axis, start, part.shape[axis]), part)
        start += part.shape[axis]


@_of(aten.stack.default)
def _stack(steps: Steps, out: Tensor, parts: Sequence[Tensor], axis: int = 0) -> None:
    for n, part in enumerate(parts):
        steps.copy(out.select(axis, n), part)


@_of(aten.slice_backward.default)
def _slice_backward(
    steps: Steps, out: Tensor, g: Tensor, _: Sequence[int], axis: int, start: int, end: int, step: int
) -> None:
    steps.copy(out, 0.0)
    steps.copy(aten.slice.Tensor(out, axis, start, end, step), g)


@_of(aten.select_backward.default)
def _select_backward(steps: Steps, out: Tensor, g: Tensor, _: Sequence[int], axis: int, index: int) -> None:
    steps.copy(out, 0.0)
    steps.copy(out.select(axis, index), g)


@_of(aten.index_select.default)
def _index_select(steps: Steps, out: Tensor, a: Tensor, axis: int, index: Tensor) -> None:
    if axis:
        raise NotHere("axis")
    steps.rows("rows", out, a, index)


@_of(aten.embedding.default)
def _embedding(steps: Steps, out: Tensor, table: Tensor, index: Tensor, *_: Any) -> None:
    steps.rows("rows", out, table, index)


@_of(aten.index_add.default)
def _index_add(
    steps: Steps, out: Tensor, a: Tensor, axis: int, index: Tensor, rows: Tensor, *, alpha: Number = 1
) -> None:
    if axis or not isinstance(alpha, (int, float)):
        raise NotHere("axis")
    steps.copy(out, a)
    steps.rows("add_rows", out, rows, index, float(alpha))


@_of(aten.index_add_.default)
def _index_add_(
    steps: Steps, out: Tensor, _: Tensor, axis: int, index: Tensor, rows: Tensor, *, alpha: Number = 1
) -> None:
    if axis or not isinstance(alpha, (int, float)):
        raise NotHere("axis")
    steps.rows("add_rows", out, rows, index, float(alpha))


@_of(aten.index.Tensor)
def _index(steps: Steps, out: Tensor, a: Tensor, indices: Sequence[Tensor | None]) -> None:
    if len(indices) == 1 and indices[0] is not None:
        steps.rows("rows", out, a, indices[0])
    else:
        steps.places("pick", out, a, _places(steps, a, indices))


@_of(aten.index_put.default)
def _index_put(
    steps: Steps,
    out: Tensor,
    a: Tensor,
    indices: Sequence[Tensor | None],
    values: Tensor,
    accumulate: bool = False,
) -> None:
    if not accumulate:
        raise NotHere("index_put")
    places = _places(steps, out, indices)
    steps.copy(out, a)
    if values.is_contiguous() and values.shape == places.shape:
        steps.places("add_picked", out, values, places)
    else:
        whole = steps.keep(values.new_empty(places.shape))
        steps.copy(whole, values.expand(places.shape))
        steps.places("add_picked", out, whole, places)


def _places(steps: Steps, a: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """Of the numbers that constant indices choose."""
    if not a.is_contiguous() or not all(i is None or steps.constant(i) for i in indices):
        raise NotHere("indices that change")
    return torch.arange(a.numel()).reshape(a.shape)[tuple(slice(None) if i is None else i for i in indices)]
