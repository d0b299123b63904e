"""One of the processes that `ranks` starts: `mpirun -n N python -m equipot.engines.lammps.worker FOLDER`."""

import socket
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from equipot.engines.allocator import keep_memory


def main(folder: Path) -> None:
    """Do what the first process is told until it is told to end; what one cannot do ends all."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    try:
        torch.set_num_threads(1)
        keep_memory()
        _serve(folder, world)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        world.Abort(1)


def _serve(folder: Path, world: Any) -> None:
    from equipot.deploy.model_file import load
    from equipot.engines.lammps.simulation import Refused, Simulation
    from equipot.engines.settings import Dynamics

    connection = _door(folder) if world.rank == 0 else None
    atoms, settings = world.bcast(connection.recv() if connection else None)
    potential, _ = load(folder / "model.equipot", device=_device(world.rank))
    simulation = Simulation(potential, atoms, Dynamics.model_validate(settings))
    while True:
        method, arguments = world.bcast(connection.recv() if connection else None)
        if method == "close":
            break
        try:
            answer = getattr(simulation, method)(*arguments)
        except Refused as refused:
            answer = refused
        if connection:
            connection.send(answer)
    simulation.close()


def _door(folder: Path) -> Connection:
    with socket.socket(socket.AF_UNIX) as knock:
        knock.connect(str(folder / "door"))
        return Connection(knock.detach())


def _device(rank: int) -> str:
    number = torch.cuda.device_count()
    return f"cuda:{rank % number}" if number else "cpu"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
