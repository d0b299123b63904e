"""What training and using the model costs."""

import platform
import time
from collections.abc import Sequence

import torch

from equipot.data.collate import Graph, collate, graph
from equipot.data.frame import Frame
from equipot.evaluate.readable import duration
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Section, facts, paragraph, table

BATCHES = (1, 16)  # structures at once
SECONDS = 1.0  # of measuring, for each


def section(material: Material) -> Section:
    """Training time, size, and the time of an energy and its forces now and here."""
    document = material.document
    seconds = document.provenance.seconds
    steps = material.log[-1]["step"] if material.log else None
    rows = {
        "parameters": f"{sum(p.numel() for p in material.potential.parameters()):,}",
        "model file": f"{(material.folder / 'model.equipot').stat().st_size / 1e6:.2f} MB",
        "training": "" if seconds is None else duration(seconds) + (f", {steps:,} steps" if steps else ""),
        "time of a step": f"{1000 * seconds / steps:.1f} ms" if seconds and steps else "",
        "training on": document.provenance.device,
    }
    parts = [facts(rows)]
    frames = material.frames or (material.splits.train if material.splits else ())
    if frames and "energy" in material.potential.targets:
        parts += [_speed(material, frames)]
    return Section("cost", "Cost", parts)


def microseconds(material: Material, graphs: Sequence[Graph]) -> tuple[float, int]:
    """Fastest of repeated evaluations of energy and forces, per atom; and the atoms. Neighbors are not searched."""
    potential = material.potential
    batch = collate(graphs, potential.elements).to(next(potential.parameters()).device)
    fastest, started = float("inf"), time.perf_counter()
    repeats = 0
    while repeats < 3 or time.perf_counter() - started < SECONDS:
        before = time.perf_counter()
        float(potential(batch, forces=True, targets=("energy",)).forces.sum())
        fastest, repeats = min(fastest, time.perf_counter() - before), repeats + 1
    return 1e6 * fastest / batch.num_atoms, batch.num_atoms


def _speed(material: Material, frames: Sequence[Frame]) -> str:
    rows = []
    for size in BATCHES:
        chosen = [frames[k % len(frames)] for k in range(size)]
        each, atoms = microseconds(material, [graph(f, material.potential.cutoff) for f in chosen])
        rows.append((size, atoms, f"{each:.1f}", f"{each * atoms / 1000:.2f}"))
    columns = ("structures at once", "atoms", "µs per atom and step", "ms per step")
    device = next(material.potential.parameters()).device
    words = (
        f"Energy and forces, measured when this report was written: fastest of all repeats within {SECONDS:g} s, "
        f"neighbor search left out; {device}, threads: {torch.get_num_threads()}, {platform.machine()}."
    )
    return "<h3>Speed</h3>" + table(columns, rows, words=()) + paragraph(words, "note")
