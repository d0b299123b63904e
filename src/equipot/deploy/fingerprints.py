"""Small frames with the model's answer, by which a loaded model proves that it is the one that was saved."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from equipot.data.atomic_vectors import Vectors
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.deploy.document import Fingerprint, Precision
from equipot.potential import Potential
from equipot.properties import Properties
from equipot.testing.evaluation import usual_state
from equipot.testing.systems import random_vectors

MAX_ATOMS = 30
MAX_PAIRS = 10_000_000  # candidates for neighbors, images included
#: relative to the largest component, or to the target's scale where that is larger; float32 leaves room for
#: another machine's order of summation, float64 for its rounding
TOLERANCE: dict[Precision, float] = {"float32": 1e-4, "float64": 1e-10}


def choose(frames: Sequence[Frame], potential: Potential, count: int = 3) -> list[Frame]:
    """The smallest frames that show interactions, molecules first; built ones where there are too few."""
    usable = [f for f in frames if 2 <= f.num_atoms <= MAX_ATOMS and _candidates(f, potential) <= MAX_PAIRS]
    usable.sort(key=lambda f: (bool(f.pbc.any()), f.num_atoms))
    return (usable + built(potential, count))[:count]


def built(potential: Potential, count: int = 3) -> list[Frame]:
    """Clusters of two, three, ... atoms, 1.6 Å and more apart, that go through the model's elements."""
    elements = potential.elements
    frames = []
    for index in range(count):
        size = index + 2
        place = np.arange(size)
        frames.append(
            Frame(
                numbers=np.array([elements[(index + i) % len(elements)] for i in place], dtype=np.int64),
                # a helix: no two distances alike, no mirror plane
                positions=np.stack([np.cos(1.7 * place), np.sin(1.7 * place), 0.6 * place], axis=1),
                cell=np.zeros((3, 3)),
                pbc=np.zeros(3, dtype=bool),
                **usual_state(potential),
                vectors=_read(potential, random_vectors(size)),
                source="built",
                index=index,
            )
        )
    return frames


def structures(potential: Potential, stored: Sequence[Fingerprint], where: str) -> list[Frame]:
    """The stored frames that came from data; a built cluster is no structure that dynamics may start from."""
    return [frame for frame, _ in _from_data(potential, stored, where)]


def answered(potential: Potential, stored: Sequence[Fingerprint], where: str) -> list[Frame]:
    """The same frames, labelled with what the model said of them when it was saved."""
    shapes = {
        "energy": (),
        "forces": (-1, 3),
        "charges": (-1,),
        "dipole": (3,),
        "polarizability": (3, 3),
        "born_charges": (-1, 3, 3),
    }
    shapes |= {"stress": (3, 3)} | {n: (-1, *s) for n, s in potential.config.targets.shapes().items()}
    return [
        frame.with_labels(**{n: np.array(v).reshape(shapes[n]) for n, v in said.items() if n in shapes})
        for frame, said in _from_data(potential, stored, where)
    ]


def _from_data(
    potential: Potential, stored: Sequence[Fingerprint], where: str
) -> Iterator[tuple[Frame, Mapping[str, tuple[float, ...]]]]:
    """Frames that are not built clusters, and the model's answers."""
    clusters = {frame.num_atoms: frame.positions for frame in built(potential)}
    for index, fingerprint in enumerate(stored):
        frame = _frame(fingerprint, where, index)
        if not np.array_equal(frame.positions, clusters.get(frame.num_atoms, frame.positions[:0])):
            yield frame, fingerprint.expected


def fingerprint(potential: Potential, frame: Frame) -> Fingerprint:
    """The frame with what the model says of it now."""
    vectors = [tuple(map(float, row)) for row in frame.positions]
    return Fingerprint(
        numbers=tuple(frame.numbers.tolist()),
        positions=tuple(vectors),  # type: ignore[arg-type]
        cell=tuple(tuple(row) for row in frame.cell.tolist()),  # type: ignore[arg-type]
        pbc=tuple(map(bool, frame.pbc)),  # type: ignore[arg-type]
        charge=frame.charge,
        spin=frame.spin if "spin" in potential.config.model.conditions else None,
        vectors={n: tuple(map(tuple, v.tolist())) for n, v in _read(potential, frame.vectors).items()},
        expected={n: tuple(v.flatten().tolist()) for n, v in _answer(potential, frame).items()},
    )


