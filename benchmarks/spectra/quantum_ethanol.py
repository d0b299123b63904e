"""Infrared spectrum of ethanol with classical and with quantum nuclei, at 300 K, from one and the same model.

    python benchmarks/spectra/quantum_ethanol.py [--quick] [--out FOLDER] [--model FILE] [--only train|nve|trpmd]

The model is the demo's PaiNN, trained here unless one is given. Classical nuclei: NVE trajectories of many copies.
Quantum nuclei: T-RPMD of ring polymers on i-PI. Same time step, temperature, starting conformers, and line shape.
Started again, everything goes on where it stopped. Writes benchmarks/results/quantum_ethanol.json (with --quick, a
sixth of the trajectories, quantum_ethanol_quick.json) and docs/figures/quantum_ethanol.svg: centers of the X-H
stretching bands, their shift, and its error by the jackknife over blocks of the trajectories.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import stamp

import equipot
from equipot.data.shipped import ethanol, ethanol_harmonic
from equipot.spectra.result import Spectra
from equipot.spectra.trajectory import Trajectory, read_run

RESULTS = HERE.parent / "results"
FIGURE = HERE.parent.parent / "docs" / "figures" / "quantum_ethanol.svg"
TRAINING = {
    "data": {"train": str(ethanol()), "valid": 50, "test": 150},
    "model": {"name": "painn", "size": "small"},
    "targets": {"dipole": {}, "polarizability": {}, "total_charge": 0},
    "train": {"preset": "quick", "epochs": 80, "batch": 5},
}
COMMON = {"temperature": 300, "dt": 0.5, "stride": 4}
NVE = {**COMMON, "replicas": 16}
TRPMD = {**COMMON, "engine": "ipi", "beads": 32}
LONG: dict[str, dict[str, Any]] = {
    "nve": {**NVE, "time": 3.0, "equilibration": 1.0},
    "trpmd": {**TRPMD, "time": 2.5, "equilibration": 0.5, "replicas": 4},
}
QUICK: dict[str, dict[str, Any]] = {
    "nve": {**NVE, "time": 0.5, "equilibration": 0.5},
    "trpmd": {**TRPMD, "time": 0.5, "equilibration": 0.2, "replicas": 2},
}
RESOLUTION = {"long": 40.0, "quick": 200.0}  # cm⁻¹
BANDS = {
    "C-H stretch": (2600.0, 3300.0),
    "O-H stretch": (3350.0, 4000.0),
}  # cm⁻¹; both spectra die out between them
BLOCKS = 4  # of every trajectory, for the jackknife


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/quantum_ethanol"))
    parser.add_argument("--model", type=Path, help="instead of training one")
    parser.add_argument("--only", choices=("train", *LONG), help="one step, for two processes at a time")
    arguments = parser.parse_args()
    made = stamp()
    model = arguments.model or equipot.train(TRAINING, arguments.out / "model").model
    size = "quick" if arguments.quick else "long"
    for name, settings in (QUICK if arguments.quick else LONG).items():
        if arguments.only in (None, name):
            begin = starts()[: settings["replicas"]]
            equipot.md(model, begin, settings, arguments.out / size / name, say=print)
    if arguments.only is None:
        report(equipot.load(model), arguments.out / size, size, made)


def starts() -> list[Atoms]:
    """The conformers in the shares of the demo."""
    found = {n: Atoms(c["symbols"], positions=c["positions"]) for n, c in ethanol_harmonic().items()}
    return [found[name] for name in ("gauche", "gauche", "trans", "gauche")]


def report(model: equipot.Model, out: Path, size: str, made: dict[str, Any]) -> None:
    trajectories = {name: read_run(out / name) for name in LONG}
    fine = RESOLUTION[size]
    spectra = {name: spectrum(t, fine) for name, t in trajectories.items()}
    minimum = equipot.harmonic(model, starts()[0])
    bands = {}
    for band, limits in BANDS.items():
        bands[band] = {}
        for kind in ("ir", "power"):
            rows = {
                n: jackknife(t, fine, lambda s, k=kind, w=limits: center(s, k, w))
                for n, t in trajectories.items()
            }
            shift = rows["trpmd"][0] - rows["nve"][0]
            error = float(np.hypot(rows["trpmd"][1], rows["nve"][1]))
            bands[band][kind] = {
                "classical_cm-1": [round(x, 1) for x in rows["nve"]],
                "quantum_cm-1": [round(x, 1) for x in rows["trpmd"]],
                "shift_cm-1": [round(shift, 1), round(error, 1)],
            }
        modes = minimum.wavenumbers
        inside = modes[(modes > limits[0]) & (modes < limits[1])]
        bands[band]["harmonic_gauche_cm-1"] = [round(float(x), 1) for x in inside]
    document = {
        "what": "centers of bands of ethanol at 300 K, [value, standard error]; shift: quantum minus classical nuclei",
        "bands": bands,
        "windows_cm-1": BANDS,
        "model": {"hash": spectra["nve"].header.model, **trained(model)},
        "runs": {n: summary(t, spectra[n]) for n, t in trajectories.items()},
        **made,
    }
    path = RESULTS / ("quantum_ethanol.json" if size == "long" else "quantum_ethanol_quick.json")
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(spectra, bands)
    print(json.dumps(bands, indent=1), path, FIGURE, sep="\n")


def trained(model: equipot.Model) -> dict[str, Any]:
    """How, in the words of the model file."""
    document = model.document
    train = document.run.get("train")
    epochs = train.get("epochs") if isinstance(train, dict) else None
    return {"training": f"PaiNN small, demo data, {epochs} epochs", "metrics": document.metrics}


def spectrum(trajectory: Trajectory, resolution: float) -> Spectra:
    return equipot.spectrum(trajectory, kinds=("ir", "power"), resolution=resolution)


def center(spectra: Spectra, kind: str, limits: tuple[float, float]) -> float:
    """First moment of the band in a window, cm⁻¹."""
    one = spectra[kind]
    inside = (one.wavenumber > limits[0]) & (one.wavenumber < limits[1])
    return float((one.wavenumber * one.value)[inside].sum() / one.value[inside].sum())


def jackknife(
    trajectory: Trajectory, resolution: float, measure: Callable[[Spectra], float]
) -> tuple[float, float]:
    """A number of the spectrum of everything, and its error from leaving out one block at a time."""
    without = np.array([measure(spectrum(part, resolution)) for part in all_but_one(trajectory)])
    n = len(without)
    error = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    return measure(spectrum(trajectory, resolution)), float(error)


def all_but_one(trajectory: Trajectory) -> Iterator[Trajectory]:
    blocks = []
    for segment in trajectory.segments:
        for rows in np.array_split(np.arange(len(segment)), BLOCKS):
            present = {n: v for n, v in vars(segment).items() if v is not None}
            blocks.append(replace(segment, **{n: v[rows] for n, v in present.items()}))
    for k in range(len(blocks)):
        yield replace(trajectory, segments=tuple(blocks[:k] + blocks[k + 1 :]))


def summary(trajectory: Trajectory, spectra: Spectra) -> dict[str, Any]:
    header = spectra.header
    return {
        "method": header.method,
        "engine": header.engine,
        "picoseconds": round(trajectory.total_time() / 1000, 2),
        "segments": header.segments,
        "dt_fs": header.dt,
        "temperature_K": header.temperature,
        "kinetic_temperature_K": round(header.kinetic_temperature, 1),
        "degrees_of_freedom": [round(header.degrees_found or 0.0, 2), header.degrees_expected],
        "resolution_cm-1": header.resolution,
    }


def draw(spectra: dict[str, Spectra], bands: dict[str, Any]) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), width_ratios=(3, 2), layout="constrained")
    looks = {
        "nve": ("#0072B2", "classical nuclei (NVE)"),
        "trpmd": ("#D55E00", "quantum nuclei (T-RPMD, 32 beads)"),
    }
    for axes, limits in zip(panels, ((3950, 150), (3950, 2600)), strict=True):
        for name, (color, label) in looks.items():
            one = spectra[name]["ir"]
            axes.plot(one.wavenumber, one.value, color=color, label=label, linewidth=1.2)
            band = (one.value - one.stderr, one.value + one.stderr)
            axes.fill_between(one.wavenumber, *band, color=color, alpha=0.25, linewidth=0)
        inside = [s["ir"] for s in spectra.values()]
        low, high = sorted(limits)
        top = max(float(one.value[(one.wavenumber > low) & (one.wavenumber < high)].max()) for one in inside)
        axes.set(xlim=limits, ylim=(0, 1.25 * top), xlabel="wavenumber / cm⁻¹")
    for band, found in bands.items():
        shift, error = found["ir"]["shift_cm-1"]
        middle = found["ir"]["quantum_cm-1"][0]
        text = f"{band}\n{shift:+.0f} ± {error:.0f} cm⁻¹"
        panels[1].annotate(
            text, (middle, 0.97), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=8
        )
    panels[0].set_ylabel("infrared absorption of ethanol, 300 K\nkm/mol per cm⁻¹", fontsize=9)
    panels[0].legend(fontsize=8, loc="upper right", frameon=False)
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE)


if __name__ == "__main__":
    main()
