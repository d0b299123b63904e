"""What the model was trained on, and how far the other parts leave it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from ase.data import chemical_symbols

from equipot.data.frame import Frame
from equipot.data.neighbors import pairs
from equipot.data.references import finding, of_statistics
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Drawing, Section, drawings, facts, paragraph, table, text
from equipot.evaluate.report.style import color, styled
from equipot.train.dataset import Splits

MEASURED = 1000  # frames of a part whose distances are measured, spread evenly over it
MOST_PAIRS = 6  # kinds of pairs that get a color of their own


@dataclass(frozen=True)
class Distances:
    """Distances of a part by kind of pair, Å."""

    kinds: dict[str, np.ndarray]  # "C-H" -> distances
    frames: int  # that were measured

    def closest(self) -> dict[str, float]:
        """Shortest distance of each kind."""
        return {kind: float(values.min()) for kind, values in self.kinds.items()}


def section(material: Material) -> Section | None:
    """Elements, sizes, forces, distances, notes, coverage."""
    splits = material.splits
    if splits is None:
        return None
    cutoff = material.potential.cutoff
    parts = {name: frames for name, frames in splits.parts().items() if frames}
    distances = {name: measure(frames, cutoff) for name, frames in parts.items()}
    figures = [_distances(distances["train"], cutoff)]
    if any("forces" in f.labels for f in splits.train):
        figures.insert(0, _forces(splits.train))
    body = [
        facts(_summary(splits)),
        *(paragraph(text(n), "note") for n in (*splits.notes, *_doubts(material))),
    ]
    body += [drawings(figures), "<h3>Coverage</h3>", _coverage(parts, distances), _beyond(parts, distances)]
    return Section("data", "Data", body)


def _doubts(material: Material) -> list[str]:
    """Reference energies that the compositions hardly determine, with the fix."""
    statistics = material.document.statistics
    known = finding(of_statistics(statistics), statistics.elements, "the training set")
    return (
        [f"{known.title}: {known.evidence}. Fix: {known.fix}."] if known and known.level == "warning" else []
    )


def measure(frames: Sequence[Frame], cutoff: float) -> Distances:
    """Distances within the cutoff of up to a thousand frames."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MEASURED)).astype(int))
    found: dict[str, list[np.ndarray]] = {}
    for f in (frames[k] for k in chosen):
        i, j, _, distance = pairs(f.positions, f.cell, f.pbc, cutoff)
        first, second = np.minimum(f.numbers[i], f.numbers[j]), np.maximum(f.numbers[i], f.numbers[j])
        for a, b in {*zip(first.tolist(), second.tolist(), strict=True)}:
            found.setdefault(pair_name(a, b), []).append(distance[(first == a) & (second == b)])
    joined = {kind: np.concatenate(values) for kind, values in found.items()}
    return Distances(dict(sorted(joined.items(), key=lambda x: -len(x[1]))), len(chosen))


def pair_name(a: int, b: int) -> str:
    """Two elements as chemists write them: C–H, C–O."""
    return "–".join(chemical_symbols[z] for z in sorted((a, b), key=lambda z: (z == 1, z)))


def _summary(splits: Splits) -> dict[str, object]:
    frames = [f for part in splits.parts().values() for f in part]
    sizes = [f.num_atoms for f in frames]
    numbers = np.concatenate([f.numbers for f in frames])
    elements = zip(*np.unique(numbers, return_counts=True), strict=True)
    formulas = Counter(f.formula for f in frames).most_common(8)
    labels = Counter(name for f in frames for name in f.labels)
    return {
        "frames": len(frames),
        "elements": ", ".join(f"{chemical_symbols[z]} {n:,}" for z, n in elements),
        "formulas": ", ".join(f"{formula} {n}" for formula, n in formulas),
        "atoms in a frame": f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}",
        "labels": ", ".join(f"{name} in {n} frames" for name, n in labels.items()),
        "isolated atoms": ", ".join(f.formula for f in splits.isolated),
    }