def check(
    potential: Potential, fingerprints: Sequence[Fingerprint], precision: Precision, where: str
) -> None:
    """Evaluate the frames again; ValueError when a number is not the stored one."""
    limit = TOLERANCE[precision]
    for index, stored in enumerate(fingerprints):
        frame = _frame(stored, where, index)
        if _candidates(frame, potential) > MAX_PAIRS:
            raise ValueError(
                f"{where}: fingerprint {index}: its cell is too thin for a cutoff of {potential.cutoff} Å."
            )
        found = dict(_answer(potential, frame).items())
        if set(found) != set(stored.expected):
            raise ValueError(
                f"{where}: fingerprint {index}: found {sorted(stored.expected)}; expected {sorted(found)}."
            )
        for name, value in found.items():
            deviation = _deviation(potential, frame, name, value, stored.expected[name])
            if not deviation <= limit:
                raise ValueError(
                    f"{where}: {name} of fingerprint {index} deviates by {deviation:.1e}; expected at most"
                    f" {limit:.0e} in {precision}. The weights are not those that were saved, or this machine"
                    " computes wrongly: take a good copy, or try another device."
                )


def _answer(potential: Potential, frame: Frame) -> Properties:
    device = next(potential.parameters()).device
    batch = batch_of([frame], potential.elements, potential.cutoff).to(device)
    energy = "energy" in potential.targets
    with torch.no_grad():
        return potential(batch, forces=energy, stress=energy and bool(frame.pbc.all())).to("cpu")


def _deviation(
    potential: Potential, frame: Frame, name: str, found: Tensor, expected: tuple[float, ...]
) -> float:
    """Largest difference over the size of the model's own part; what atoms have of themselves would hide it."""
    if found.numel() != len(expected):
        return math.inf
    values, stored = found.flatten().double(), torch.tensor(expected, dtype=torch.float64)
    statistics = potential.statistics
    constant = torch.zeros_like(stored)
    if name in ("energy", "atomic_energies"):
        per_atom = [
            statistics.constant_energies[statistics.elements.index(z)] for z in frame.numbers.tolist()
        ]
        own = torch.tensor(per_atom, dtype=torch.float64)
        constant = own.sum()[None] if name == "energy" else own
    measured = statistics.targets.get(name)
    floor = max(map(abs, measured.scales), default=1.0) if measured else abs(statistics.energy_scale)
    size = max(floor, float((stored - constant).abs().max()))
    rounding = 8 * torch.finfo(torch.float64).eps * float(constant.abs().sum())
    return (float((values - stored).abs().max()) - rounding) / max(size, 1e-300)


def _read(potential: Potential, vectors: Vectors) -> dict[str, np.ndarray]:
    """The covariant inputs of the atoms that the model reads."""
    return {name: vectors[name] for name in potential.inputs if name in vectors}


def _frame(stored: Fingerprint, where: str, index: int) -> Frame:
    return Frame(
        numbers=np.array(stored.numbers, dtype=np.int64),
        positions=np.array(stored.positions, dtype=np.float64).reshape(-1, 3),
        cell=np.array(stored.cell, dtype=np.float64),
        pbc=np.array(stored.pbc, dtype=bool),
        charge=stored.charge,
        spin=stored.spin,
        vectors={n: np.array(v, dtype=np.float64).reshape(-1, 3) for n, v in stored.vectors.items()},
        source=f"{where}: fingerprint",
        index=index,
    )


def _candidates(frame: Frame, potential: Potential) -> float:
    """Pairs that a neighbor search may have to look at, from above."""
    vectors = frame.cell[frame.pbc]
    if len(vectors) == 0:
        return float(frame.num_atoms) ** 2
    thinnest = float(np.linalg.svd(vectors, compute_uv=False).min())
    if not thinnest > 0:
        return math.inf
    extent = 2 * potential.cutoff + float(np.ptp(frame.positions, axis=0).max())
    return float(frame.num_atoms) ** 2 * (extent / thinnest + 3) ** len(vectors)
