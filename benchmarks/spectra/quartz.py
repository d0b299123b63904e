"""Infrared and Raman spectra of alpha-quartz at 300 K from one small model, beside perturbation theory (DFPT).

    python benchmarks/spectra/quartz.py DATA

DATA is a folder with dielectric_sio2 (160 frames, PBE; see `train_quartz.py`, which this script runs first) and
ir_reference (SiO2-IR-dfpt.dat: phonons at Γ of the 9-atom cell, PBE), both of Falletta et al., Nat. Commun. 2025. Three
steps: the model's phonons of the 9-atom cell; dynamics of 72 atoms, NVT and then NVE, in which the rate of the dipole
(by Born charges) and the polarizability are recorded; the spectra. Started again, it goes on.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.spacegroup import crystal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from machine import stamp
from spectra.train_quartz import parser, train

from equipot import api
from equipot.data.read import read
from equipot.spectra.comparison import with_measured
from equipot.spectra.dielectric import longitudinal, permittivity
from equipot.spectra.figure import figure
from equipot.spectra.files import write_harmonic
from equipot.spectra.harmonic import Harmonic, Sticks
from equipot.spectra.infrared import KM_MOL_DEBYE, per_volume
from equipot.spectra.measured import read_measured
from equipot.spectra.result import Spectra
from equipot.spectra.scores import broaden

ROOT = Path(__file__).resolve().parent.parent.parent
RESULT = ROOT / "benchmarks" / "results" / "quartz.json"
FIGURE = ROOT / "docs" / "figures" / "quartz_spectra.png"
ATOMS_72 = [[2, 0, 0], [1, 2, 0], [0, 0, 2]]  # the orthorhombic cell of the data, of hexagonal ones
#: cm⁻¹, measured A1 Raman lines: Scott, Porto, Phys. Rev. 161, 903 (1967)
RAMAN_A1 = (207.0, 356.0, 464.0, 1085.0)


def quartz(frames: Path) -> Atoms:
    """The 9-atom cell, P3₂21: the lattice of the data, coordinates of Levien et al., Am. Mineral. 65, 920 (1980)."""
    cell = read(frames, {"energy": "total_energy"}, {"polarizability": "e*Å^2/V"})[0].cell
    a, c = cell[0, 0] / 2, cell[2, 2] / 2
    sites = [(0.4697, 0, 2 / 3), (0.4135, 0.2669, 0.7858)]
    return crystal(["Si", "O"], sites, spacegroup=154, cellpar=[a, a, c, 90, 90, 120])


def trained(data: Path, folder: Path, steps: int) -> tuple[api.Model, dict[str, Any]]:
    """The model of a finished training, and its errors on the frames held out."""
    run = train(data, folder, steps)
    return api.load(run.folder / "model.equipot"), {"test": run.metrics["test"]}


def unfinished(folder: Path) -> tuple[api.Model, dict[str, Any]]:
    """The newest checkpoint, kept as OUT/unfinished.equipot, with the step and the errors of the last validation."""
    kept = folder / "unfinished.equipot"
    if not kept.exists():
        kept.write_bytes(sorted((folder / "train" / "checkpoints").glob("*.equipot"))[-1].read_bytes())
    last = json.loads((folder / "train" / "log.jsonl").read_text().splitlines()[-1])
    note = f"training not finished: validated at step {last['step']}, before the cool-down"
    return api.load(kept), {"unfinished": note, "valid": last["valid"]}


def phonons(model: api.Model, start: Atoms, dfpt: np.ndarray) -> tuple[Harmonic, dict[str, Any]]:
    """Modes of the 9-atom cell, and the same numbers for the record."""
    found = api.harmonic(model, start)
    assert found.infrared is not None and found.permittivity is not None
    theirs = np.sort(dfpt[:, 1])
    difference = found.wavenumbers - theirs
    static = permittivity(found, np.zeros(1), damping=0.0)[0].real
    activity = found.activity()
    assert activity is not None
    lo = {name: longitudinal(found, np.array(q)) for name, q in (("x", (1.0, 0, 0)), ("z", (0, 0, 1.0)))}
    return found, {
        "wavenumbers_cm-1": _list(found.wavenumbers, 1),
        "dfpt_cm-1": _list(theirs, 1),
        "mean_absolute_difference_cm-1": round(float(np.abs(difference).mean()), 2),
        "largest_difference_cm-1": round(float(np.abs(difference).max()), 2),
        "infrared_km_mol": _list(found.infrared, 1),
        "infrared_sum_km_mol": round(float(found.infrared.sum()), 1),
        "infrared_sum_dfpt_km_mol": round(float(KM_MOL_DEBYE * dfpt[:, 3].sum()), 1),
        "raman_A4_amu": _list(activity, 2),
        "longitudinal_x_cm-1": _list(lo["x"], 1),
        "longitudinal_z_cm-1": _list(lo["z"], 1),
        "permittivity_infinite": _list(np.diag(found.permittivity), 3),
        "permittivity_static": _list(np.diag(static), 3),
        "sum_rule_of_charges_before_e": found.charge_violation,
        "sum_rule_of_hessian_before_eV_A2": found.hessian_violation,
    }


def dynamics(model: api.Model, start: Atoms, folder: Path, picoseconds: float) -> Path:
    """NVT for 1 ps, then NVE; the fastest of the vibrations takes 29 fs."""
    settings = {
        "temperature": 300, "dt": 2.0, "equilibration": 1.0, "time": picoseconds, "stride": 1, "seed": 1,
    }  # fmt: skip
    began = time.time()

    def observe(step: int, total: int, text: str) -> None:
        if step % 500 == 0:
            print(f"dynamics {step}/{total} {time.time() - began:.0f} s", flush=True)

    return api.md(model, make_supercell(start, ATOMS_72), settings, folder, observe=observe, say=print)


def reference(dfpt: np.ndarray, volume: float, resolution: float, folder: Path) -> tuple[Path, Sticks]:
    """Lines of perturbation theory, and n·α of them with the width of the run as a file of named columns."""
    lines = Sticks(wavenumber=dfpt[:, 1], value=KM_MOL_DEBYE * dfpt[:, 3], source="DFPT, PBE")
    grid = np.arange(0.0, 1501.0)
    curve = per_volume(volume) * broaden(lines.wavenumber, lines.value, grid, resolution)
    path = folder / "dfpt_pbe.csv"
    text = "".join(f"{nu:.9g},{value:.9g}\n" for nu, value in zip(grid, curve, strict=True))
    path.write_text("wavenumber_cm-1,n·α [cm-1]\n" + text, encoding="utf-8")
    return path, lines


def summary(spectra: Spectra, dfpt: Sticks, volume: float) -> dict[str, Any]:
    """Peaks, areas and scores."""
    ir, raman, header = spectra["ir"], spectra["raman"], spectra.header
    assert ir.comparison is not None
    expected = per_volume(volume) * float(dfpt.value.sum())
    return {
        "picoseconds": header.entries * header.stride / 1000,
        "resolution_cm-1": round(header.resolution, 1),
        "kinetic_temperature_K": round(header.kinetic_temperature, 1),
        "degrees_of_freedom": [round(header.degrees_found or 0.0, 1), header.degrees_expected],
        "infrared_area_cm-2": round(float(np.trapezoid(ir.value, ir.wavenumber))),
        "infrared_area_dfpt_cm-2": round(expected),
        "infrared_peaks_cm-1": [[round(p.position, 1), round(p.position_error, 1)] for p in ir.peaks],
        "raman_peaks_cm-1": [[round(p.position, 1), round(p.position_error, 1)] for p in raman.peaks],
        "raman_A1_measured_cm-1": list(RAMAN_A1),
        "comparison": ir.comparison.document(),
        "notes": list(header.notes),
    }


def _list(values: np.ndarray, digits: int) -> list[float]:
    return [round(float(v), digits) for v in values]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--unfinished", action="store_true", help="take the newest checkpoint of a training that still runs"
    )
    arguments.add_argument("--time", type=float, default=10.0, help="ps of NVE")
    given = arguments.parse_args()
    made, cpu = stamp(), time.process_time()
    model, errors = unfinished(given.out) if given.unfinished else trained(given.data, given.out, given.steps)
    dfpt = np.loadtxt(given.data / "ir_reference" / "SiO2-IR-dfpt.dat")
    dfpt = dfpt[dfpt[:, 1] > 1]  # without the acoustic mode
    start = quartz(given.out / "SiO2.xyz")
    modes, record = phonons(model, start, dfpt)
    write_harmonic(modes, given.out / "harmonic.json")
    print(json.dumps(record, indent=1))
    folder = dynamics(model, start, given.out / f"md{'-unfinished' * given.unfinished}", given.time)
    volume = float(start.get_volume())
    spectra = api.spectrum(folder, ["ir", "raman", "power"], harmonic=modes)
    path, lines = reference(dfpt, volume, spectra.header.resolution, given.out)
    theirs = replace(
        modes, isotropic=None, wavenumbers=lines.wavenumber, infrared=lines.value, source=lines.source
    )
    spectra = api.spectrum(folder, ["ir", "raman", "power"], harmonic=modes, reference=theirs)
    spectra = with_measured(spectra, read_measured(path), "ir", (50.0, 1400.0))
    spectra.write(given.out / "spectra")
    drawn = figure(spectra, kinds=("ir", "raman"))
    for axes in drawn.axes:
        axes.set_xlim(0, 1400)
    drawn.savefig(FIGURE, dpi=110)
    result = {
        "what": "alpha-quartz: one small NequIP, its phonons and its spectra at 300 K beside DFPT (PBE)",
        "frames": {"train": 130, "valid": 10, "test": 20},
        **errors,
        "phonons": record,
        "spectra": summary(spectra, lines, volume),
        "cpu_seconds_of_this_process": round(time.process_time() - cpu),
        **made,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["spectra"], indent=1))


if __name__ == "__main__":
    main()
