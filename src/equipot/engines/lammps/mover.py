"""LAMMPS as an engine of `equipot md`: one process, or many that divide the cell among them."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from math import sqrt
from typing import Any, Protocol, runtime_checkable

import numpy as np
from ase import Atoms

from equipot.data.collate import refuse_unknown
from equipot.data.frame import Frame
from equipot.engines.ase import Calculator
from equipot.engines.guard import Guard
from equipot.engines.lammps.interface import refuse_indivisible
from equipot.engines.lammps.ranks import Ranks
from equipot.engines.lammps.simulation import Extremes, Refused, Simulation, State
from equipot.engines.momenta import degrees_of_freedom
from equipot.engines.mover import Broken, Place, Sample
from equipot.engines.settings import Dynamics, Phase
from equipot.potential import Potential


@runtime_checkable
class Runner(Protocol):
    """The methods of `Simulation`, here or in other processes."""

    def begin(self, phase: Phase, atoms: Atoms, memory: Mapping[str, Any]) -> State:  # noqa: D102
        ...

    def advance(self, steps: int) -> Extremes:  # noqa: D102
        ...

    def place(self) -> tuple[np.ndarray, np.ndarray]:  # noqa: D102
        ...

    def state(self) -> State:  # noqa: D102
        ...

    def close(self) -> None:  # noqa: D102
        ...


class LammpsMover:
    """Properties beside energy and forces are computed here, from the positions of a sample, by one process.

    A restart goes on from the same positions and momenta with other random numbers, and with a barostat at rest.
    """

    pace = 20  # forces and temperature are looked at that often

    def __init__(self, potential: Potential, atoms: Atoms, settings: Dynamics, guard: Guard) -> None:
        self.name = f"lammps {version('lammps')}"
        self.potential, self.atoms, self.settings, self.guard = potential, atoms, settings, guard
        refuse_indivisible(potential)
        refuse_unknown(Frame.from_atoms(atoms), potential.elements)
        if settings.ensemble == "npt" and not atoms.pbc.all():
            raise ValueError(
                f"ensemble npt needs a cell that is periodic in three directions; found pbc = {atoms.pbc.tolist()}."
            )
        self.runner: Runner | None = None
        self.begun, self.steps = 0, 0

    def begin(
        self, phase: Phase, place: Place, wanted: Sequence[str], memory: Mapping[str, Any] | None
    ) -> None:
        """A box, the atoms in it, the ensemble, and the first energy."""
        self.phase, self.wanted, self.steps = phase, tuple(wanted), 0
        self.begun = 1 + (self.begun if memory is None else memory["begun"])
        atoms = self._at(place)
        if memory is not None and memory["cell"] is not None:
            atoms.set_cell(memory["cell"])
        self.freedom = degrees_of_freedom(phase, atoms, len(atoms))
        self.calculator = Calculator(self.potential) if self.wanted else None
        if self.runner is None:
            kind = Simulation if self.settings.ranks == 1 else Ranks
            self.runner = kind(self.potential, self.atoms, self.settings)
        given = 0.0 if memory is None else memory["transferred"]
        try:
            self.last = self.runner.begin(phase, atoms, {"begun": self.begun, "transferred": given})
        except Refused as refused:
            raise ValueError(f"LAMMPS: {refused.message}") from None
        self.known = True

    def advance(self, steps: int, record: bool) -> None:
        """The atoms are collected for a sample, or when the extremes look suspicious."""
        assert self.runner is not None
        try:
            extremes = self.runner.advance(steps)
        except Refused as refused:
            raise Broken(
                refused.message, None, refused.step - self.steps, _place(self.last), self._bad()
            ) from None
        self.steps, self.known = self.steps + steps, False
        strange = (
            sqrt(3) * extremes.force > self.guard.force or 2 * extremes.temperature > self.guard.temperature
        )
        if record or strange or not np.isfinite(extremes.temperature):
            good = _place(self.last)
            state = self._state()
            complaint = self.guard.complaint(state.momenta[None], state.forces[None], self.freedom)
            if complaint is not None:
                atom, what = complaint
                raise Broken(what, atom, steps, good, _place(state))

    def sample(self) -> Sample:
        """The atoms, and what is recorded beside their energy."""
        state = self._state()
        return Sample(
            place=_place(state),
            energy=np.array([state.energy]),
            recorded=self._recorded(state),
            cell=state.cell if self.phase.name == "npt" else None,
            transferred=state.transferred,
        )

    def place(self) -> Place:
        """Collected from all processes."""
        return _place(self._state())

    def memory(self) -> dict[str, Any]:
        """How often the random numbers were begun, what a thermostat gave, and a cell that changes."""
        state = self._state()
        cell = state.cell.tolist() if self.phase.name == "npt" else None
        return {"begun": self.begun, "transferred": state.transferred or 0.0, "cell": cell}

    def close(self) -> None:
        """End LAMMPS."""
        if self.runner is not None:
            self.runner.close()
            self.runner = None

    def _state(self) -> State:
        assert self.runner is not None
        if not self.known:
            self.last, self.known = self.runner.state(), True
        return self.last

    def _bad(self) -> Place:
        """Where the atoms are after LAMMPS has stopped."""
        assert self.runner is not None
        positions, momenta = self.runner.place()
        return Place(positions=positions[None], momenta=momenta[None])

    def _recorded(self, state: State) -> dict[str, np.ndarray]:
        if self.calculator is None:
            return {}
        atoms = self._at(_place(state))
        atoms.set_cell(state.cell if atoms.pbc.all() else atoms.cell)
        self.calculator.calculate(atoms, self.wanted)
        return {name: np.asarray(self.calculator.results[name])[None] for name in self.wanted}

    def _at(self, place: Place) -> Atoms:
        out = self.atoms.copy()
        out.positions[:] = place.positions[0]
        out.set_momenta(place.momenta[0])
        return out


def _place(state: State) -> Place:
    return Place(positions=state.positions[None], momenta=state.momenta[None])
