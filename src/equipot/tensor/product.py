"""Products of matrices by the faster of the two libraries that PyTorch brings.

PyTorch multiplies float32 matrices with Intel's MKL, which keeps to AVX2 on processors of other makers. oneDNN does
not: on an AMD processor with AVX-512 it is twice as fast (`benchmarks/speed/products.py`). It is compared with products
in float64 before it is used; `EQUIPOT_KERNELS=reference` switches it off.
"""

import logging
import os
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function

log = logging.getLogger("equipot")

FEWEST = 1 << 21  # multiplications: below so many its longer way to the numbers takes more than it saves
WIDE = 256  # columns that are worth a copy of the first matrix, which must not be strided
TOLERANCE = 1e-5  # relative to the largest number: sums of some hundred terms in another order


def product(
    a: Float[Tensor, "rows inner"], b: Float[Tensor, "inner columns"], bias: Tensor | None = None
) -> Float[Tensor, "rows columns"]:
    """A b + bias, differentiable any number of times."""
    if _by_onednn(a, b):
        return Product.apply(a, b, bias)
    return a @ b if bias is None else torch.addmm(bias, a, b)


def linear(
    x: Float[Tensor, "*rows num_in"], weight: Float[Tensor, "num_out num_in"], bias: Tensor | None = None
) -> Float[Tensor, "*rows num_out"]:
    """X Wᵀ + bias, as `torch.nn.functional.linear`."""
    rows = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    if _by_onednn(rows, weight.T):
        return Product.apply(rows, weight.T, bias).reshape(*x.shape[:-1], len(weight))
    return F.linear(x, weight, bias)


class Product(Function):
    """By oneDNN, and so its derivatives where they are large enough."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The second matrix may be transposed."""
        ctx.save_for_backward(a, b)
        dense = b if b.is_contiguous() or b.T.is_contiguous() else b.contiguous()
        return torch.ops.mkldnn._linear_pointwise(a.contiguous(), dense.T, bias, "none", [], "")

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The two products and the sum of all rows."""
        a, b = ctx.saved_tensors
        of_a, of_b, of_bias = ctx.needs_input_grad
        return (
            product(g, b.T) if of_a else None,
            _over_rows(a, g) if of_b else None,
            g.sum(0) if of_bias else None,
        )


def _over_rows(a: Tensor, g: Tensor) -> Tensor:
    """The product aᵀ g, where the narrower matrix is the first."""
    return product(a.T, g) if a.shape[1] <= g.shape[1] else product(g.T, a).T


def _by_onednn(a: Tensor, b: Tensor) -> bool:
    """Whether it is the faster one here; never for what is traced, or has no numbers."""
    return (
        a.dtype == torch.float32 == b.dtype
        and a.shape[0] * a.shape[1] * b.shape[1] >= FEWEST
        and a.device.type == "cpu"
        and (a.is_contiguous() or b.shape[1] >= WIDE)
        and type(a) in (Tensor, nn.Parameter)
        and not torch.compiler.is_compiling()
        and os.environ.get("EQUIPOT_KERNELS", "auto") != "reference"
        and reason_against() is None
    )


@cache
def reason_against() -> str | None:
    """Why PyTorch's own product is used, None if it is not. Depends on the processor alone: runs can be repeated."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return "PyTorch was built without oneDNN"
    maker, flags = _processor()
    if maker == "GenuineIntel" or "avx512f" not in flags:
        return "MKL uses all that this processor has"
    error = disagreement()
    if error < TOLERANCE:  # false for NaN, too
        return None
    log.warning("oneDNN's product of matrices was refused: it is off by %.1e. Please report this.", error)
    return f"oneDNN's differs from it by {error:.1e} (relative)"


def disagreement() -> float:
    """Largest relative difference of oneDNN's product from one in float64, both ways that a matrix may lie."""
    steps = torch.arange(3 * 70 * 130, dtype=torch.float64)
    a, b = (
        torch.sin(1.3 * steps)[: 130 * 70].reshape(130, 70),
        torch.sin(0.7 * steps)[: 70 * 90].reshape(70, 90),
    )
    bias, worst = torch.cos(steps[:90]), 0.0
    for right in (b, b.T.contiguous().T):
        found = Product.apply(a.float(), right.float(), bias.float())
        expected = a @ b + bias
        worst = max(worst, float((found - expected).abs().max() / expected.abs().max()))
    return worst


def status() -> str:
    """In words, what multiplies matrices on processors."""
    if os.environ.get("EQUIPOT_KERNELS", "auto") == "reference":
        return "PyTorch's own, because EQUIPOT_KERNELS=reference"
    if (reason := reason_against()) is not None:
        return f"PyTorch's own: {reason}"
    return "oneDNN where they are large: MKL keeps to AVX2 on this processor, which has AVX-512"


def _processor() -> tuple[str, set[str]]:
    """Its maker and instruction sets, as the kernel of the system lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "", set()
    maker, flags = (
        next((line.partition(":")[2] for line in lines if line.startswith(name)), "")
        for name in ("vendor_id", "flags")
    )
    return maker.strip(), set(flags.split())
