"""LAMMPS with `pair_style equipot`, in the place of `lmp`, for inputs of one's own.

    python -m equipot.engines.lammps -in in.lammps
    mpirun -n 4 python -m equipot.engines.lammps -in in.lammps

All options of `lmp` are understood; -in must name a file. Each process takes one thread, and the GPU of its turn.
"""

import sys
from collections.abc import Sequence

import torch

from equipot.engines.allocator import keep_memory
from equipot.engines.lammps.host import host
from equipot.engines.lammps.session import open_lammps


def main(arguments: Sequence[str]) -> int:
    """Run the input on all processes of MPI; an error of one ends all."""
    options, script = _script(arguments)
    if script is None:
        print(__doc__)
        return 2
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    torch.set_num_threads(1)
    keep_memory()
    try:
        lammps = open_lammps(options)
        number = torch.cuda.device_count()
        host().device = f"cuda:{world.rank % number}" if number else None
        lammps.file(script)
        lammps.close()
    except Exception as error:
        where = f"rank {world.rank}: " if world.size > 1 else ""  # what one rank alone met must not be lost
        print(f"{where}{getattr(error, 'message', error)}", file=sys.stderr, flush=True)
        if world.size > 1:
            world.Abort(1)
        return 1
    return 0


def _script(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Options of LAMMPS, and the file that -in or -i names."""
    options = list(arguments)
    for flag in ("-in", "-i"):
        if flag in options[:-1]:
            place = options.index(flag)
            script = options[place + 1]
            return options[:place] + options[place + 2 :], script
    return options, None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
