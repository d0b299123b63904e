"""Liquid water: structure, diffusion, infrared and Raman spectrum, beside experiment.

    python benchmarks/spectra/water.py DATA --out runs/water

DATA is the folder that holds water_revpbe0, water_bulk_dipole_polar and ir_reference. Two models are trained: energies
and forces of 64 molecules (revPBE0-D3, 100 frames in all), and the dipole and polarizability of 32 molecules (800
frames). Dynamics of 64 molecules, NVT then NVE, is the first one's; the second one is evaluated along it. What is done
is not done again: the same command goes on. Result: benchmarks/results/water.json and two figures in docs/figures.
"""

import argparse
import json
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import ase.io
import matplotlib
import numpy as np
import torch
from ase import Atoms
from ase.geometry import find_mic

matplotlib.use("agg")
import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from machine import stamp

from equipot import api, units
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.spectra.trajectory import Segment, Trajectory, read_run

RESULTS = Path(__file__).resolve().parent.parent / "results"
FIGURES = Path(__file__).resolve().parents[2] / "docs" / "figures"
PARTS = 6  # of the run, for error bars
NEQUIP = {"name": "nequip", "channels": 32, "l_max": 1, "parity": False, "num_layers": 3, "cutoff": 5.0}
PAINN = {"name": "painn", "channels": 48, "num_layers": 3, "cutoff": 4.5}
# liquid water at 298 K: Soper, ISRN Phys. Chem. 2013, 279463 (first peak of O-O); Holz et al., PCCP 2, 4740 (2000)
MEASURED = {"r_OO": 2.80, "g_OO": 2.57, "D": 2.30}
DENSITY = 0.997  # g/cm³, of the water that was measured


def configuration(data: Path, which: str, steps: int) -> dict[str, Any]:
    """What one of the two models is trained on."""
    train: dict[str, Any] = {"steps": steps, "batch": 1, "seed": 1}
    if which == "forces":
        path = data / "water_revpbe0" / "water_100.xyz.xz"
        return {
            "data": {"train": str(path), "valid": 5, "test": 10},
            "model": NEQUIP,
            "targets": {"energy": {"forces": True, "stress": False}},
            "train": train,
        }
    path = data / "water_bulk_dipole_polar" / "water_bulk_first800.xyz.xz"
    return {
        "data": {
            "train": str(path),
            "valid": 40,
            "test": 100,
            "keys": {"dipole": "REF_dipole", "polarizability": "REF_polarizability"},
            "units": {"dipole": "e*bohr", "polarizability": "Å^3"},
            "symmetrize": ["polarizability"],
        },
        "model": PAINN,
        "targets": {"energy": None, "dipole": {"form": "atomic"}, "polarizability": {}},
        "train": train,
    }


def trained(given: argparse.Namespace, which: str, steps: int) -> tuple[api.Model, dict[str, Any]]:
    """The model of a folder, trained unless it is there, and what its training was."""
    folder = given.out / which
    if not (folder / "model.equipot").exists():
        api.train(configuration(given.data, which, steps), folder, say=print)
    model = api.load(folder / "model.equipot")
    written: Any = model.document
    return model, {"steps": steps, "errors": written.metrics.get("test"), "model": written.run["model"]}


def density(atoms: Atoms) -> float:
    """g/cm³."""
    return float(atoms.get_masses().sum() / units.AVOGADRO / (atoms.get_volume() * 1e-24))


def beginning(data: Path) -> Atoms:
    """The frame whose density is nearest to that of the liquid: the set goes from 0.70 to 1.23 g/cm³."""
    structures = api.read(data / "water_revpbe0" / "water_100.xyz.xz").structures
    return min((s.atoms() for s in structures), key=lambda a: abs(density(a) - DENSITY))


def moments(model: api.Model, segment: Segment, atoms: Atoms) -> Segment:
    """The segment with the dipole and the polarizability that a model gives."""
    dipoles, tensors = [], []
    for positions in segment.positions:
        frame = atoms.copy()
        frame.positions = positions
        batch = batch_of(
            [Frame.from_atoms(frame, "water", 0)], model.potential.elements, model.potential.cutoff
        )
        with torch.no_grad():
            found = model.potential(batch, targets=("dipole", "polarizability"))
        assert found.dipole is not None and found.polarizability is not None
        dipoles.append(found.dipole[0].numpy())
        tensors.append(found.polarizability[0].numpy())
    return replace(segment, dipole=np.stack(dipoles), polarizability=np.stack(tensors))


