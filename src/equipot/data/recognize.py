"""Recognising units from physics: total energies of atoms, and the stiffness of bonds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.formula import Formula
from jaxtyping import Float, Int

from equipot import units
from equipot.data.frame import Frame
from equipot.data.neighbors import pairs

#: units that a file of energies is likely to have been written in
ENERGY_UNITS = ("eV", "Ha", "Ry", "kcal/mol", "kJ/mol")
#: relative difference up to which a total energy counts as recognised
TOLERANCE = 0.035


def total_energy(numbers: Int[np.ndarray, " atoms"]) -> float:
    """All-electron energy of neutral atoms in eV, −0.7687 Z^(7/3) + Z²/2 − 0.2699 Z^(5/3) Hartree each.

    The statistical atom with Scott's and Schwinger's corrections (B.-G. Englert, Semiclassical Theory
    of Atoms, 1988); within 2 % from carbon on, 8 % for hydrogen, whose exact −1/2 is taken instead.
    """
    z = np.asarray(numbers, dtype=np.float64)
    hartree = -0.768745 * z ** (7 / 3) + z**2 / 2 - 0.269900 * z ** (5 / 3)
    return float(np.where(z == 1, -0.5, hartree).sum() * units.hartree)


def guess_energy_unit(
    numbers: Sequence[Int[np.ndarray, " _"]], energies: Float[np.ndarray, " frames"]
) -> str | None:
    """Unit in which these are all-electron total energies; None when they are in no known one.

    Energies of pseudopotential codes, of formation or of atomisation are not recognised.
    """
    expected = np.array([total_energy(z) for z in numbers])
    for unit in ENERGY_UNITS:
        ratio = energies * units.factor("energy", unit) / expected
        if np.all(np.abs(ratio - 1) < TOLERANCE):
            return unit
    return None


def energy_evidence(numbers: Int[np.ndarray, " atoms"], energy: float) -> str:
    """The energy in a file beside what the atoms of its formula have, in every unit."""
    expected = total_energy(numbers)
    formula = Formula.from_list([chemical_symbols[z] for z in numbers]).format("hill")
    listing = ", ".join(f"{expected / units.factor('energy', u):.4g} {u}" for u in ENERGY_UNITS)
    return f"file {energy:.6g}; total energy of the atoms of {formula}: about {listing}"


#: force units beside which a file's numbers are held
FORCE_UNITS = (
    "eV/Å",
    "Ha/bohr",
    "Ha/Å",
    "Ry/bohr",
    "kcal/mol/Å",
    "kcal/mol/bohr",
    "kJ/mol/Å",
    "kJ/mol/nm",
    "eV/bohr",
)
#: eV/Å², stretching force constant of a bond of hydrogen to B, C, N, O, F, Si, P, S, Cl: 17 to 75
_STIFFNESS = 36.0
#: |log| by which it may be off; other units are off by 2.5 or more, those with bohr for Å excepted
_STIFFNESS_WIDTH = 1.7
#: |log| by which a ratio of energy and force units may be off: for eV and eV/Å, and for other pairs.
#: The nearest wrong pairing is off by 0.64.
_RATIO_WIDTH = (0.45, 0.3)


#: pairings that programs write, the likeliest first
USUAL_UNITS = (
    ("Ha", "Ha/bohr"),
    ("kcal/mol", "kcal/mol/Å"),
    ("Ry", "Ry/bohr"),
    ("kJ/mol", "kJ/mol/nm"),
    ("kJ/mol", "kJ/mol/Å"),
    ("Ha", "Ha/Å"),
)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the numbers of a set say about its units; None where they say nothing."""

    total_energy: str | None  # unit in which the energies are all-electron total energies
    ratio: float | None  # slope of ΔE against −F·Δr between near frames: 1 when units agree
    num_pairs: int
    stiffness: float | None  # eV/Å² as read: stretching force constant of bonds to hydrogen

    def allows(self, energy: str, forces: str) -> bool:
        """Whether the numbers, taken to be in these units, agree with every piece of evidence."""
        to_energy, to_forces = units.factor("energy", energy), units.factor("forces", forces)
        if self.total_energy is not None and self.total_energy != energy:
            return False
        width = _RATIO_WIDTH[(energy, forces) != ("eV", "eV/Å")]
        if self.ratio is not None and abs(np.log(self.ratio * to_energy / to_forces)) > width:
            return False
        return self._off(forces) < _STIFFNESS_WIDTH

    def matches(self) -> list[tuple[str, str]]:
        """Pairs of energy and force units that agree with all evidence, the best first."""
        found = [(e, f) for e in ENERGY_UNITS for f in FORCE_UNITS if self.allows(e, f)]
        usual = [pair for pair in USUAL_UNITS if pair in found]
        return sorted(usual + [p for p in found if p not in usual], key=lambda p: round(self._off(p[1]), 1))

    def _off(self, forces: str) -> float:
        """|log| of the force constant in this unit to the usual one."""
        if self.stiffness is None:
            return 0.0
        return float(abs(np.log(self.stiffness * units.factor("forces", forces) / _STIFFNESS)))

    def text(self) -> str:
        """The numbers, in words."""
        parts = []
        if self.total_energy is not None:
            parts.append(f"the energies are total energies in {self.total_energy}")
        if self.ratio is not None:
            parts.append(f"ΔE / (−F·Δr) = {self.ratio:.4g} between {self.num_pairs} pairs of near frames")
        if self.stiffness is not None:
            parts.append(
                f"the bonds of hydrogen have a force constant of {self.stiffness:.3g} (usual: 25 to 55 eV/Å²)"
            )
        return "; ".join(parts)


