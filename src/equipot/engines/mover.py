"""What an engine does in a run: move the atoms from one sample to the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from equipot.engines.settings import Phase


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where all atoms are, and how fast."""

    positions: Float[np.ndarray, "replicas atoms 3"]  # Å, never wrapped into the cell
    momenta: Float[np.ndarray, "replicas atoms 3"]  # amu Å / (Å √(amu/eV)), those of ASE


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Where the atoms of all replicas are, and what was computed there."""

    place: Place
    energy: Float[np.ndarray, " replicas"]  # potential, eV
    recorded: Mapping[str, np.ndarray] = field(default_factory=dict)  # what was asked for, replicas first
    cell: Float[np.ndarray, "*replicas 3 3"] | None = None  # Å, rows; where the ensemble changes it
    transferred: float | None = (
        0.0  # eV that a thermostat gave: total − transferred is conserved. None: nothing is
    )


class Broken(Exception):
    """The engine found something impossible. The run keeps the frames, says so, and stops."""

    def __init__(self, what: str, atom: int | None, step: int, good: Place, bad: Place) -> None:
        super().__init__(what)
        self.what, self.atom, self.step = (
            what,
            atom,
            step,
        )  # atom: of all replicas; step: of this `advance`, from 1
        self.good, self.bad = good, bad


@runtime_checkable
class Mover(Protocol):
    """An engine with the atoms of a run in it."""

    name: str  # engine and version, for md.json
    pace: int  # most steps of one `advance`: progress and restart files come between two of them

    def begin(
        self,
        phase: Phase,
        place: Place,
        wanted: Sequence[str],
        memory: Mapping[str, Any] | None,
    ) -> None:
        """Set the atoms and the ensemble, and compute. `wanted`: what samples of this phase hold beside the energy.

        `memory` is what `memory()` gave at the step that the run goes on from; None at the beginning of a phase.
        """
        ...

    def advance(self, steps: int, record: bool) -> None:
        """So many steps further; with `record` a sample is taken after the last one. Raises Broken."""
        ...

    def sample(self) -> Sample:
        """What there is after `begin`, or after an `advance` that recorded."""
        ...

    def place(self) -> Place:
        """Where the atoms are now."""
        ...

    def memory(self) -> dict[str, Any]:
        """What a restart needs beside positions and momenta, as JSON: random numbers, a cell."""
        ...

    def close(self) -> None:
        """Let go of processes and files."""
        ...