def _forces(frames: Sequence[Frame]) -> Drawing:
    labelled = [f for f in frames if "forces" in f.labels]
    numbers = np.concatenate([f.numbers for f in labelled])
    size = np.linalg.norm(np.concatenate([f.labels["forces"] for f in labelled]), axis=1)
    edges = np.linspace(0, float(np.nanmax(size)) or 1.0, 61)
    counts = {chemical_symbols[z]: np.histogram(size[numbers == z], edges)[0] for z in np.unique(numbers)}
    plot = _steps(counts, edges, "length of the force on an atom / eV Å⁻¹", "atoms", logarithmic=True)
    caption = f"Forces in the training set, {len(size):,} atoms. Largest: {np.nanmax(size):.3g} eV/Å."
    return Drawing(name="forces", caption=caption, plot=plot, data={"from (eV/Å)": edges[:-1], **counts})


def _distances(distances: Distances, cutoff: float) -> Drawing:
    edges = np.linspace(0, cutoff, 101)
    kinds = list(distances.kinds.items())
    shown = dict(kinds[:MOST_PAIRS])
    if len(kinds) > MOST_PAIRS:
        shown["others"] = np.concatenate([values for _, values in kinds[MOST_PAIRS:]])
    counts = {kind: np.histogram(values, edges)[0] for kind, values in shown.items()}
    plot = _steps(counts, edges, "interatomic distance / Å", "pairs")
    nearest = min(distances.closest().items(), key=lambda x: x[1], default=("", float("nan")))
    caption = (
        f"Distances in {distances.frames} training frames up to the cutoff. "
        f"Closest: {nearest[1]:.2f} Å ({text(nearest[0])})."
    )
    return Drawing(name="distances", caption=caption, plot=plot, data={"from (Å)": edges[:-1], **counts})


def _steps(
    counts: dict[str, np.ndarray], edges: np.ndarray, x: str, y: str, logarithmic: bool = False
) -> go.Figure:
    """Outlines of histograms, since filled ones hide each other."""
    plot = go.Figure()
    for k, (name, values) in enumerate(counts.items()):
        heights = np.where(values > 0, values, np.nan) if logarithmic else values
        plot.add_scatter(
            x=edges[:-1],
            y=heights,
            name=name,
            mode="lines",
            line={"shape": "hv", "color": color(k), "width": 1.8},
        )
    plot.update_xaxes(title_text=x, range=[edges[0], edges[-1]])
    plot.update_yaxes(title_text=y, type="log" if logarithmic else "linear", rangemode="tozero")
    if logarithmic:
        plot.update_yaxes(dtick=1)
    return styled(plot, 340)


def _coverage(parts: dict[str, Sequence[Frame]], distances: dict[str, Distances]) -> str:
    rows = []
    for name, frames in parts.items():
        forces = [np.abs(f.labels["forces"]).max() for f in frames if "forces" in f.labels]
        energies = [f.labels["energy"] / f.num_atoms for f in frames if "energy" in f.labels]
        closest = min(distances[name].closest().values(), default=np.nan)
        rows.append(
            (
                name,
                len(frames),
                f"{np.ptp(energies) * 1000:.4g}" if energies else "none",
                f"{max(forces):.3g}" if forces else "none",
                f"{closest:.3f}",
            )
        )
    columns = (
        "part",
        "frames",
        "energy range / meV/atom",
        "largest force component / eV/Å",
        "closest pair / Å",
    )
    return table(columns, rows)


def _beyond(parts: dict[str, Sequence[Frame]], distances: dict[str, Distances]) -> str:
    """Pairs of the other parts that are closer than anything in training."""
    known = distances["train"].closest()
    lines = []
    for part in (p for p in parts if p != "train"):
        closer = [
            f"{kind} {value:.2f} Å (training {known[kind]:.2f} Å)"
            if kind in known
            else f"{kind} (not in training)"
            for kind, value in distances[part].closest().items()
            if value < known.get(kind, np.inf)
        ]
        if closer:
            lines.append(f"Closer in {part} than anywhere in training: {text(', '.join(closer))}.")
    if not lines:
        lines = [
            "No pair of atoms in the other parts is closer than the closest pair of its kind in training."
        ]
    return "".join(paragraph(line, "note") for line in lines)