def pair_distribution(segment: Segment, atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """g_OO(r) on a grid of 0.05 Å."""
    oxygen = np.flatnonzero(atoms.numbers == 8)
    edges = np.arange(2.0, atoms.cell.lengths().min() / 2, 0.05)
    first, second = np.array(list(combinations(oxygen, 2))).T
    counts = np.zeros(len(edges) - 1)
    frames = segment.positions[::10]
    for positions in frames:
        _, distance = find_mic(positions[first] - positions[second], atoms.cell, pbc=True)
        counts += np.histogram(distance, edges)[0]
    shell = 4 / 3 * np.pi * (edges[1:] ** 3 - edges[:-1] ** 3)
    pairs = len(first) / atoms.get_volume()
    return (edges[1:] + edges[:-1]) / 2, counts / (len(frames) * shell * pairs)


def diffusion(parts: list[Segment], atoms: Atoms, stride: float) -> tuple[float, float]:
    """D of the oxygen atoms, 1e-9 m²/s, from displacements between 1 ps and half a part, and its standard error.

    Of the periodic cell: the correction for its size, some +0.6 in 1e-9 m²/s for 64 molecules, is not added.
    """
    oxygen, found = atoms.numbers == 8, []
    for part in parts:
        path = part.positions[:, oxygen]
        lags = np.arange(min(int(1000 / stride), len(path) // 4), len(path) // 2, max(1, int(50 / stride)))
        squares = [np.square(path[k:] - path[:-k]).sum(-1).mean() for k in lags]
        found.append(np.polyfit(lags * stride, squares, 1)[0] / 6 * 1e4)  # Å²/fs = 1e-5 m²/s
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(len(found)))


def band(spectrum: Any, low: float, high: float) -> dict[str, float]:
    """Where a band has its maximum and its middle, 1/cm."""
    inside = (spectrum.wavenumber >= low) & (spectrum.wavenumber <= high)
    x, y = spectrum.wavenumber[inside], np.clip(spectrum.value[inside], 0, None)
    return {"maximum": float(x[y.argmax()]), "middle": float((x * y).sum() / y.sum())}


def measured_infrared(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Wavenumber and n α of liquid water, 1/cm, from the complex refractive index (Segelstein 1981)."""
    x, n, k = np.loadtxt(data / "ir_reference" / "water_full_Siegelstein.RI").T
    inside = (x > 20) & (x < 4500)
    return x[inside], (n * 4 * np.pi * k * x)[inside]


def measured_raman(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Low-frequency Raman of liquid water, reduced as our Raman is, times a constant (Castner et al. 1995).

    The measured intensity holds the thermal factor; ours is L, which the factor nu (1 - exp(-hc nu/kT)) leads to.
    """
    x, y = np.loadtxt(data / "ir_reference" / "water_300K_Raman_Castner.dat").T
    inside = (x > 20) & (x < 1200)
    x, y = x[inside], y[inside]
    return x, y * x * (1 - np.exp(-units.inverse_cm * x / (units.kB * 300.0)))


def figure(data: Path, spectra: Any, structure: tuple[np.ndarray, np.ndarray], volume: float) -> Path:
    """Infrared, Raman and pair distribution, experiment in gray."""
    drawn, panels = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
    infrared, raman = spectra.kinds["ir"], spectra.kinds["raman"]
    nalpha = in_bulk(infrared, volume)
    x, y = measured_infrared(data)
    panels[0].plot(x, y, color="0.6", lw=3, label="measured (Segelstein)")
    panels[0].plot(infrared.wavenumber, nalpha, color="C0", label="model, classical nuclei")
    panels[0].set(xlim=(0, 4500), ylabel=r"$n\,\alpha$ (1/cm)", title="infrared")
    x, y = measured_raman(data)
    low = (raman.wavenumber > 100) & (raman.wavenumber < 1200)
    scale = np.clip(raman.value[low], 0, None).max() / y[x > 100].max()
    panels[1].plot(x, y * scale, color="0.6", lw=3, label="measured (Castner), scaled")
    panels[1].plot(raman.wavenumber, raman.value, color="C3", label="model, classical nuclei")
    top = 1.3 * np.clip(raman.value[low], 0, None).max()  # the stretch is a hundred times as high
    panels[1].set(xlim=(0, 1200), ylim=(0, top), ylabel=f"{raman.label} ({raman.unit})", title="Raman")
    panels[2].plot(*structure, color="C2", label="model")
    panels[2].plot(
        [MEASURED["r_OO"]], [MEASURED["g_OO"]], "o", color="0.4", label="first peak measured (Soper)"
    )
    panels[2].set(xlabel="r (Å)", ylabel="g(OO)", title="oxygen pairs")
    for panel in panels[:2]:
        panel.set_xlabel("wavenumber (1/cm)")
    for panel in panels:
        panel.legend(frameon=False, fontsize=8)
    path = FIGURES / "water.svg"
    plt.rcParams["svg.hashsalt"] = "water"
    drawn.savefig(path, metadata={"Date": None})
    return path


def in_bulk(infrared: Any, volume: float) -> np.ndarray:
    """n α in 1/cm of a spectrum in km/mol per 1/cm, of a cell of `volume` Å³."""
    if "km/mol" not in infrared.unit:
        return infrared.value
    return 1e5 * infrared.value / (units.AVOGADRO * volume * 1e-24)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/water"))
    parser.add_argument("--steps", type=int, default=4000, help="of the training of energies and forces")
    parser.add_argument(
        "--tensors", type=int, default=6000, help="of the training of dipole and polarizability"
    )
    parser.add_argument("--time", type=float, default=20.0, help="ps of NVE")
    parser.add_argument("--equilibrate", type=float, default=5.0, help="ps of NVT before it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=("forces", "tensors", "md"), help="stop after this stage")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    made = stamp()
    stages: dict[str, Any] = {}
    if given.only != "tensors":
        forces, stages["forces"] = trained(given, "forces", given.steps)
        if given.only == "forces":
            return 0
    tensors, stages["tensors"] = trained(given, "tensors", given.tensors)
    if given.only == "tensors":
        return 0
    start = beginning(given.data)
    settings = {"temperature": 300.0, "dt": 0.5, "stride": 4, "thermostat": "langevin"}
    settings |= {"time": given.time, "equilibration": given.equilibrate, "friction": 0.005}
    run = api.md(forces, start, settings, given.out / "md", observe=watch(), say=print)
    if given.only == "md":
        return 0
    report(given, run, tensors, {**stages, **made})
    return 0


def watch() -> Any:
    """A line every thousand steps."""

    def observe(step: int, total: int, text: str) -> None:
        if step % 1000 == 0:
            print(f"md {step}/{total}", flush=True)

    return observe


def report(given: argparse.Namespace, run: Path, tensors: api.Model, stages: dict[str, Any]) -> None:
    """Everything measured on the run, as JSON and figure."""
    header = json.loads((run / "md.json").read_text(encoding="utf-8"))
    atoms = ase.io.read(run / "trajectory-000.extxyz", index=0)
    assert isinstance(atoms, Atoms)
    trajectory = read_run(run)
    whole = moments(tensors, trajectory.segments[0], atoms)
    size = len(whole) // PARTS
    columns = ("positions", "velocities", "energy", "dipole", "polarizability")
    parts = [
        replace(whole, **{c: getattr(whole, c)[k * size : (k + 1) * size] for c in columns})
        for k in range(PARTS)
    ]
    complete: Trajectory = replace(trajectory, segments=tuple(parts))
    spectra = api.spectrum(complete, resolution=40.0)
    spectra.write(given.out / "spectra")
    structure = pair_distribution(whole, atoms)
    infrared, raman = spectra.kinds["ir"], spectra.kinds["raman"]
    x, y = measured_infrared(given.data)
    stretch = (x > 2800) & (x < 3900)
    bend = (x > 1550) & (x < 1750)
    D, error = diffusion(parts, atoms, complete.stride)
    result = {
        "what": "liquid water, 64 molecules at 300 K, classical nuclei, NVT then NVE, 0.5 fs",
        **stages,
        "density_g_cm3": density(atoms),
        "dynamics": {k: header[k] for k in ("phases", "steps", "dt", "conservation")},
        "diffusion_1e-9_m2_s": {"found": D, "standard_error": error, "measured": MEASURED["D"]},
        "first_peak_OO": {
            "r": float(structure[0][structure[1].argmax()]),
            "g": float(structure[1].max()),
            "measured": [MEASURED["r_OO"], MEASURED["g_OO"]],
        },
        "infrared": {
            "stretch": band(infrared, 2800, 3900),
            "bend": band(infrared, 1550, 1750),
            "libration": band(infrared, 300, 1000),
            "stretch_maximum_of_n_alpha": float(in_bulk(infrared, atoms.get_volume()).max()),
            "measured_stretch_maximum": float(x[stretch][y[stretch].argmax()]),
            "measured_stretch_n_alpha": float(y[stretch].max()),
            "measured_bend_maximum": float(x[bend][y[bend].argmax()]),
        },
        "raman": {"stretch": band(raman, 2800, 3900), "bend": band(raman, 1500, 1800)},
    }
    path = RESULTS / "water.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(path, figure(given.data, spectra, structure, atoms.get_volume()), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
