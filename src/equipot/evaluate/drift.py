"""What changes on the same frames from one model to another that was made from it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from equipot.data.collate import Graph
from equipot.data.references import composition, least_squares
from equipot.data.statistics import elements_of
from equipot.evaluate.metrics import Comparison, Errors, evaluate
from equipot.potential import Potential

#: energies without the reference energies that suit these frames best: what another level of theory leaves alone
RELATIVE = "relative energy"


def drift(before: Potential, after: Potential, graphs: Sequence[Graph]) -> dict[str, dict[str, Any]]:
    """Target -> unit, number of labels, and the errors of both; None for a model without the target or an element."""
    rows: dict[str, dict[str, Any]] = {}
    for model, potential in (("before", before), ("after", after)):
        for name, (unit, errors) in _errors(potential, graphs).items():
            row = rows.setdefault(name, {"unit": unit, "count": errors.count, "before": None, "after": None})
            row[model] = {"mae": errors.mae, "rmse": errors.rmse}
    return rows


def _errors(potential: Potential, graphs: Sequence[Graph]) -> dict[str, tuple[str, Errors]]:
    """Target -> unit and errors, for the labels that the frames carry and the model predicts."""
    frames = [g.frame for g in graphs]
    if not set(elements_of(frames)) <= set(potential.elements):
        return {}
    names = [n for n in potential.config.targets.names() if any(n in f.labels for f in frames)]
    found: dict[str, tuple[str, Errors]] = {}
    for name, comparison in evaluate(potential, graphs, names).items() if names else ():
        found[name] = comparison.unit, comparison.errors
        relative = _relative(comparison, graphs) if name == "energy" else None
        if relative is not None:
            found[RELATIVE] = comparison.unit, relative
    return found


def _relative(energy: Comparison, graphs: Sequence[Graph]) -> Errors | None:
    """Errors after a fit of reference energies to them; None where the fit would leave nothing to measure."""
    frames = [graphs[k].frame for k in energy.frame]
    counts = composition(frames, elements_of(frames))
    if len(frames) <= np.linalg.matrix_rank(counts):
        return None
    residual = (energy.predicted - energy.label)[:, 0]
    fit, _ = least_squares(counts, residual)
    return Errors.of(residual - counts @ fit)
