"""A potential for inference: what depends on the distance alone becomes a table."""

import copy
from typing import Any

import torch

from equipot.nn.radial_network import RadialFunction
from equipot.nn.readout import LinearReadout
from equipot.potential.blocks import EDGES
from equipot.potential.potential import Potential
from equipot.tensor.linear import Scaled

TOLERANCE = 1e-6  # of a weight, relative to the largest: what single precision leaves of a sum


def frozen(potential: Potential, tolerance: float | None = None) -> Potential:
    """A copy that cannot be trained; energies and forces are of the same tables, so forces stay exact derivatives.

    Tables are made where their largest error is within `tolerance`, in float32 by default 1e-6. In float64, which is
    asked for where every digit counts, there are none unless a tolerance is given. Constants of linear layers become a
    part of their weights, and linear layers behind one another a single one. On a CPU, strictly local models are
    evaluated in blocks of atoms.
    """
    out = copy.deepcopy(potential).requires_grad_(False).eval()
    dtype = next(out.parameters()).dtype
    if tolerance is None:
        tolerance = 0.0 if dtype == torch.float64 else TOLERANCE
    for module in list(out.modules()):
        if isinstance(module, Scaled):
            module.fold()
        elif isinstance(module, LinearReadout):
            module.merge()
    if out.config.model.strictly_local:
        out.block = EDGES
    distances: Any = getattr(out.model, "distances", None)  # what architectures with such networks have
    if distances is not None and tolerance:
        out.double()
        for function in (m for m in out.model.modules() if isinstance(m, RadialFunction)):
            function.tabulate(distances, out.cutoff, tolerance)
        out.to(dtype)
    return out


def table_errors(potential: Potential) -> dict[str, float]:
    """Largest error of each table between its knots, relative to the largest weight; empty when nothing is frozen."""
    found = potential.model.named_modules()
    return {n: m.error for n, m in found if isinstance(m, RadialFunction) and m.table is not None}
