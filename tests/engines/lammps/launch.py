"""Programs on several ranks, from tests."""

import os
import subprocess
import sys
from pathlib import Path

import equipot
from equipot.engines.lammps.ranks import mpirun

TESTS = Path(__file__).parents[2]


def on_ranks(number: int, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """`mpirun -n number python arguments`; a run that hangs is an error."""
    paths = os.pathsep.join([str(Path(equipot.__file__).parents[1]), str(TESTS)])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [mpirun(), "-n", str(number), sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=env, cwd=cwd)
