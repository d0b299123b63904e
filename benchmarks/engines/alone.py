"""Engines without equipot: their own velocity Verlet and Langevin integrators on forces that are zero."""

from collections.abc import Callable
from typing import Any

import ase.units
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from null import TEMPERATURE, fastest

Times = dict[str, dict[str, float]]
DT = 0.1  # fs


class Nothing(Calculator):
    """Zeros."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3))}


def ase_alone(atoms: Atoms, steps: int) -> Times:
    from ase.md.langevin import Langevin
    from ase.md.verlet import VelocityVerlet

    moving, dt = atoms.copy(), DT * ase.units.fs
    moving.calc = Nothing()
    langevin = Langevin(moving, dt, temperature_K=TEMPERATURE, friction=0.01 / ase.units.fs, fixcm=False)
    return {"nve": fastest(VelocityVerlet(moving, dt).run, steps), "langevin": fastest(langevin.run, steps)}


def openmm_alone(atoms: Atoms, steps: int) -> Times:
    import openmm

    from equipot.engines.openmm.integrators import langevin, velocity_verlet

    def context(integrator: Any) -> Any:
        system = openmm.System()
        for mass in atoms.get_masses():
            system.addParticle(float(mass))
        zeros = np.zeros((len(atoms), 3))
        system.addForce(openmm.PythonForce(lambda state: (0.0, zeros)))
        out = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
        out.setPositions(atoms.positions / 10)
        return out

    integrators = {"nve": velocity_verlet(DT / 1000), "langevin": langevin(DT / 1000, 10.0, 2.5, 1)}
    held = {name: context(integrator) for name, integrator in integrators.items()}
    return {name: fastest(integrators[name].step, steps) for name in held}


def torchsim_alone(atoms: Atoms, steps: int) -> Times:
    import torch
    import torch_sim as ts
    from torch_sim.models.interface import ModelInterface

    class NothingModel(ModelInterface):
        _device, _dtype = torch.device("cpu"), torch.float64
        _compute_forces, _compute_stress = True, False

        def forward(self, state: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
            zeros = torch.zeros_like
            return {"energy": zeros(state.cell[:, 0, 0]), "forces": zeros(state.positions)}

    model, dt, kT = NothingModel(), DT * ase.units.fs, TEMPERATURE * ase.units.kB
    out: Times = {}
    for replicas in (1, 64) if len(atoms) == 21 else (1,):
        state = ts.io.atoms_to_state([atoms] * replicas, torch.device("cpu"), torch.float64)
        for name, step in (("nve", ts.nve_step), ("langevin", ts.nvt_langevin_step)):
            moving = ts.nve_init(state, model, kT=kT)

            def run(count: int, moving: Any = moving, step: Callable[..., Any] = step) -> None:
                for _ in range(count):
                    moving = step(moving, model, dt=dt, kT=kT, gamma=0.01 / ase.units.fs)

            label = name if replicas == 1 else f"{name}, {replicas} replicas"
            out[label] = fastest(run, steps)
    return out


ALONE: dict[str, Callable[[Atoms, int], Times]] = {
    "ase": ase_alone,
    "openmm": openmm_alone,
    "torchsim": torchsim_alone,
}
