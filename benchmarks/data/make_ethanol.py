"""Make the ethanol set of the demo: geometries, DFT labels, harmonic reference. See README.md here."""

import argparse
import json
import lzma
import os
import platform
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dft
import harmonic
import numpy as np
import sampling
from ase import Atoms
from ase.io import read, write
from ase.optimize import BFGS
from frames import drop_unfinished, labels_of, read_frames, write_frame, write_free_atom

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "src" / "equipot" / "data" / "demo"
FREE_ATOMS = {"H": 1, "C": 2, "O": 2}  # unpaired electrons
CONFORMERS = {"trans": 1, "gauche": 2}  # number of equivalent minima


def sample(options: argparse.Namespace) -> None:
    known = [atoms for path in options.known for atoms in molecules(path)]
    frames = sampling.sample(options.count, options.stride, options.seed, known, options.tolerance)
    write(options.output, frames, format="extxyz")
    print(f"{len(frames)} geometries in {options.output}, {len(known)} known ones avoided")


def label(options: argparse.Namespace) -> None:
    label_all(read(options.geometries, ":"), options.output, options.minutes)


def label_all(geometries: list[Atoms], output: Path, minutes: float = np.inf) -> None:
    """Append labels to `output`, going on behind its last complete frame."""
    done, end = drop_unfinished(output), time.monotonic() + 60 * minutes
    for index in range(done, len(geometries)):
        if time.monotonic() > end:
            break
        start = time.monotonic()
        found = dft.labels(dft.ground_state(geometries[index]))
        with output.open("a") as file:
            file.write(write_frame(geometries[index], found, index))
        seconds = time.monotonic() - start
        print(f"{index + 1}/{len(geometries)} {found.energy:.6f} eV {seconds:.1f} s", flush=True)


def molecules(path: Path) -> list[Atoms]:
    return [atoms for atoms in read_frames(path) if len(atoms) > 1]


def check(options: argparse.Namespace) -> None:
    """Recompute a few frames of a set and write the differences beside what made them."""
    published = molecules(options.frames)
    rows = []
    for index in options.index:
        old, start = labels_of(published[index]), time.monotonic()
        new = dft.labels(dft.ground_state(published[index]))
        rows.append({"frame": index, "seconds": round(time.monotonic() - start, 1), **differences(old, new)})
        print(rows[-1], flush=True)
    document = {**provenance(), "method": dft.METHOD, "largest_absolute_difference": rows}
    options.output.write_text(json.dumps(document, indent=2) + "\n")


def differences(old: dft.Labels, new: dft.Labels) -> dict[str, float]:
    """Largest absolute difference of each label."""
    pairs = {
        "energy_eV": (old.energy, new.energy),
        "forces_eV_per_A": (old.forces, new.forces),
        "dipole_eA": (old.dipole, new.dipole),
        "polarizability_A3": (old.polarizability, new.polarizability),
        "net_force_eV_per_A": (new.forces.sum(axis=0), 0),
    }
    return {name: float(f"{np.abs(np.subtract(a, b)).max():.2e}") for name, (a, b) in pairs.items()}


