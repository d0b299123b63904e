"""Differences relative to the size of what is compared."""

import math

from torch import Tensor

from equipot.potential import Potential
from equipot.properties import Properties

Residuals = dict[str, float]  # name of a property -> largest deviation, relative

FLOOR = 1e-2  # of the scale of a property: what is smaller counts as this large, so that zero can be compared


def compare(potential: Potential, found: Properties, expected: Properties) -> Residuals:
    """max|found − expected| / max(max|expected|, FLOOR · scale) of every property; NaN becomes infinity."""
    names = dict(expected.items()).keys()
    if names != dict(found.items()).keys():
        raise ValueError(
            f"found {sorted(dict(found.items()))}, expected {sorted(names)}: not the same properties."
        )
    return {n: deviation(v, dict(expected.items())[n], FLOOR * scale(potential, n)) for n, v in found.items()}


def deviation(found: Tensor, expected: Tensor, at_least: float) -> float:
    """Largest difference relative to the largest component, or to a size that counts when that is smaller.

    Infinity where anything is not finite.
    """
    if found.shape != expected.shape:
        return math.inf
    if found.numel() == 0:
        return 0.0
    difference = float((found - expected).abs().max())
    size = float(expected.abs().max())
    value = difference / max(size, at_least)
    return value if math.isfinite(value) else math.inf


def scale(potential: Potential, name: str) -> float:
    """Size of a property as measured on the training set; energies and stress take that of forces and 1 Å."""
    if name in ("energy", "atomic_energies", "forces", "stress", "virials"):
        return potential.statistics.energy_scale
    measured = potential.statistics.targets.get(name)
    return 1.0 if measured is None else max(measured.scales)


def worst(residuals: Residuals) -> float:
    """The largest residual; infinity when one is not a number."""
    return max((v if math.isfinite(v) else math.inf for v in residuals.values()), default=0.0)
