"""Reference energies for new data under a model that is there already."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from equipot.data.collate import Graph
from equipot.data.frame import Frame
from equipot.data.references import composition, least_squares
from equipot.data.statistics import elements_of
from equipot.evaluate.metrics import evaluate
from equipot.potential import Potential
from equipot.statistics import Statistics

FITTED = 1000  # frames that they are fitted to, spread evenly over the set


@dataclass(frozen=True)
class Refit:
    """How reference energies change."""

    before: Mapping[int, float]  # atomic number -> eV
    after: Mapping[int, float]
    fitted: tuple[int, ...] = ()
    condition: float = (
        1.0  # of the least-squares problem; inf when compositions do not determine all elements
    )

    def shift(self, frame: Frame) -> float:
        """What the energy of a frame changes by, eV."""
        return sum(self.after[z] - self.before[z] for z in frame.numbers.tolist())

    def applied(self, statistics: Statistics) -> Statistics:
        """Statistics with the new energies, and what is known of how they came about."""
        if self.after == self.before:
            return statistics
        condition = self.condition if np.isfinite(self.condition) else None
        return statistics.model_copy(
            update={
                "reference_energies": tuple(self.after[z] for z in statistics.elements),
                "reference_source": "least squares" if self.fitted else statistics.reference_source,
                "reference_fitted": tuple(sorted({*statistics.reference_fitted, *self.fitted})),
                "reference_condition": condition if self.fitted else statistics.reference_condition,
            }
        )

    def words(self) -> str:
        """For the user, on one line."""
        changed = [z for z in self.after if self.after[z] != self.before[z]]
        if not changed:
            return "Reference energies are those of the parent."
        moves = ", ".join(f"{chemical_symbols[z]} {self.after[z] - self.before[z]:+.4f} eV" for z in changed)
        if not self.fitted:
            return f"Reference energies as given, against the parent's: {moves}."
        trust = f"condition number {self.condition:.3g}"
        if not np.isfinite(self.condition):
            trust = "the compositions do not determine them, and the smallest change is taken"
        return f"Reference energies by least squares of label − parent: {moves}; {trust}."


def unchanged(statistics: Statistics) -> Refit:
    """The reference energies that are there."""
    energies = dict(zip(statistics.elements, statistics.reference_energies, strict=True))
    return Refit(energies, energies)


def refit(
    potential: Potential, free: Collection[int], given: Mapping[str, float], train: Sequence[Graph]
) -> Refit:
    """Reference energies by least squares on what the potential leaves of the labels, minimum norm:

        E_s − E_s^model ≈ Σ_z n_sz δ_z,   μ_z ← μ_z + δ_z

    over those `free` elements that the frames have. What is `given`, symbol -> eV, stays as it is.
    """
    before = unchanged(potential.statistics).before
    said = {chemical_symbols.index(s): float(e) for s, e in given.items()}
    after = {**before, **{z: e for z, e in said.items() if z in before}}
    labelled = [g for g in train if "energy" in g.labels]
    present = set(elements_of([g.frame for g in labelled])) if labelled else set()
    fitted = tuple(sorted(present & set(free) - said.keys()))
    if not fitted:
        return Refit(before, after)
    chosen = np.unique(np.linspace(0, len(labelled) - 1, min(len(labelled), FITTED)).astype(int))
    graphs = [labelled[k] for k in chosen]
    found = evaluate(potential, graphs, ["energy"])["energy"]
    already = Refit(before, after)
    left = (found.label - found.predicted)[:, 0] - [already.shift(g.frame) for g in graphs]
    change, condition = least_squares(composition([g.frame for g in graphs], fitted), left)
    after |= {z: after[z] + float(d) for z, d in zip(fitted, change, strict=True)}
    return Refit(before, after, fitted, condition)
