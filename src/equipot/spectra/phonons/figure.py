"""Bands and density of states side by side, imaginary modes below zero and in another color."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equipot.spectra.figure import BLUE, GREY, ORANGE
from equipot.spectra.phonons.result import REAL, Phonons


def figure(found: Phonons) -> Figure:
    """One row: bands left, density of states right."""
    out = Figure(figsize=(8.0, 4.4), layout="constrained")
    left, right = out.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    _draw_bands(left, found)
    right.plot(found.density.value, found.density.wavenumber, color=BLUE, linewidth=1)
    right.set_xlabel("modes / cm⁻¹")
    right.set_xlim(left=0)
    if found.imaginary():
        for axes in (left, right):
            axes.axhspan(axes.get_ylim()[0], 0, color=ORANGE, alpha=0.12, linewidth=0)
        left.set_title("imaginary modes, drawn below zero", fontsize=9, color=ORANGE)
    sides = "×".join(str(n) for n in np.diag(found.supercell))
    words = [found.formula, found.source, f"supercell {sides}"]
    out.suptitle(", ".join(word for word in words if word), fontsize=9, color=GREY)
    return out


def _draw_bands(axes: Axes, found: Phonons) -> None:
    ticks: dict[float, str] = {}
    for band in found.bands:
        axes.plot(band.distance, band.wavenumbers, color=BLUE, linewidth=1)
        imaginary = np.where(band.wavenumbers < REAL, band.wavenumbers, np.nan)
        axes.plot(band.distance, imaginary, color=ORANGE, linewidth=1.5)
        for place, name in zip((band.distance[0], band.distance[-1]), band.ends, strict=True):
            shown, there = _shown(name), ticks.get(round(float(place), 9))
            ticks[round(float(place), 9)] = shown if there in (None, shown) else f"{there}|{shown}"
    axes.set_xticks(list(ticks), list(ticks.values()))
    for place in ticks:
        axes.axvline(place, color=GREY, linewidth=0.5)
    axes.axhline(0, color=GREY, linewidth=0.5)
    axes.set_xlim(min(ticks), max(ticks))
    axes.set_ylabel("wavenumber / cm⁻¹")


def _shown(name: str) -> str:
    """Γ for G, and numbers as indices."""
    letter, number = ("Γ" if name[0] == "G" else name[0]), name[1:]
    return f"{letter}$_{{{number}}}$" if number else letter
