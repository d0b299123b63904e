"""A polynomial as a differentiable function of tensors, whoever computes it."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from equipot.kernels.polynomial import Polynomial


class Evaluate(Function):
    """The outputs of compute(polynomial, where, inputs); their gradient is the evaluation of the derivative.

    `where` says which rows belong together. Arguments are contiguous: a copy made in here would be no argument, and
    lost in the next derivative.
    """

    @staticmethod
    def forward(
        ctx: Any, compute: Any, polynomial: Polynomial, where: Any, *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        """[rows, components, channels] each."""
        ctx.compute, ctx.polynomial, ctx.where = compute, polynomial, where
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        return compute(polynomial, where, inputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
        """Of the inputs that want one."""
        wanted = tuple(ctx.needs_input_grad[3:])
        derivative = ctx.polynomial.derivative(wanted, tuple(c is not None for c in cotangents))
        given = [c.contiguous() for c in cotangents if c is not None]
        found = iter(
            _again(ctx.compute, derivative, ctx.where, (*ctx.saved_tensors, *given)) if given else ()
        )
        return None, None, None, *(next(found, None) if wants else None for wants in wanted)


def _again(
    compute: Any, polynomial: Polynomial, where: Any, inputs: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    if torch.is_grad_enabled():
        return Evaluate.apply(compute, polynomial, where, *inputs)
    return compute(polynomial, where, inputs)  # nothing to remember, less to do
