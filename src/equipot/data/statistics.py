"""What is measured on the training frames before a model is built; float64 throughout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float

from equipot.data.collate import graph
from equipot.data.frame import Frame
from equipot.potential.targets import TargetsConfig, TensorTarget
from equipot.statistics import Statistics, TargetStatistics
from equipot.tensor.irreps import Irreps

#: frames whose neighbors are counted, spread evenly over the set
_NEIGHBOR_FRAMES = 1000


@dataclass(frozen=True, kw_only=True)
class ReferenceEnergies:
    """Energy of each element, and how far it can be trusted."""

    values: tuple[float, ...]  # eV, in the order of the elements
    source: Literal["isolated atoms", "least squares", "given", "none"]
    fitted: tuple[int, ...] = ()  # atomic numbers without a given or isolated-atom energy
    condition: float = (
        1.0  # of the least-squares problem; inf when compositions do not determine all elements
    )


def measure(
    frames: Sequence[Frame],
    cutoff: float,
    targets: TargetsConfig | None = None,
    given: Mapping[str, float] | None = None,
) -> Statistics:
    """Elements, mean number of neighbors, reference energies and scales of a training set.

    Frames of isolated atoms give reference energies and nothing else. `given` maps element symbols
    to reference energies (eV) and goes before both.
    """
    targets = targets or TargetsConfig()
    structures = [f for f in frames if not f.isolated]
    if not structures:
        raise ValueError("no structure to train on: every frame is an isolated atom, or there is none.")
    elements = elements_of(structures)
    reference = reference_energies(frames, elements, given)
    return Statistics(
        elements=elements,
        mean_neighbors=mean_neighbors(structures, cutoff),
        reference_energies=reference.values,
        reference_source=reference.source,
        energy_shift=energy_shift(structures, elements, reference.values),
        energy_scale=energy_scale(structures, elements, reference.values),
        targets=_target_statistics(structures, elements, targets),
    )


def elements_of(frames: Sequence[Frame]) -> tuple[int, ...]:
    """Atomic numbers that occur, ascending."""
    return tuple(sorted(set().union(*(set(f.numbers.tolist()) for f in frames))))


def composition(frames: Sequence[Frame], elements: Sequence[int]) -> Float[np.ndarray, "frames elements"]:
    """Number of atoms of each element in each frame."""
    return np.array([[np.count_nonzero(f.numbers == z) for z in elements] for f in frames], dtype=np.float64)


def mean_neighbors(frames: Sequence[Frame], cutoff: float) -> float:
    """Mean number of neighbors of the atoms that have any; 1 when none has."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _NEIGHBOR_FRAMES)).astype(int))
    counts = np.concatenate([np.diff(graph(frames[k], cutoff).row_pointer.numpy()) for k in chosen])
    return float(counts[counts > 0].mean()) if counts.any() else 1.0


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
    fit, condition = _least_squares(composition(labelled, missing), energies)
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


def energy_shift(frames: Sequence[Frame], elements: Sequence[int], reference: Sequence[float]) -> float:
    """Mean energy per atom that the reference energies leave, eV: the mean cohesion, where they are of free atoms."""
    labelled = [f for f in frames if "energy" in f.labels]
    if not labelled:
        return 0.0
    energies = np.array([float(f.labels["energy"]) for f in labelled])
    return float(np.mean((energies - composition(labelled, elements) @ np.asarray(reference)) / _sizes(labelled)))


def energy_scale(frames: Sequence[Frame], elements: Sequence[int], reference: Sequence[float]) -> float:
    """RMS force component, eV/Å; without forces the spread of the energy per atom; 1 when that is zero."""
    forces = [f.labels["forces"].ravel() for f in frames if "forces" in f.labels]
    if forces:
        return _scale(np.concatenate(forces))
    labelled = [f for f in frames if "energy" in f.labels]
    if not labelled:
        return 1.0
    energies = np.array([float(f.labels["energy"]) for f in labelled])
    residual = (energies - composition(labelled, elements) @ np.asarray(reference)) / _sizes(labelled)
    return _positive(float(residual.std()))


def _target_statistics(
    frames: Sequence[Frame], elements: tuple[int, ...], targets: TargetsConfig
) -> dict[str, TargetStatistics]:
    found: dict[str, TargetStatistics] = {}
    carriers = {n: [f for f in frames if n in f.labels] for n in targets.names()}
    if targets.charges is not None and carriers["charges"]:
        found["charges"] = _charges(carriers["charges"], elements)
    if targets.dipole is not None and carriers["dipole"]:
        found["dipole"] = _dipole(carriers["dipole"], elements)
    if targets.polarizability is not None and carriers["polarizability"]:
        found["polarizability"] = _polarizability(carriers["polarizability"], elements)
    for name, target in targets.tensors.items():
        if carriers[name]:
            found[name] = _tensor(carriers[name], elements, name, target)
    return found


