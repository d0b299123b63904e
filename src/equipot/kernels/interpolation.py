"""Functions of the distance by cubic Hermite interpolation between equally spaced knots.

What a radial network computes for every edge depends on the distance alone: a table of it, made once, costs four rows
and is as smooth in its first derivative as energy and forces need to belong together.
"""

import logging
import os
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from equipot.kernels.agreement import TOLERANCE
from equipot.kernels.cpu.build import NoCompiler
from equipot.kernels.cpu.interpolation import compiled_interpolate
from equipot.kernels.cpu.vectors import SCALARS

log = logging.getLogger("equipot")

#: precision -> None, or the reason for the reference
decisions: dict[torch.dtype, str | None] = {}


@dataclass(frozen=True)
class Table:
    """Weights of an edge operation as functions of the distance."""

    rows: Float[Tensor, "knots 2 weights"]  # values, and slopes times the spacing; paths, then channels
    spacing: float  # Å
    paths: int

    @property
    def channels(self) -> int:
        """Of every path."""
        return self.rows.shape[2] // self.paths

    @property
    def spaced(self) -> tuple[int, float]:
        """Knots, and knots per Å."""
        return self.rows.shape[0], 1 / self.spacing

    def at(self, r: Float[Tensor, " edges"]) -> Float[Tensor, "edges paths channels"]:
        """The weights, as a tensor."""
        return interpolate(self.rows, r, self.spacing).unflatten(-1, (self.paths, -1))


@dataclass(frozen=True)
class TabulatedWeights:
    """Weights of edges that nobody has computed yet; an operation that can, reads the table while it runs."""

    table: Table
    r: Float[Tensor, " edges"]

    def values(self) -> Float[Tensor, "edges paths channels"]:
        """As a tensor."""
        return self.table.at(self.r)


def interpolate(
    rows: Float[Tensor, "knots 2 columns"], r: Float[Tensor, " edges"], spacing: float
) -> Float[Tensor, "edges columns"]:
    """The tabulated functions at every r; `rows` are values, and slopes times the spacing, from r = 0 on.

    Beyond the last knot the last cubic goes on.
    """
    return (compiled_interpolate if _compiled(rows, r) else reference_interpolate)(rows, r, spacing)


def reference_interpolate(
    rows: Float[Tensor, "knots 2 columns"], r: Float[Tensor, " edges"], spacing: float
) -> Float[Tensor, "edges columns"]:
    """In plain PyTorch: the definition."""
    x = r / spacing
    knot = x.detach().floor().clamp(0, rows.shape[0] - 2)
    t = x - knot
    s = 1 - t
    factors = torch.stack([(1 + 2 * t) * s**2, t * s**2, t**2 * (3 - 2 * t), -(t**2) * s], dim=-1)
    around = torch.cat([rows[:-1], rows[1:]], dim=1).index_select(0, knot.long())
    return torch.einsum("ef,efn->en", factors, around)


def _compiled(rows: Tensor, r: Tensor) -> bool:
    """Whether the compiled program answers; decided once for a precision, on numbers that are always the same."""
    if r.device.type != "cpu" or r.dtype not in SCALARS or type(r) is not Tensor or rows.requires_grad:
        return False
    if torch.compiler.is_compiling() or os.environ.get("EQUIPOT_KERNELS", "auto") == "reference":
        return False
    if r.dtype not in decisions:
        decisions[r.dtype] = _reason_against(r.dtype)
        if decisions[r.dtype] is not None:
            log.warning("The slower reference interpolates tables: %s", decisions[r.dtype])
    return decisions[r.dtype] is None


def _reason_against(dtype: torch.dtype) -> str | None:
    try:
        error = disagreement(dtype)
    except NoCompiler as failure:
        return str(failure)
    if error < TOLERANCE[dtype]:  # false for NaN, too
        return None
    return f"its compiled program was refused, since it differs from it by {error:.1e} (relative). Please report this."


def disagreement(dtype: torch.dtype) -> float:
    """Largest relative difference between program and reference, in values and three derivatives."""
    steps = torch.arange(6 * 2 * 19, dtype=torch.float64)
    rows = torch.sin(0.3 + 1.7 * steps).reshape(6, 2, 19).to(dtype)
    weights = torch.cos(0.1 + 0.9 * torch.arange(41 * 19, dtype=torch.float64)).reshape(41, 19).to(dtype)
    found, expected = [], []
    for operation, out in ((compiled_interpolate, found), (reference_interpolate, expected)):
        r = torch.linspace(-0.1, 2.7, 41, dtype=torch.float64).to(dtype).requires_grad_(True)
        with torch.enable_grad():
            values = operation(rows, r, 0.5)
            out.append(values)
            current = (values * weights).sum()
            for _ in range(3):
                (slope,) = torch.autograd.grad(current, r, create_graph=True)
                out.append(slope)
                current = (slope * slope.detach().cos()).sum()
    return max(
        float((a - b).detach().abs().max() / b.detach().abs().max())
        for a, b in zip(found, expected, strict=True)
    )