def unit_evidence(frames: Sequence[Frame]) -> Evidence:
    """Gather the evidence; energies and forces are compared as if they were in eV and eV/Å."""
    labelled = [f for f in frames if "energy" in f.labels]
    energies = np.array([float(f.labels["energy"]) for f in labelled])
    chosen = np.unique(np.linspace(0, len(labelled) - 1, min(len(labelled), 50)).astype(int))
    unit = None
    if len(labelled):
        unit = guess_energy_unit([labelled[k].numbers for k in chosen], energies[chosen])
    ratio, num_pairs = energy_force_ratio([f for f in labelled if "forces" in f.labels])
    stiffness = hydrogen_stiffness([f for f in frames if "forces" in f.labels])
    return Evidence(total_energy=unit, ratio=ratio, num_pairs=num_pairs, stiffness=stiffness)


def energy_force_ratio(frames: Sequence[Frame], limit: int = 300) -> tuple[float | None, int]:
    """Slope of ΔE against −½(F₁ + F₂)·Δr over the nearest pairs of frames, and their number.

    The trapezoid is exact for a harmonic surface. Molecules are superposed first. None when fewer
    than eight pairs are near, or when the two sides hardly correlate.
    """
    kinds: dict[bytes, list[Frame]] = {}
    for f in frames:
        kinds.setdefault(f.numbers.tobytes() + f.pbc.tobytes(), []).append(f)
    work, change = [], []
    for members in kinds.values():
        chosen = np.unique(np.linspace(0, len(members) - 1, min(len(members), limit)).astype(int))
        for a, b in _near_pairs([members[k] for k in chosen]):
            w = _work(a, b)
            if w is not None:
                work.append(w)
                change.append(float(b.labels["energy"]) - float(a.labels["energy"]))
    w, e = np.array(work), np.array(change)
    if len(w) < 8 or not w.any() or not e.any():
        return None, len(w)
    slope = float((w * e).sum() / (w * w).sum())
    correlation = float((w * e).sum() / np.sqrt((w * w).sum() * (e * e).sum()))
    return (slope, len(w)) if correlation > 0.95 and slope > 0 else (None, len(w))


