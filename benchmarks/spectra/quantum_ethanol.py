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
from collections.abc import Iterator
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
# a third of a block holds the window of the resolution (cm⁻¹); error bars are of so many blocks of every trajectory
RESOLUTION, BLOCKS = {"long": 90.0, "quick": 210.0}, {"long": 2, "quick": 1}
KINDS = ("ir", "power")
BANDS = {
    "C-H stretch": (2600.0, 3300.0),
    "O-H stretch": (3350.0, 4000.0),
}  # cm⁻¹; both spectra die out between them

Centers = dict[tuple[str, str], tuple[float, float]]  # band and spectrum: center and its error, cm⁻¹


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
    spectra = {name: spectrum(t, RESOLUTION[size]) for name, t in trajectories.items()}
    found = {name: jackknife(t, RESOLUTION[size], BLOCKS[size]) for name, t in trajectories.items()}
    modes = equipot.harmonic(model, starts()[0]).wavenumbers
    bands = {band: compared(band, found, modes) for band in BANDS}
    document = {
        "what": "centers of bands of ethanol at 300 K, [value, standard error]; shift: quantum minus classical nuclei",
        "bands": bands,
        "windows_cm-1": BANDS,
        "model": {"hash": spectra["nve"].header.model, **trained(model)},
        "runs": {
            n: summary(t, spectra[n]) | {"drift_meV_atom_ps": drift(out / n)} for n, t in trajectories.items()
        },
        **made,
    }
    path = RESULTS / ("quantum_ethanol.json" if size == "long" else "quantum_ethanol_quick.json")
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(spectra, bands)
    print(json.dumps(bands, indent=1), path, FIGURE, sep="\n")


def compared(band: str, found: dict[str, Centers], modes: np.ndarray) -> dict[str, Any]:
    """Classical and quantum center of a band, in both spectra, and the harmonic lines of the window."""
    out: dict[str, Any] = {}
    for kind in KINDS:
        classical, quantum = (found[name][band, kind] for name in ("nve", "trpmd"))
        shift, error = quantum[0] - classical[0], float(np.hypot(quantum[1], classical[1]))
        rows = {"classical_cm-1": classical, "quantum_cm-1": quantum, "shift_cm-1": (shift, error)}
        out[kind] = {name: [round(x, 1) for x in row] for name, row in rows.items()}
    low, high = BANDS[band]
    out["harmonic_gauche_cm-1"] = [round(float(x), 1) for x in modes if low < x < high]
    return out


def trained(model: equipot.Model) -> dict[str, Any]:
    """How, in the words of the model file."""
    document = model.document
    train = document.run.get("train")
    epochs = train.get("epochs") if isinstance(train, dict) else None
    return {"training": f"PaiNN small, demo data, {epochs} epochs", "metrics": document.metrics}


def spectrum(trajectory: Trajectory, resolution: float) -> Spectra:
    return equipot.spectrum(trajectory, kinds=KINDS, resolution=resolution)


def centers(trajectory: Trajectory, resolution: float) -> np.ndarray:
    """First moments of all bands in all spectra, cm⁻¹."""
    spectra, out = spectrum(trajectory, resolution), []
    for low, high in BANDS.values():
        for kind in KINDS:
            one = spectra[kind]
            inside = (one.wavenumber > low) & (one.wavenumber < high)
            out.append((one.wavenumber * one.value)[inside].sum() / one.value[inside].sum())
    return np.array(out)


def jackknife(trajectory: Trajectory, resolution: float, blocks: int) -> Centers:
    """Centers in the spectrum of everything, and their errors from leaving out one block at a time."""
    without = np.array([centers(part, resolution) for part in all_but_one(trajectory, blocks)])
    n = len(without)
    errors = np.sqrt((n - 1) / n * np.square(without - without.mean(0)).sum(0))
    names = [(band, kind) for band in BANDS for kind in KINDS]
    rows = zip(centers(trajectory, resolution).tolist(), errors.tolist(), strict=True)
    return dict(zip(names, rows, strict=True))


def all_but_one(trajectory: Trajectory, number: int) -> Iterator[Trajectory]:
    blocks = []
    for segment in trajectory.segments:
        for rows in np.array_split(np.arange(len(segment)), number):
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


def drift(run: Path) -> float:
    """Of the energy, or of i-PI's conserved quantity per bead."""
    found = json.loads((run / "md.json").read_text(encoding="utf-8"))["conservation"]
    return float(f"{1000 * found['drift']:.2g}")


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