def harmonic_reference(options: argparse.Namespace) -> None:
    conformers = {name: reference(name, options) for name in CONFORMERS}
    document = {
        **provenance(),
        "molecule": "ethanol",
        "method": dft.METHOD,
        "hessian": f"central differences of the forces, step {options.step} Å",
        "conformers": conformers,
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n")


def reference(name: str, options: argparse.Namespace) -> dict:
    """Everything about one conformer; what is already in the working folder is not computed again."""
    folder = options.work
    folder.mkdir(parents=True, exist_ok=True)
    atoms = relaxed(name, folder / f"{name}.extxyz", options.fmax)
    points = folder / f"{name}_displaced.extxyz"
    label_all(harmonic.displaced(atoms, options.step), points)
    at = harmonic.derivatives([labels_of(frame) for frame in read_frames(points)], options.step)
    modes = harmonic.normal_modes(atoms, at)
    state = dft.ground_state(atoms, tolerance=dft.TIGHT)
    found = dft.labels(state)
    internal = harmonic.without_rigid_motion(atoms.positions, found.forces)
    analytic = replace(at, hessian=dft.analytic_hessian(state))
    print(name, modes.frequencies.round(1), flush=True)
    return {
        "degeneracy": CONFORMERS[name],
        "symbols": atoms.get_chemical_symbols(),
        "masses_amu": atoms.get_masses().tolist(),
        "positions": rounded(atoms.positions, 8),
        "energy": round(found.energy, 8),
        "largest_force": float(f"{np.abs(internal).max():.1e}"),
        "dipole": rounded(found.dipole, 6),
        "polarizability": rounded(found.polarizability, 5),
        "frequencies_cm-1": rounded(modes.frequencies, 2),
        "ir_km_per_mol": rounded(modes.infrared, 3),
        "raman_A4_per_amu": rounded(modes.raman, 3),
        "depolarization": rounded(modes.depolarization, 4),
        "rigid_frequencies_cm-1": rounded(modes.rigid, 2),
        "analytic_hessian_frequencies_cm-1": rounded(harmonic.normal_modes(atoms, analytic).frequencies, 2),
        "hessian_asymmetry": float(f"{at.asymmetry:.1e}"),
        "hessian_eV_per_A2": rounded(at.hessian, 5),
        "dipole_derivatives_e": rounded(at.dipole, 6),
        "polarizability_derivatives_A2": rounded(at.polarizability, 5),
    }


def relaxed(name: str, path: Path, fmax: float) -> Atoms:
    """The minimum near the GFN2-xTB conformer, centre of mass at the origin; written when converged."""
    if path.exists():
        return read(path)
    atoms = sampling.conformer(sampling.DIHEDRALS["trans" if name == "trans" else "gauche+"])
    guess = harmonic.stiffened(atoms.positions, sampling.curvature(atoms))
    atoms.calc = harmonic.KohnSham()
    search = BFGS(atoms)
    search.H0 = guess  # with a unit matrix, the torsions take a hundred steps
    if not search.run(fmax=fmax, steps=100):
        raise RuntimeError(f"{name}: not relaxed to {fmax} eV/Å in 100 steps")
    minimum = Atoms(atoms.numbers, atoms.positions - atoms.get_center_of_mass())
    partial = path.with_suffix(".part")
    write(partial, minimum, format="extxyz", write_info=False, columns=["symbols", "positions"])
    partial.rename(path)
    return minimum


def rounded(values: np.ndarray, digits: int) -> list:
    return (np.round(values, digits) + 0.0).tolist()


def pack(options: argparse.Namespace) -> None:
    """Free atoms and all labelled frames in one compressed file, each frame checked."""
    frames = [atoms for path in options.frames for atoms in molecules(path)]
    verify(frames)
    text = "".join(write_free_atom(name, dft.isolated_atom(name, spin)) for name, spin in FREE_ATOMS.items())
    text += "".join(write_frame(atoms, labels_of(atoms), index) for index, atoms in enumerate(frames))
    with lzma.open(options.output, "wt", preset=9 | lzma.PRESET_EXTREME) as file:
        file.write(text)
    print(f"{len(frames)} frames, {options.output.stat().st_size} bytes, in {options.output}")


def verify(frames: list[Atoms]) -> None:
    """Every label there and finite, no net force, the centre of mass at the origin, no two frames alike."""
    prints = np.stack([sampling.fingerprint(atoms) for atoms in frames])
    for index, atoms in enumerate(frames):
        found = labels_of(atoms)
        values = [found.energy, found.forces, found.dipole, found.polarizability]
        if not all(np.isfinite(value).all() for value in values):
            raise ValueError(f"frame {index}: a label is not finite")
        if np.abs(found.forces.sum(axis=0)).max() > 1e-6:
            raise ValueError(f"frame {index}: net force {found.forces.sum(axis=0)} eV/Å")
        if np.abs(atoms.get_center_of_mass()).max() > 1e-6:
            raise ValueError(f"frame {index}: centre of mass at {atoms.get_center_of_mass()} Å")
        if np.abs(prints[:index] - prints[index]).max(axis=1, initial=0).min(initial=np.inf) < 1e-4:
            raise ValueError(f"frame {index} repeats an earlier one")


def provenance() -> dict:
    command = ["git", "-C", str(HERE), "rev-parse", "HEAD"]
    return {
        "command": " ".join(["make_ethanol.py", *sys.argv[1:]]),
        "machine": f"{processor()}, {os.cpu_count()} cores, {os.environ.get('OMP_NUM_THREADS', 'all')} used",
        "commit": subprocess.run(command, capture_output=True, text=True).stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.processor()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(function, name: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=(function.__doc__ or "").strip().split("\n")[0])
        sub.set_defaults(run=function)
        return sub

    one = command(sample, "sample")
    one.add_argument("output", type=Path)
    one.add_argument("--count", type=int, default=500)
    one.add_argument("--stride", type=int, default=24, help="steps of 0.5 fs between two frames")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--known", type=Path, nargs="*", default=[], help="frames to stay away from")
    one.add_argument("--tolerance", type=float, default=0.05, help="Å, largest difference of like frames")

    one = command(label, "label")
    one.add_argument("geometries", type=Path)
    one.add_argument("output", type=Path)
    one.add_argument("--minutes", type=float, default=np.inf, help="start no frame after this time")

    one = command(check, "check")
    one.add_argument("--frames", type=Path, default=DEMO / "ethanol.extxyz.xz")
    one.add_argument("--index", type=int, nargs="+", default=[0, 1, 5], help="frames to recompute")
    one.add_argument("--output", type=Path, default=HERE.parent / "results" / "ethanol_dft_check.json")

    one = command(harmonic_reference, "harmonic")
    one.add_argument("--work", type=Path, required=True, help="folder of the displaced geometries")
    one.add_argument("--step", type=float, default=0.01, help="displacement, Å")
    one.add_argument("--fmax", type=float, default=1e-4, help="eV/Å")
    one.add_argument("--output", type=Path, default=DEMO / "ethanol_harmonic.json")

    one = command(pack, "pack")
    one.add_argument("frames", type=Path, nargs="+")
    one.add_argument("--output", type=Path, default=DEMO / "ethanol.extxyz.xz")
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    options.run(options)
