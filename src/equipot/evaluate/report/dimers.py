"""Two atoms alone, from far apart to almost on top of each other."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import plotly.graph_objects as go
from ase.data import covalent_radii

from equipot.data.collate import batch_of, graph
from equipot.data.frame import Frame
from equipot.evaluate.predict import predict
from equipot.evaluate.report.data import pair_name
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Drawing
from equipot.evaluate.report.style import color, styled
from equipot.potential import Potential
from equipot.testing.evaluation import State, usual_state

SHORTEST, POINTS = 0.15, 120  # Å; up to the cutoff
MOST_PAIRS = 5
CLOSE = 0.6  # of the sum of covalent radii: nearer than any bond, where energy must rise towards contact
SHOWN = (-20.0, 30.0)  # eV: deeper holes and higher walls are cut off


@dataclass(frozen=True)
class Dimer:
    """Energy of a pair above that of its atoms alone."""

    kind: str
    radii: float  # sum of the covalent radii, Å
    distance: np.ndarray  # Å
    energy: np.ndarray  # eV
    repulsion: np.ndarray  # eV, of the fixed terms

    @property
    def repels(self) -> bool:
        """Whether the energy rises all the way from the shortest bonds to contact."""
        return bool((np.diff(self.energy[self.distance < CLOSE * self.radii]) < 0).all())


def dimers(potential: Potential, elements: list[int]) -> list[Dimer]:
    """Pairs of the given elements, the first combinations of them."""
    distance = np.linspace(SHORTEST, potential.cutoff, POINTS)
    pairs = sorted(combinations_with_replacement(range(len(elements)), 2), key=sum)
    return [_dimer(potential, elements[a], elements[b], distance) for a, b in pairs[:MOST_PAIRS]]


def drawing(material: Material) -> tuple[Drawing, str] | None:
    """The curves of the most frequent elements, and what they say; None where a pair alone means nothing."""
    potential, splits = material.potential, material.splits
    if "energy" not in potential.targets or potential.inputs or splits is None:
        return None
    counts = Counter(int(z) for f in splits.train for z in f.numbers)
    found = dimers(potential, [z for z, _ in counts.most_common()])
    plot, data = go.Figure(), {"distance (Å)": found[0].distance}
    for k, dimer in enumerate(found):
        plot.add_scatter(
            x=dimer.distance, y=dimer.energy, name=dimer.kind, line={"color": color(k), "width": 2}
        )
        data[f"{dimer.kind} energy (eV)"] = dimer.energy
        if dimer.repulsion.any():
            dotted = {"color": color(k), "width": 1.5, "dash": "dot"}
            plot.add_scatter(
                x=dimer.distance,
                y=dimer.repulsion,
                line=dotted,
                name=f"{dimer.kind} repulsion",
                showlegend=False,
            )
            data[f"{dimer.kind} repulsion (eV)"] = dimer.repulsion
    lowest = min(float(d.energy.min()) for d in found)
    plot.update_layout(xaxis_title="distance of two atoms / Å", yaxis_title="energy / eV")
    plot.update_yaxes(range=[max(SHOWN[0], min(1.1 * lowest, -1.0)), SHOWN[1]])
    caption = "Two atoms alone, above the energy of each. " + (
        "Dotted: the fixed repulsion of nuclei."
        if potential.config.terms.zbl
        else "Few training sets hold them: only a rise towards short distances can be asked for."
    )
    return Drawing(name="dimers", caption=caption, plot=styled(plot, 400), data=data, wide=True), _verdict(
        found
    )


def _verdict(found: list[Dimer]) -> str:
    merging = ", ".join(d.kind for d in found if not d.repels)
    if not merging:
        return "Every pair is repelled at short distance, down to 0.15 Å."
    return (
        f"Not repelled all the way at short distance: {merging}. Such atoms may merge in dynamics that comes there;"
        " train with terms.zbl=true to add the screened repulsion of nuclei."
    )


def _dimer(potential: Potential, a: int, b: int, distance: np.ndarray) -> Dimer:
    state = usual_state(potential)
    alone = _energies(potential, [_along_z([z], [0.0], state) for z in (a, b)]).sum()
    frames = [_along_z([a, b], [0.0, float(r)], state) for r in distance]
    batch = batch_of(frames, potential.elements, potential.cutoff)
    return Dimer(
        kind=pair_name(a, b),
        radii=float(covalent_radii[a] + covalent_radii[b]),
        distance=distance,
        energy=_energies(potential, frames) - alone,
        repulsion=potential.terms.energy_and_forces(batch)[0].numpy(),
    )


def _along_z(numbers: list[int], heights: list[float], state: State) -> Frame:
    return Frame(
        numbers=np.array(numbers),
        positions=np.array([[0.0, 0.0, z] for z in heights]),
        cell=np.zeros((3, 3)),
        pbc=np.zeros(3, dtype=bool),
        **state,
        source="two atoms",
    )


def _energies(potential: Potential, frames: list[Frame]) -> np.ndarray:
    energy = predict(potential, [graph(f, potential.cutoff) for f in frames], ["energy"]).energy
    assert energy is not None
    return energy.double().cpu().numpy()