def _charges(frames: Sequence[Frame], elements: tuple[int, ...]) -> TargetStatistics:
    """Mean of each element, and the RMS of what remains."""
    numbers = np.concatenate([f.numbers for f in frames])
    charges = np.concatenate([f.labels["charges"] for f in frames])
    means = {z: float(charges[numbers == z].mean()) if (numbers == z).any() else 0.0 for z in elements}
    residual = charges - np.array([means[int(z)] for z in numbers])
    return TargetStatistics(baseline=tuple(means.values()), scales=(_scale(residual),))


def _dipole(frames: Sequence[Frame], elements: tuple[int, ...]) -> TargetStatistics:
    """RMS component of μ/√N; no baseline, since an isotropic mean of vectors is zero."""
    reduced = np.array([f.labels["dipole"] for f in frames]) / np.sqrt(_sizes(frames))[:, None]
    return TargetStatistics(baseline=(0.0,) * len(elements), scales=(_scale(reduced),))


def _polarizability(frames: Sequence[Frame], elements: tuple[int, ...]) -> TargetStatistics:
    """Isotropic part tr α / 3 by composition; scales of its residual and of the traceless part, both of α/√N.

    The traceless part has five components: its RMS is √(|α − tr α / 3|² / 5).
    """
    alpha = np.array([f.labels["polarizability"] for f in frames])
    alpha = (alpha + alpha.transpose(0, 2, 1)) / 2
    isotropic = np.trace(alpha, axis1=1, axis2=2) / 3
    counts = composition(frames, elements)
    baseline, _ = _least_squares(counts, isotropic)
    traceless = alpha - isotropic[:, None, None] * np.eye(3)
    root = np.sqrt(_sizes(frames))
    components = np.sqrt((traceless**2).sum((1, 2)) / 5) / root
    residual = (isotropic - counts @ baseline) / root
    return TargetStatistics(baseline=tuple(baseline.tolist()), scales=(_scale(residual), _scale(components)))


def _tensor(
    frames: Sequence[Frame], elements: tuple[int, ...], name: str, target: TensorTarget
) -> TargetStatistics:
    """One scale for a Cartesian tensor, one for each entry of `irreps`; uncentred, without baseline."""
    rows = [f.labels[name].reshape(f.labels[name].shape[0], -1) for f in frames]
    if target.per == "system":
        rows = [row / np.sqrt(f.num_atoms) for row, f in zip(rows, frames, strict=True)]
    values = np.concatenate(rows)
    widths = (
        [values.shape[1]] if target.irreps is None else [n * i.dim for n, i in Irreps.parse(target.irreps)]
    )
    if sum(widths) != values.shape[1]:
        raise ValueError(
            f"{frames[0].where}: {name} has {values.shape[1]} numbers, but targets.tensors.{name}.irreps="
            f"{target.irreps!r} has {sum(widths)}."
        )
    parts = np.split(values, np.cumsum(widths)[:-1], axis=1)
    return TargetStatistics(baseline=(0.0,) * len(elements), scales=tuple(_scale(part) for part in parts))


def _least_squares(counts: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Minimum-norm solution and condition number, inf when it is not unique."""
    solution, _, rank, singular = np.linalg.lstsq(counts, values, rcond=None)
    return solution, float(singular[0] / singular[-1]) if rank == counts.shape[1] else float("inf")


def _given(given: Mapping[str, float]) -> dict[int, float]:
    unknown = [s for s in given if s not in chemical_symbols[1:]]
    if unknown:
        raise ValueError(f"data.reference_energies: {unknown[0]!r} is not an element symbol.")
    return {chemical_symbols.index(s): float(e) for s, e in given.items()}


def _sizes(frames: Sequence[Frame]) -> np.ndarray:
    return np.array([f.num_atoms for f in frames], dtype=np.float64)


def _scale(values: np.ndarray) -> float:
    """Uncentred RMS, or 1 where that is zero."""
    return _positive(float(np.sqrt(np.mean(np.square(values)))))


def _positive(value: float) -> float:
    """A scale divides: a label that never varies gets 1."""
    return value if value > 1e-12 else 1.0
