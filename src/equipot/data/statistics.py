"""What is measured on the training frames before a model is built; float64 throughout."""

from collections.abc import Mapping, Sequence

import numpy as np

from equipot.batch import Condition
from equipot.data.atomic_vectors import root_mean_squares
from equipot.data.collate import collate, graph
from equipot.data.conditions import occurring
from equipot.data.frame import Frame
from equipot.data.references import composition, least_squares, reference_energies
from equipot.potential.targets import TargetsConfig, TensorTarget
from equipot.potential.terms import Terms, TermsConfig
from equipot.statistics import Statistics, TargetStatistics
from equipot.tensor.irreps import Irreps
from equipot.tensor.matrix import matrix_parts

#: frames whose neighbors are counted, spread evenly over the set
_NEIGHBOR_FRAMES = 1000
#: frames whose fixed terms are evaluated together
_TERM_FRAMES = 64


def measure(
    frames: Sequence[Frame],
    cutoff: float,
    targets: TargetsConfig | None = None,
    given: Mapping[str, float] | None = None,
    terms: TermsConfig | None = None,
    conditions: Sequence[Condition] = (),
    *,
    free_atoms_exact: bool = False,
) -> Statistics:
    """Elements, mean number of neighbors, reference energies and scales of a training set.

    Frames of isolated atoms give reference energies and nothing else. `given` maps element symbols
    to reference energies (eV) and goes before both. Energies and forces are measured without those of the
    fixed terms, which the model need not learn. `conditions` are what the model reads of every system.
    With `free_atoms_exact` the mean cohesion is left to the model, which an atom alone does not have.
    """
    targets = targets or TargetsConfig()
    structures = [f for f in frames if not f.isolated]
    if not structures:
        raise ValueError("no structure to train on: every frame is an isolated atom, or there is none.")
    elements = elements_of(structures)
    structures = without_terms(structures, terms or TermsConfig(), elements, cutoff)
    isolated = [f for f in frames if f.isolated]
    reference = reference_energies([*isolated, *structures], elements, given)
    return Statistics(
        elements=elements,
        mean_neighbors=mean_neighbors(structures, cutoff),
        reference_energies=reference.values,
        reference_source=reference.source,
        reference_fitted=reference.fitted,
        reference_condition=reference.condition if np.isfinite(reference.condition) else None,
        energy_shift=0.0 if free_atoms_exact else energy_shift(structures, elements, reference.values),
        energy_scale=energy_scale(structures, elements, reference.values),
        targets=_target_statistics(structures, elements, targets),
        conditions=occurring(structures, conditions),
        inputs=root_mean_squares([f.vectors for f in structures]),
    )


def elements_of(frames: Sequence[Frame]) -> tuple[int, ...]:
    """Atomic numbers that occur, ascending."""
    return tuple(sorted(set().union(*(set(f.numbers.tolist()) for f in frames))))


def without_terms(
    frames: Sequence[Frame], terms: TermsConfig, elements: Sequence[int], cutoff: float
) -> list[Frame]:
    """The frames with energies and forces that the fixed terms leave to the model."""
    if not terms.any:
        return list(frames)
    fixed = Terms(terms, elements, cutoff)
    return [
        rest
        for start in range(0, len(frames), _TERM_FRAMES)
        for rest in _rest(frames[start : start + _TERM_FRAMES], fixed, elements)
    ]


def _rest(frames: Sequence[Frame], fixed: Terms, elements: Sequence[int]) -> list[Frame]:
    batch = collate([graph(f, fixed.reach) for f in frames], elements)
    energy, forces = (t.numpy() for t in fixed.energy_and_forces(batch))
    per_frame = np.split(forces, np.cumsum([f.num_atoms for f in frames])[:-1])
    known = [{"energy": e, "forces": f} for e, f in zip(energy, per_frame, strict=True)]
    return [
        frame.with_labels(
            **{n: np.asarray(frame.labels[n] - v) for n, v in terms.items() if n in frame.labels}
        )
        for frame, terms in zip(frames, known, strict=True)
    ]


def mean_neighbors(frames: Sequence[Frame], cutoff: float) -> float:
    """Mean number of neighbors of the atoms that have any; 1 when none has."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _NEIGHBOR_FRAMES)).astype(int))
    counts = np.concatenate([np.diff(graph(frames[k], cutoff).row_pointer.numpy()) for k in chosen])
    return float(counts[counts > 0].mean()) if counts.any() else 1.0


def energy_shift(frames: Sequence[Frame], elements: Sequence[int], reference: Sequence[float]) -> float:
    """Mean energy per atom that the reference energies leave, eV: the mean cohesion, where they are of free atoms."""
    labelled = [f for f in frames if "energy" in f.labels]
    if not labelled:
        return 0.0
    energies = np.array([float(f.labels["energy"]) for f in labelled])
    return float(
        np.mean((energies - composition(labelled, elements) @ np.asarray(reference)) / _sizes(labelled))
    )


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
    if targets.born_charges is not None and carriers["born_charges"]:
        found["born_charges"] = _born_charges(carriers["born_charges"], elements)
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


def _born_charges(frames: Sequence[Frame], elements: tuple[int, ...]) -> TargetStatistics:
    """Mean of a third of the trace, of each element; RMS of what remains in each irreducible part."""
    numbers = np.concatenate([f.numbers for f in frames])
    matrices = np.concatenate([f.labels["born_charges"] for f in frames])
    third = np.trace(matrices, axis1=1, axis2=2) / 3
    means = {z: float(third[numbers == z].mean()) if (numbers == z).any() else 0.0 for z in elements}
    centered = matrices - np.array([means[int(z)] for z in numbers])[:, None, None] * np.eye(3)
    parts = centered.reshape(-1, 9) @ matrix_parts(5)
    return TargetStatistics(
        baseline=tuple(means.values()), scales=tuple(_scale(x) for x in np.split(parts, [1, 4], axis=1))
    )


def _polarizability(frames: Sequence[Frame], elements: tuple[int, ...]) -> TargetStatistics:
    """Isotropic part tr α / 3 by composition; scales of its residual and of the traceless part, both of α/√N.

    The traceless part has five components: its RMS is √(|α − tr α / 3|² / 5).
    """
    alpha = np.array([f.labels["polarizability"] for f in frames])
    alpha = (alpha + alpha.transpose(0, 2, 1)) / 2
    isotropic = np.trace(alpha, axis1=1, axis2=2) / 3
    counts = composition(frames, elements)
    baseline, _ = least_squares(counts, isotropic)
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


def _sizes(frames: Sequence[Frame]) -> np.ndarray:
    return np.array([f.num_atoms for f in frames], dtype=np.float64)


def _scale(values: np.ndarray) -> float:
    """Uncentred RMS, or 1 where that is zero."""
    return _positive(float(np.sqrt(np.mean(np.square(values)))))


def _positive(value: float) -> float:
    """A scale divides: a label that never varies gets 1."""
    return value if value > 1e-12 else 1.0