def _near_pairs(frames: Sequence[Frame]) -> list[tuple[Frame, Frame]]:
    """Every frame with the one whose interatomic distances resemble its own most, the nearer half."""
    if len(frames) < 2 or frames[0].num_atoms < 2:
        return []
    shapes = np.array([_shape(f) for f in frames])
    square = (shapes**2).sum(1)
    distance = square[:, None] + square[None] - 2 * shapes @ shapes.T
    distance[distance < 1e-10] = np.inf  # itself, and identical frames
    nearest = distance.argmin(1)
    found = {
        (min(a, b), max(a, b)): distance[a, b] for a, b in enumerate(nearest) if np.isfinite(distance[a, b])
    }
    order = sorted(found, key=lambda pair: found[pair])
    return [(frames[a], frames[b]) for a, b in order[: max(8, len(order) // 2)]]


def _shape(frame: Frame) -> np.ndarray:
    """Interatomic distances of a molecule of up to 60 atoms, else positions."""
    if frame.pbc.any() or frame.num_atoms > 60:
        return frame.positions.ravel()
    i, j = np.triu_indices(frame.num_atoms, 1)
    return np.linalg.norm(frame.positions[i] - frame.positions[j], axis=1)


def _work(a: Frame, b: Frame) -> float | None:
    """−½(F_a + F_b)·(r_b − r_a); None for frames too far apart, or with different cells."""
    if not np.allclose(a.cell[a.pbc], b.cell[b.pbc], atol=1e-6):
        return None
    rotation = np.eye(3)
    ra, rb = a.positions, b.positions
    if not a.pbc.any():
        ra, rb = ra - ra.mean(0), rb - rb.mean(0)
        u, _, vt = np.linalg.svd(rb.T @ ra)
        rotation = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    step = rb @ rotation - ra
    if np.abs(step).max() > 0.6:
        return None
    return float(-0.5 * ((a.labels["forces"] + b.labels["forces"] @ rotation) * step).sum())


def hydrogen_stiffness(frames: Sequence[Frame], limit: int = 200) -> float | None:
    """−dF/dr along the bonds of hydrogen to its one neighbor, eV/Å² as read; None without a clear slope."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), limit)).astype(int)) if frames else []
    lengths: dict[int, list[float]] = {}
    pulls: dict[int, list[float]] = {}
    for k in chosen:
        f = frames[k]
        i, j, shift, distance = pairs(f.positions, f.cell, f.pbc, 1.35)
        for h, x, sign in ((i, j, 1), (j, i, -1)):
            bond = (f.numbers[h] == 1) & np.isin(f.numbers[x], _BONDED_TO_HYDROGEN)
            vector = sign * (f.positions[j] + shift @ f.cell - f.positions[i])[bond]  # from H to X
            force = f.labels["forces"][h[bond]]
            outward = -(force * vector).sum(1) / distance[bond]
            for z, r, pull in zip(f.numbers[x[bond]].tolist(), distance[bond], outward, strict=True):
                lengths.setdefault(z, []).append(r)
                pulls.setdefault(z, []).append(pull)
    slopes = [s for z in lengths if (s := _slope(np.array(lengths[z]), np.array(pulls[z]))) is not None]
    return float(np.median(slopes)) if slopes else None


_BONDED_TO_HYDROGEN = (5, 6, 7, 8, 9, 14, 15, 16, 17)


def _slope(lengths: np.ndarray, pulls: np.ndarray) -> float | None:
    x, y = lengths - lengths.mean(), pulls - pulls.mean()
    if len(x) < 12 or x.std() < 1e-3 or not y.any():
        return None
    correlation = (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
    return float(-(x * y).sum() / (x * x).sum()) if correlation < -0.8 else None


def length_ratio(frames: Sequence[Frame], limit: int = 100) -> float | None:
    """Nearest distance over the sum of covalent radii, lower tenth; about 1 in Å, 1.9 in bohr."""
    ratios = []
    for k in np.unique(np.linspace(0, len(frames) - 1, min(len(frames), limit)).astype(int)):
        f = frames[k]
        if f.num_atoms < 2 or np.isin(f.numbers, _NOBLE).any():
            continue
        i, j, _, distance = pairs(f.positions, f.cell, f.pbc, 6.0)
        ratio = distance / (covalent_radii[f.numbers[i]] + covalent_radii[f.numbers[j]])
        nearest = np.full(f.num_atoms, np.inf)
        np.minimum.at(nearest, i, ratio)
        np.minimum.at(nearest, j, ratio)
        ratios.append(nearest[np.isfinite(nearest)])
    joined = np.concatenate(ratios) if ratios else np.empty(0)
    return float(np.quantile(joined, 0.1)) if len(joined) else None


_NOBLE = (2, 10, 18, 36, 54, 86)

#: Å³, average polarizability of an atom in a molecule: K. J. Miller, J. Am. Chem. Soc. 112, 8533 (1990)
_ATOMIC_POLARIZABILITY = {
    1: 0.39, 6: 1.15, 7: 1.0, 8: 0.6, 9: 0.3, 14: 2.5, 15: 1.54, 16: 3.0, 17: 2.3, 35: 3.0, 53: 5.4,
}  # fmt: skip


def guess_polarizability_unit(frames: Sequence[Frame]) -> tuple[str | None, float | None]:
    """Unit whose numbers fit the sum of atomic polarizabilities, and the ratio to that sum as read (Å³)."""
    ratios = []
    for f in frames:
        if set(f.numbers.tolist()) <= set(_ATOMIC_POLARIZABILITY):
            expected = sum(_ATOMIC_POLARIZABILITY[z] for z in f.numbers.tolist())
            ratios.append(float(np.trace(f.labels["polarizability"]) / 3 / expected))
    if not ratios:
        return None, None
    ratio = float(np.median(ratios))
    for unit in ("Å^3", "bohr^3", "e*Å^2/V"):
        if 0.55 < ratio * units.factor("polarizability", unit) < 1.75:
            return unit, ratio
    return None, ratio
