"""Every architecture in `lmp` without Python, on two processes, against ASE; and what a step costs beside Python.

    python benchmarks/engines/python_free.py [--models painn,mace]

`equipot export --python-free` of small models with random weights (float64, settings of the accuracy benchmarks), a
triclinic crystal of 384 atoms. Differences are relative to the largest number. Times are the wall
time of LAMMPS's loop, a few steps on one process, which no other process should disturb. Minutes a model, most of them
the compiler's.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import ase.units
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "accuracy")]
import records
from machine import stamp
from settings import SMALL

from equipot import testing
from equipot.config import parse
from equipot.engines.ase import Calculator
from equipot.engines.lammps.export import export
from equipot.engines.lammps.ranks import mpirun
from equipot.potential import PotentialConfig

RESULT = HERE.parent / "results" / "engines_python_free.json"
ELEMENTS = (1, 6, 8)
STEPS = 2
# forces of random weights would throw the atoms out of the box
OUTPUT = """\
timestep 1e-9
dump f all custom 1 forces id fx fy fz
dump_modify f format float %.15g sort id
thermo_modify format float %.15g
run 0
undump f
run """


def lammps(folder: Path, program: list[str], ranks: int, steps: int) -> str:
    """What the input of the folder prints, with atoms at rest, and so many steps after the first evaluation."""
    text = (folder / "in.lammps").read_text()
    text = text.replace("fix             bath", "# ").replace("velocity        all create", "# ")
    (folder / "in.test").write_text(text.replace("run             1000", f"{OUTPUT}{steps}"))
    command = [mpirun(), "-n", str(ranks), *program, "-in", "in.test", "-log", "none"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return done.stdout


def milliseconds(printed: str) -> float:
    """Of a step, from the last of LAMMPS's summaries."""
    line = [line for line in printed.splitlines() if line.startswith("Loop time of")][-1].split()
    return 1e3 * float(line[3]) / int(line[8])


def measure(name: str) -> dict[str, Any]:
    """Differences from ASE on two processes; times on one."""
    config = parse(PotentialConfig, {"model": {"name": name, **SMALL[name]}}, "benchmark")
    potential = testing.random_potential(config, ELEMENTS).double()
    atoms = testing.crystal(ELEMENTS, (4, 4, 3)).atoms().repeat(2)
    with tempfile.TemporaryDirectory() as scratch:
        free, python = Path(scratch) / "free", Path(scratch) / "python"
        export(potential, free, atoms, python_free=True)
        export(potential, python, atoms)
        lmp = str(shutil.which("lmp", path=str(Path(sys.executable).parent)))
        printed = lammps(free, [lmp], 2, 0)
        row = next(
            after.split()
            for line, after in zip(printed.splitlines(), printed.splitlines()[1:], strict=False)
            if line.split()[:1] == ["Step"]
        )
        forces = np.loadtxt(free / "forces", skiprows=9)[:, 1:]
        times = {
            "free": milliseconds(lammps(free, [lmp], 1, STEPS)),
            "python": milliseconds(
                lammps(python, [sys.executable, "-m", "equipot.engines.lammps"], 1, STEPS)
            ),
        }
    atoms.calc = Calculator(potential)
    expected = np.linalg.norm(atoms.get_forces(), axis=1)  # lengths: LAMMPS has other axes
    pressure = -np.trace(atoms.get_stress(voigt=False)) / 3 / ase.units.bar
    wide = [line for line in printed.splitlines() if "messages reach" in line]
    return {
        "atoms": len(atoms),
        "relative_difference_of_energy": abs(float(row[2]) / atoms.get_potential_energy() - 1),
        "relative_difference_of_forces": float(
            np.abs(np.linalg.norm(forces, axis=1) - expected).max() / expected.max()
        ),
        "relative_difference_of_pressure": abs(float(row[5]) / float(pressure) - 1),
        "halo_on_two_processes": wide[0].removeprefix("equipot: ") if wide else "one cutoff",
        "milliseconds_of_a_step": times,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(SMALL))
    given = parser.parse_args()
    for name in given.models:
        made = stamp()
        entry = {**measure(name), **made}
        records.add(
            RESULT, {"what": "exported without Python, lmp on two processes, against ASE"}, name, entry
        )
        print(name, {k: v for k, v in entry.items() if k not in made}, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
