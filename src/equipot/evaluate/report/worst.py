"""The frames that a model is most wrong about."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from ase.data import chemical_symbols, covalent_radii

from equipot.data.frame import Frame
from equipot.data.neighbors import pairs
from equipot.evaluate.metrics import Comparison
from equipot.evaluate.readable import number, of_errors
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Drawing, Section, drawings, paragraph, table
from equipot.evaluate.report.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, styled

LISTED, SHOWN, MOST_ATOMS = 20, 3, 300
BOND = 1.25  # of the sum of covalent radii
ARROW = 0.6  # Å, length of the largest force error drawn
_ATOM = {1: "#c9ced3", 6: "#3a3f44", 7: BLUE, 8: VERMILLION, 9: GREEN, 15: ORANGE, 16: "#b8a200", 17: GREEN}


def section(material: Material) -> Section | None:
    """A table of the worst twenty, and the worst three in space."""
    frames = material.frames
    if not frames or not material.judged:
        return None
    target = "forces" if "forces" in material.judged else next(iter(material.judged))
    errors = {name: per_frame(c, len(frames)) for name, c in material.judged.items()}
    known = np.flatnonzero(np.isfinite(errors[target]))
    order = known[np.argsort(-errors[target][known])][:LISTED]
    words = f"By RMS error of {target} within the frame, {material.part} set."
    parts = [paragraph(words, "note"), _table(material, errors, order, frames)]
    small = [int(k) for k in order if frames[k].num_atoms <= MOST_ATOMS][:SHOWN]
    if small:
        parts.append(drawings(_views(frames, small, material.judged.get("forces")), small=True))
    return Section("worst", "Worst frames", parts)


def per_frame(comparison: Comparison, frames: int) -> np.ndarray:
    """RMS error of every frame; NaN where it has no label."""
    square = ((comparison.predicted - comparison.label) ** 2).mean(1)
    total = np.bincount(comparison.frame, weights=square, minlength=frames)
    count = np.bincount(comparison.frame, minlength=frames)
    return np.sqrt(np.divide(total, count, out=np.full(frames, np.nan), where=count > 0))


def _table(
    material: Material, errors: dict[str, np.ndarray], order: np.ndarray, frames: Sequence[Frame]
) -> str:
    units = {name: of_errors(c.unit) for name, c in material.judged.items()}
    several = len({f.source for f in frames}) > 1
    rows = []
    for rank, k in enumerate(order.tolist(), 1):
        where = frames[k].where if several else f"{frames[k].index}"
        values = [number(float(errors[n][k]) * units[n].factor) for n in errors]
        atom = [_worst_atom(material.judged["forces"], k)] if "forces" in material.judged else []
        rows.append((rank, where, frames[k].formula, *values, *atom))
    columns = ["", "frame in the file", "formula", *(f"{n} / {units[n].unit}" for n in errors)]
    if "forces" not in material.judged:
        return table(columns, rows, words=(1, 2))
    return table([*columns, "atom most wrong in force"], rows, words=(1, 2, len(columns)))


def _worst_atom(forces: Comparison, frame: int) -> str:
    if forces.element is None:
        return ""
    rows = np.flatnonzero(forces.frame == frame)
    if not len(rows):
        return ""
    size = np.linalg.norm((forces.predicted - forces.label)[rows], axis=1)
    k = int(size.argmax())
    readable = of_errors(forces.unit)
    return f"{chemical_symbols[forces.element[rows[k]]]} {k}: {number(size[k] * readable.factor)} {readable.unit}"


def _views(frames: Sequence[Frame], chosen: Sequence[int], forces: Comparison | None) -> list[Drawing]:
    """Balls and bonds, and the error of the force on each atom as a line."""
    deltas = [_delta(forces, k, frames[k].num_atoms) for k in chosen]
    longest = max((float(np.linalg.norm(d, axis=1).max()) for d in deltas if d is not None), default=0.0)
    return [
        _view(frames[k], delta, rank, ARROW / longest if longest else 0.0)
        for rank, (k, delta) in enumerate(zip(chosen, deltas, strict=True), 1)
    ]


def _view(frame: Frame, delta: np.ndarray | None, rank: int, scale: float) -> Drawing:
    plot = go.Figure(_molecule(frame, delta, scale))
    hidden = {"visible": False}
    eye = {"x": 1.2, "y": 0.9, "z": 0.75}
    plot.update_scenes(xaxis=hidden, yaxis=hidden, zaxis=hidden, aspectmode="data", camera={"eye": eye})
    caption = f"{rank}: frame {frame.index}. Drag to turn."
    x, y, z = frame.positions.T
    data: dict[str, Sequence | np.ndarray] = {"element": [chemical_symbols[k] for k in frame.numbers]}
    data |= {"x (Å)": x, "y (Å)": y, "z (Å)": z}
    if delta is not None:
        sizes = np.linalg.norm(delta, axis=1)
        caption += f" Purple: error of the force, at most {number(1000 * float(sizes.max()))} meV/Å."
        data |= {f"force error {axis} (eV/Å)": column for axis, column in zip("xyz", delta.T, strict=True)}
    margin = {"l": 0, "r": 0, "t": 0, "b": 0}
    return Drawing(
        name=f"worst-{rank}",
        caption=caption,
        plot=styled(plot, 300, margin=margin, showlegend=False),
        data=data,
    )


def _delta(forces: Comparison | None, frame: int, atoms: int) -> np.ndarray | None:
    """Force errors of all atoms of a frame; None where some have no label."""
    if forces is None:
        return None
    rows = forces.frame == frame
    return (forces.predicted - forces.label)[rows] if rows.sum() == atoms else None


def _molecule(frame: Frame, delta: np.ndarray | None, scale: float) -> list[go.Scatter3d]:
    symbols = [f"{chemical_symbols[z]} {k}" for k, z in enumerate(frame.numbers)]
    fallback = (SKY, PURPLE, ORANGE)
    dots = {
        "size": [9 + 9 * float(covalent_radii[z]) for z in frame.numbers],
        "color": [_ATOM.get(z, fallback[z % 3]) for z in frame.numbers.tolist()],
        "line": {"color": GREY, "width": 1},
        "opacity": 1.0,
    }
    i, j = bonds(frame)
    traces = [_segments(frame.positions[i], frame.positions[j], "#8b949e", 6)]
    x, y, z = frame.positions.T
    traces.append(go.Scatter3d(x=x, y=y, z=z, mode="markers", marker=dots, text=symbols, hoverinfo="text"))
    if delta is not None:
        traces.append(_segments(frame.positions, frame.positions + scale * delta, PURPLE, 7))
    return traces


def bonds(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Pairs within 1.25 of the sum of their covalent radii, those through a cell wall left out."""
    i, j, shift, distance = pairs(frame.positions, frame.cell, frame.pbc, 3.5)
    reach = BOND * (covalent_radii[frame.numbers[i]] + covalent_radii[frame.numbers[j]])
    near = (distance < reach) & ~shift.any(axis=1)
    return i[near], j[near]


def _segments(start: np.ndarray, end: np.ndarray, shade: str, width: int) -> go.Scatter3d:
    gap = np.full_like(start, np.nan)
    x, y, z = np.stack([start, end, gap], axis=1).reshape(-1, 3).T
    return go.Scatter3d(x=x, y=y, z=z, mode="lines", line={"color": shade, "width": width}, hoverinfo="skip")
