"""Two ways for LAMMPS to ask a potential: the pair style, and `fix external` where it cannot be compiled."""

import logging
from typing import Any, Protocol, runtime_checkable

import torch

from equipot.engines.lammps.external import External
from equipot.engines.lammps.host import host
from equipot.engines.lammps.interface import Interface
from equipot.engines.lammps.session import bare_lammps, load_command, open_lammps
from equipot.kernels.cpu.build import NoCompiler
from equipot.potential import Potential

log = logging.getLogger("equipot")
QUIET = ("-log", "none", "-screen", "none")


@runtime_checkable
class Coupling(Protocol):
    """A LAMMPS, and what makes it compute a potential."""

    lammps: Any

    def clear(self) -> None:
        """An empty LAMMPS."""
        ...

    def attach(self, elements: tuple[str, ...]) -> None:
        """To a box with atom types of these elements."""
        ...

    def check(self) -> None:
        """Raise what went wrong during a command and could not be raised then."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class PairStyle:
    """`pair_style equipot`: features are exchanged, nothing is computed twice."""

    def __init__(self, potential: Potential, device: torch.device | str | None = None) -> None:
        self.lammps = open_lammps(QUIET)
        self.name = host().register(potential, device)

    def clear(self) -> None:
        """With the plugin in it."""
        self.lammps.commands_list(["clear", load_command()])

    def attach(self, elements: tuple[str, ...]) -> None:
        """The pair style itself."""
        self.lammps.commands_list(["pair_style equipot", f"pair_coeff * * {self.name} {' '.join(elements)}"])

    def check(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """LAMMPS, then the model."""
        self.lammps.close()
        host().forget(self.name)


class FixExternal:
    """`fix external`: needs no compiler, and computes copies of atoms as far as messages reach."""

    def __init__(self, potential: Potential, device: torch.device | str | None = None) -> None:
        self.lammps, self.potential, self.device = bare_lammps(QUIET), potential, device

    def clear(self) -> None:
        """As it is installed."""
        self.lammps.command("clear")

    def attach(self, elements: tuple[str, ...]) -> None:
        """A pair style of no energy, which finds the copies, and the fix."""
        self.external = External(self.lammps, Interface(self.potential, elements, self.device))

    def check(self) -> None:
        """What the callback met."""
        self.external.check()

    def close(self) -> None:
        """LAMMPS."""
        self.lammps.close()


def coupling(potential: Potential, device: torch.device | str | None = None) -> Coupling:
    """The pair style, or the fix where there is no compiler, which is said."""
    try:
        return PairStyle(potential, device)
    except NoCompiler as missing:
        log.warning("LAMMPS runs by fix external, which costs more: %s", missing)
        return FixExternal(potential, device)
