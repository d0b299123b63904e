"""Errors beside the spread of what is to be predicted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from equipot.data.frame import Frame
from equipot.evaluate.metrics import Comparison
from equipot.statistics import Statistics


def spread(comparison: Comparison) -> float:
    """Standard deviation of the labels about the mean of each component: the RMS error of a constant."""
    return float(np.sqrt(((comparison.label - comparison.label.mean(0)) ** 2).mean()))


def relative_error(comparison: Comparison) -> float | None:
    """RMS error over spread; None where the labels do not differ."""
    wide = spread(comparison)
    return comparison.errors.rmse / wide if wide > 0 else None


def r_squared(comparison: Comparison) -> float:
    """R² = 1 − Σ Δ²/Σ (label − mean)², over all components about their own means; NaN for labels all alike."""
    relative = relative_error(comparison)
    return float("nan") if relative is None else 1 - relative**2


def above_references(
    evaluation: Mapping[str, Comparison], frames: Sequence[Frame], statistics: Statistics
) -> dict[str, Comparison]:
    """Energies without what the atoms have of themselves, reference energies and mean cohesion; others as they are.

    Totals of thousands of eV hide everything in a plot, and the composition would count as explained spread.
    Without frames, the mean is taken off instead.
    """
    if "energy" not in evaluation:
        return dict(evaluation)
    total = evaluation["energy"]
    energies = dict(zip(statistics.elements, statistics.constant_energies, strict=True))
    zero = np.full_like(total.label, total.label.mean())
    if len(frames):
        zero = np.array([[sum(energies[z] for z in frames[k].numbers.tolist())] for k in total.frame])
    shifted = replace(total, label=total.label - zero, predicted=total.predicted - zero)
    return {**evaluation, "energy": shifted}
