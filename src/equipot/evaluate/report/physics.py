"""What the potential does where one knows what to expect: stretched bonds, atoms that come too close."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from equipot.data.collate import graph
from equipot.data.frame import Frame
from equipot.evaluate.predict import predict
from equipot.evaluate.report import dimers
from equipot.evaluate.report.data import pair_name
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Drawing, Section, drawings, paragraph, text
from equipot.evaluate.report.style import color, styled
from equipot.evaluate.report.worst import MOST_ATOMS, bonds

POINTS = np.linspace(0.7, 1.7, 51)  # of the length of the bond
MOST_BONDS = 5
MEASURED = 500  # training frames that say which lengths are known


def section(material: Material) -> Section | None:
    """Stretched bonds where there are molecules, and pairs of atoms."""
    stretched, pairs = _stretch(material), dimers.drawing(material)
    figures = [d for d in (stretched, pairs[0] if pairs else None) if d is not None]
    if not figures:
        return None
    words = [paragraph(text(pairs[1]), "note")] if pairs else []
    return Section("physics", "Physics", [drawings(figures), *words])


def _stretch(material: Material) -> Drawing | None:
    """Energy along the stretch of one bond of each kind, of the most stable training molecule."""
    splits = material.splits
    if splits is None or "energy" not in material.potential.targets:
        return None
    molecules = [
        f for f in splits.train if not f.pbc.any() and 1 < f.num_atoms <= MOST_ATOMS and "energy" in f.labels
    ]
    if not molecules:
        return None
    start = min(
        (f for f in molecules if f.formula == molecules[0].formula), key=lambda f: float(f.labels["energy"])
    )
    chosen = stretchable(start)
    if not chosen:
        return None
    return _scan(material, start, chosen, _lengths(molecules))


def stretchable(frame: Frame) -> dict[str, tuple[int, int, np.ndarray]]:
    """One bond of each kind that holds two parts together: its atoms, and which atoms move with the second."""
    i, j = bonds(frame)
    out: dict[str, tuple[int, int, np.ndarray]] = {}
    for k, (a, b) in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
        others = np.arange(len(i)) != k
        links = coo_matrix((np.ones(others.sum()), (i[others], j[others])), shape=(frame.num_atoms,) * 2)
        _, piece = connected_components(links, directed=False)
        if piece[a] != piece[b]:
            out.setdefault(_kind(frame, a, b), (a, b, piece == piece[b]))
    return dict(list(out.items())[:MOST_BONDS])


def _kind(frame: Frame, a: int, b: int) -> str:
    return pair_name(int(frame.numbers[a]), int(frame.numbers[b]))


def _lengths(frames: list[Frame]) -> dict[str, tuple[float, float]]:
    """Shortest and longest bond of each kind in training."""
    found: dict[str, list[float]] = {}
    for f in frames[:: max(1, len(frames) // MEASURED)]:
        i, j = bonds(f)
        lengths = np.linalg.norm(f.positions[i] - f.positions[j], axis=1)
        for a, b, length in zip(i.tolist(), j.tolist(), lengths.tolist(), strict=True):
            found.setdefault(_kind(f, a, b), []).append(length)
    return {kind: (min(values), max(values)) for kind, values in found.items()}


def _scan(
    material: Material,
    start: Frame,
    chosen: dict[str, tuple[int, int, np.ndarray]],
    known: dict[str, tuple[float, float]],
) -> Drawing:
    plot, data = go.Figure(), {}
    zero = _energies(material, [start])[0]
    for k, (kind, (a, b, moving)) in enumerate(chosen.items()):
        bond = start.positions[b] - start.positions[a]
        length = POINTS * np.linalg.norm(bond)
        stretched = [_moved(start, moving, (s - 1) * bond) for s in POINTS]
        energy = _energies(material, stretched) - zero
        low, high = known.get(kind, (np.inf, -np.inf))
        inside = np.where((length >= low) & (length <= high), energy, np.nan)
        plot.add_scatter(
            x=length,
            y=energy,
            line={"color": color(k), "width": 1.5, "dash": "dot"},
            showlegend=False,
            name=kind,
        )
        plot.add_scatter(
            x=length, y=inside, line={"color": color(k), "width": 4}, name=kind, hoverinfo="skip"
        )
        data |= {
            f"{kind} length (Å)": length,
            f"{kind} energy (eV)": energy,
            f"{kind} in training": ~np.isnan(inside),
        }
    highest = max(float(np.max(data[name])) for name in data if name.endswith("(eV)"))
    plot.update_layout(xaxis_title="length of the bond / Å", yaxis_title="energy / eV")
    plot.update_yaxes(range=[-0.5, min(8.0, 1.05 * highest)])
    caption = (
        f"One bond of each kind of {start.formula} stretched, the rest rigid. Thick: lengths that occur in training; "
        "dotted: extrapolated, where only a rise to both sides can be asked for."
    )
    return Drawing(name="stretch", caption=caption, plot=styled(plot, 400), data=data, wide=True)


def _moved(frame: Frame, moving: np.ndarray, by: np.ndarray) -> Frame:
    return replace(frame, positions=frame.positions + moving[:, None] * by, labels={})


def _energies(material: Material, frames: list[Frame]) -> np.ndarray:
    potential = material.potential
    energy = predict(potential, [graph(f, potential.cutoff) for f in frames], ["energy"]).energy
    assert energy is not None
    return energy.double().cpu().numpy()
