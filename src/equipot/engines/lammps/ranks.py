"""The processes of MPI that divide a cell among them, started and asked from one that is not of them."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from ase import Atoms

from equipot.deploy.model_file import save
from equipot.engines.lammps.simulation import Extremes, Refused, State
from equipot.engines.settings import Dynamics, Phase
from equipot.potential import Potential

START = 300.0  # s, at most, until the processes are there


class Ranks:
    """The methods of `Simulation`, carried out by `settings.ranks` processes of this machine."""

    def __init__(self, potential: Potential, atoms: Atoms, settings: Dynamics) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="equipot-lammps-")
        folder = Path(self.folder.name)
        save(folder / "model.equipot", potential)
        self.log = folder / "output"
        with socket.socket(socket.AF_UNIX) as door, self.log.open("wb") as log:
            door.bind(str(folder / "door"))
            door.listen(1)
            command = [
                mpirun(),
                "-n",
                str(settings.ranks),
                sys.executable,
                "-m",
                "equipot.engines.lammps.worker",
            ]
            self.process = subprocess.Popen(
                [*command, str(folder)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
            )
            self.connection = self._meet(door)
        self.connection.send((atoms, settings.model_dump()))

    def begin(self, phase: Phase, atoms: Atoms, memory: Mapping[str, Any]) -> State:
        """See `Simulation`."""
        return self._ask("begin", phase, atoms, dict(memory))

    def advance(self, steps: int) -> Extremes:
        """See `Simulation`."""
        return self._ask("advance", steps)

    def place(self) -> tuple[np.ndarray, np.ndarray]:
        """See `Simulation`."""
        return self._ask("place")

    def state(self) -> State:
        """See `Simulation`."""
        return self._ask("state")

    def close(self) -> None:
        """End the processes."""
        try:
            self.connection.send(("close", ()))
            self.process.wait(timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            self.process.terminate()
            self.process.wait()
        self.connection.close()
        self.folder.cleanup()

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            self.connection.send((method, arguments))
            answer = self.connection.recv()
        except (EOFError, OSError):
            self._died()
        if isinstance(answer, Refused):
            raise answer
        return answer

    def _meet(self, door: socket.socket) -> Connection:
        """Wait for the first process to knock, as long as it lives."""
        door.settimeout(0.5)
        end = time.monotonic() + START
        while time.monotonic() < end and self.process.poll() is None:
            try:
                return Connection(door.accept()[0].detach())
            except TimeoutError:
                continue
        self._died()

    def _died(self) -> NoReturn:
        self.process.terminate()
        self.process.wait()
        said = self.log.read_text(encoding="utf-8", errors="replace").strip()
        self.folder.cleanup()
        raise ValueError(f"LAMMPS: the processes have ended. Their last words:\n{said[-2000:]}")


def mpirun() -> str:
    """The one that belongs to the MPI of LAMMPS, which is beside this Python."""
    found = shutil.which("mpirun", path=str(Path(sys.executable).parent)) or shutil.which("mpirun")
    if found is None:
        raise ValueError("engine lammps, ranks above 1: no mpirun is here. Install equipot[lammps].")
    return found


def _environment() -> dict[str, str]:
    """One thread a process; nothing of an MPI job around this one; this equipot."""
    foreign = ("PMI_", "PMIX_", "HYDRA_", "HYDI_", "MPI_LOCAL")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return {**kept, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
