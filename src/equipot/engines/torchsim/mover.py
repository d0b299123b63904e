"""Runs of equipot in TorchSim: all replicas in one state."""

import base64
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import torch_sim as ts  # pyright: ignore[reportMissingImports]  # Python 3.12
from ase import Atoms
from torch import Tensor
from torch_sim.integrators import (  # pyright: ignore[reportMissingImports]
    MDState,
    npt_langevin_isotropic_init,
    npt_langevin_isotropic_step,
    nve_step,
    nvt_langevin_step,
)
from torch_sim.units import MetalUnits  # pyright: ignore[reportMissingImports]

from equipot import units
from equipot.engines.guard import Guard
from equipot.engines.momenta import degrees_of_freedom
from equipot.engines.mover import Broken, Place, Sample
from equipot.engines.settings import Dynamics, Phase
from equipot.engines.torchsim.model import TorchSimModel
from equipot.potential import Potential

FS = MetalUnits.time / 1000  # in Å √(amu/eV): TorchSim has the constants of ASE
_CELL = ("cell_positions", "cell_velocities")  # what a barostat remembers


class TorchSimMover:
    """Velocity Verlet, Langevin (BAOAB) and the isotropic Langevin barostat of TorchSim.

    With the barostat TorchSim has one friction coefficient for all atoms of a system: `friction` times their mean mass.
    """

    name = f"torch-sim {version('torch-sim-atomistic')}"
    pace = 20

    def __init__(self, potential: Potential, atoms: Atoms, settings: Dynamics, guard: Guard) -> None:
        _refuse(atoms, settings)
        self.settings, self.atoms, self.guard = settings, atoms, guard
        self.shape = (settings.replicas, len(atoms) // settings.replicas, 3)
        self.model = TorchSimModel(potential)
        self.generator = torch.Generator(self.model.device)
        self.generator.manual_seed(settings.seed)

    def begin(
        self, phase: Phase, place: Place, wanted: Sequence[str], memory: Mapping[str, Any] | None
    ) -> None:
        """A state of all replicas."""
        for name in wanted:
            if name not in self.model.potential.targets:
                raise ValueError(f"this model has no {name!r}.")
        self.wanted, self.changing = tuple(wanted), phase.name == "npt"
        self.freedom = degrees_of_freedom(phase, self.atoms, self.shape[1])
        self.transferred = 0.0 if phase.thermostat is None else None
        if memory is not None:
            state = np.frombuffer(base64.b64decode(memory["random"]), dtype=np.uint8)
            self.generator.set_state(torch.from_numpy(state.copy()))
        self.model.also = self.wanted
        self.state = self._state(place, None if memory is None else memory["cell"])
        self.step = self._step(phase)

    def advance(self, steps: int, record: bool) -> None:
        """Every step is looked at before it is believed."""
        for number in range(1, steps + 1):
            self.model.also = self.wanted if record and number == steps else ()
            good = self.place()
            try:
                self.state = self.step(self.state)
            except ValueError as error:  # not a number, atoms on top of each other
                raise Broken(str(error), None, number, good, self.place()) from None
            place, forces = self.place(), self.state.forces.cpu().numpy().reshape(self.shape)
            complaint = self.guard.complaint(place.momenta, forces, self.freedom)
            if complaint is not None:
                raise Broken(complaint[1], complaint[0], number, good, place)

    def sample(self) -> Sample:
        """What the model found last."""
        assert self.model.found is not None
        found = dict(self.model.found.items())
        rows = {name: found[name].cpu().numpy() for name in ("energy", *self.wanted)}
        return Sample(
            place=self.place(),
            energy=rows.pop("energy"),
            recorded=rows,
            cell=self.sign * self.state.row_vector_cell.cpu().numpy() if self.changing else None,
            transferred=self.transferred,
        )

    def place(self) -> Place:
        """Copies of the tensors."""
        rows = (
            np.array(t.cpu().numpy()).reshape(self.shape) for t in (self.state.positions, self.state.momenta)
        )
        return Place(positions=next(rows), momenta=next(rows))

    def memory(self) -> dict[str, Any]:
        """The state of the random numbers, and the motion of the cells."""
        random = base64.b64encode(self.generator.get_state().numpy().tobytes()).decode()
        cell = {n: getattr(self.state, n).tolist() for n in _CELL} if self.changing else None
        return {"random": random, "cell": cell}

    def close(self) -> None:
        """Nothing is held."""

    def _state(self, place: Place, cell: Mapping[str, Any] | None) -> MDState:
        replicas, size, _ = self.shape
        lattice, tensor, device = self.atoms.cell.array, self._tensor, self.model.device
        self.sign = (
            -1.0 if self.changing and np.linalg.det(lattice) < 0 else 1.0
        )  # TorchSim's volumes have a sign
        reference = tensor(np.tile(self.sign * lattice.T, (replicas, 1, 1)))
        moved = {} if cell is None else {name: tensor(value) for name, value in cell.items()}
        scale = torch.exp(moved["cell_positions"])[:, None, None] if moved else 1.0
        info = {n: float(self.atoms.info[n]) for n in ("charge", "spin") if n in self.atoms.info}
        state = ts.SimState(
            positions=tensor(place.positions.reshape(-1, 3)),
            masses=tensor(self.atoms.get_masses()),
            cell=scale * reference,
            pbc=torch.as_tensor(self.atoms.pbc, device=device),
            atomic_numbers=torch.as_tensor(self.atoms.numbers, device=device),
            system_idx=torch.arange(replicas, device=device).repeat_interleave(size),
            _system_extras={name: tensor([value] * replicas) for name, value in info.items()},
        )
        out = self._barostatted(state, place) if self.changing else self._moving(state, place)
        for name, value in {**moved, "reference_cell": reference}.items() if self.changing else ():
            setattr(out, name, value)
        out.rng = self.generator
        return out

    def _moving(self, state: ts.SimState, place: Place) -> MDState:
        found = self.model(state)
        momenta = self._tensor(place.momenta.reshape(-1, 3))
        return MDState.from_state(state, momenta=momenta, energy=found["energy"], forces=found["forces"])

    def _barostatted(self, state: ts.SimState, place: Place) -> MDState:
        """A barostat whose cell answers within `taup`, damped at the same rate."""
        kT, tau = units.kB * self.settings.temperature, self.settings.taup * FS
        mass = (self.shape[1] + 1) * kT * tau**2  # of the strain, as TorchSim has it
        friction = self.settings.friction / FS * float(self.atoms.get_masses().mean())
        return npt_langevin_isotropic_init(
            self._moving(state, place),
            self.model,
            kT=kT,
            dt=self.settings.dt * FS,
            alpha=friction,
            cell_alpha=mass / tau,
            b_tau=tau,
        )

    def _step(self, phase: Phase) -> Callable[[Any], Any]:
        dt, kT = self.settings.dt * FS, units.kB * self.settings.temperature
        pressure = self.settings.pressure * units.factor("stress", "bar")
        if phase.thermostat is None:
            return lambda state: nve_step(state, self.model, dt=dt)
        if not self.changing:
            friction = self.settings.friction / FS
            return lambda state: nvt_langevin_step(state, self.model, dt=dt, kT=kT, gamma=friction)
        return lambda state: npt_langevin_isotropic_step(
            state, self.model, dt=dt, kT=kT, external_pressure=pressure
        )

    def _tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float64, device=self.model.device)


def _refuse(atoms: Atoms, settings: Dynamics) -> None:
    if "bussi" in {phase.thermostat for phase in settings.phases()}:
        raise ValueError("engine torchsim runs with the thermostat langevin; bussi is one of engine ase.")
    if settings.ensemble == "npt" and settings.replicas > 1 and settings.trajectory != "extxyz":
        raise ValueError(
            "at constant pressure every replica has a cell of its own, which a trajectory in HDF5 does not keep. Set"
            " trajectory=extxyz, or replicas=1."
        )
    if settings.ensemble == "npt" and not atoms.pbc.all():
        raise ValueError(
            f"ensemble npt needs a cell that is periodic in three directions; found pbc = {atoms.pbc.tolist()}."
        )
