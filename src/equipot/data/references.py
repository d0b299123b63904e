"""The energy of each element, where it comes from, and how far it can be trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float

from equipot.data.findings import Finding
from equipot.data.frame import Frame
from equipot.statistics import Statistics

#: condition number from which a fit is a warning: it multiplies the errors of the data
ILL_CONDITIONED = 1e4


@dataclass(frozen=True, kw_only=True)
class ReferenceEnergies:
    """Energy of each element, and how far it can be trusted."""

    values: tuple[float, ...]  # eV, in the order of the elements
    source: Literal["isolated atoms", "least squares", "given", "none"]
    fitted: tuple[int, ...] = ()  # atomic numbers without a given or isolated-atom energy
    condition: float = (
        1.0  # of the least-squares problem; inf when compositions do not determine all elements
    )


def reference_energies(
    frames: Sequence[Frame], elements: Sequence[int], given: Mapping[str, float] | None = None
) -> ReferenceEnergies:
    """Energies of the elements: given, else of isolated atoms, else by least squares on compositions.

    E_s ≈ Σ_z n_sz e_z       minimum-norm solution over the elements that are not known otherwise
    """
    known = {**isolated_energies(frames), **_given(given or {})}
    missing = tuple(z for z in elements if z not in known)
    labelled = [f for f in frames if not f.isolated and "energy" in f.labels]
    if not missing:
        all_given = all(chemical_symbols[z] in (given or {}) for z in elements)
        values = tuple(known[z] for z in elements)
        return ReferenceEnergies(values=values, source="given" if all_given else "isolated atoms")
    if not labelled:
        return ReferenceEnergies(values=(0.0,) * len(elements), source="none", fitted=missing)
    energies = np.array([float(f.labels["energy"]) for f in labelled])
    for z, value in known.items():
        energies = energies - value * composition(labelled, [z])[:, 0]
    fit, condition = least_squares(composition(labelled, missing), energies)
    fitted = dict(zip(missing, fit.tolist(), strict=True))
    return ReferenceEnergies(
        values=tuple(known[z] if z in known else fitted[z] for z in elements),
        source="least squares",
        fitted=missing,
        condition=condition,
    )


def isolated_energies(frames: Sequence[Frame]) -> dict[int, float]:
    """Energy of every element that has an isolated atom; two different ones are an error."""
    found: dict[int, Frame] = {}
    for frame in frames:
        if not frame.isolated or "energy" not in frame.labels:
            continue
        z = int(frame.numbers[0])
        first = found.setdefault(z, frame)
        a, b = float(first.labels["energy"]), float(frame.labels["energy"])
        if abs(a - b) > 1e-6 * max(1.0, abs(a)):
            raise ValueError(
                f"two isolated-atom energies of {chemical_symbols[z]}: {a:.6f} eV ({first.where}) and "
                f"{b:.6f} eV ({frame.where}). Keep one of them."
            )
    return {z: float(f.labels["energy"]) for z, f in found.items()}


def finding(found: ReferenceEnergies, elements: Sequence[int], where: str) -> Finding | None:
    """What to know of reference energies that were fitted; None where every element has its own."""
    if not found.fitted or found.source == "none":
        return None
    names = ", ".join(chemical_symbols[z] for z in found.fitted)
    values = dict(zip(elements, found.values, strict=True))
    fit = ", ".join(f"{chemical_symbols[z]} {values[z]:.6g} eV" for z in found.fitted)
    return Finding(
        level="note" if found.condition < ILL_CONDITIONED else "warning",
        row=8,
        title=f"no isolated-atom energy for {names}",
        where=where,
        evidence=f"least squares on the compositions gives {fit}; {_condition(found.condition)}. Good for this set;"
        " energies of other compositions and of breaking bonds rest on it",
        fix="data.isolated_atoms=FILE, or data.reference_energies={"
        + ", ".join(f"{chemical_symbols[z]}: ENERGY" for z in found.fitted)
        + "} in eV",
    )


def of_statistics(statistics: Statistics) -> ReferenceEnergies:
    """What a model remembers of its reference energies."""
    condition = statistics.reference_condition
    return ReferenceEnergies(
        values=statistics.reference_energies,
        source=statistics.reference_source,
        fitted=statistics.reference_fitted,
        condition=np.inf if condition is None else condition,
    )


def in_words(statistics: Statistics) -> str:
    """Source, trustworthiness and what is left, on one line."""
    found, source = of_statistics(statistics), statistics.reference_source
    if source == "none":
        return "none: no energies to measure them on"
    if found.fitted:
        symbols = ", ".join(chemical_symbols[z] for z in found.fitted)
        others = "" if len(found.fitted) == len(found.values) else "; the others given or of isolated atoms"
        source = f"least squares for {symbols}, {_condition(found.condition)}{others}"
    shift, what = statistics.energy_shift, "mean rest" if found.fitted else "mean cohesion"
    return source + (f"; {what} {shift:.4g} eV per atom on top" if abs(shift) >= 1e-6 else "")


def composition(frames: Sequence[Frame], elements: Sequence[int]) -> Float[np.ndarray, "frames elements"]:
    """Number of atoms of each element in each frame."""
    return np.array([[np.count_nonzero(f.numbers == z) for z in elements] for f in frames], dtype=np.float64)


def least_squares(
    counts: Float[np.ndarray, "frames elements"], values: Float[np.ndarray, " frames"]
) -> tuple[Float[np.ndarray, " elements"], float]:
    """Minimum-norm solution and condition number, inf when it is not unique."""
    solution, _, rank, singular = np.linalg.lstsq(counts, values, rcond=None)
    return solution, float(singular[0] / singular[-1]) if rank == counts.shape[1] else float("inf")


def _condition(number: float) -> str:
    if np.isfinite(number):
        return f"condition number {number:.3g}"
    return "condition number infinite: the compositions do not determine them, the smallest solution is taken"


def _given(given: Mapping[str, float]) -> dict[int, float]:
    unknown = [s for s in given if s not in chemical_symbols[1:]]
    if unknown:
        raise ValueError(f"data.reference_energies: {unknown[0]!r} is not an element symbol.")
    return {chemical_symbols.index(s): float(e) for s, e in given.items()}
