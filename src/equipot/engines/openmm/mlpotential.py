"""The name `equipot` among the potentials of OpenMM-ML, for systems that are all model and for mixed ML/MM systems.

    MLPotential("equipot", modelPath="model.equipot").createMixedSystem(topology, mm_system, ml_atoms)

OpenMM-ML finds it by the entry point `openmmml.potentials`. Between model and force field it offers mechanical
embedding: the force field computes what passes between the two parts, the model what is inside of its own.
"""

from collections.abc import Iterable
from typing import Any

import openmm
from openmm import app
from openmmml.mlpotential import MLPotentialImpl, MLPotentialImplFactory

from equipot.deploy.model_file import load
from equipot.engines.openmm.force import force


class EquipotFactory(MLPotentialImplFactory):
    """What OpenMM-ML makes potentials from."""

    def createImpl(self, name: str, **args: Any) -> MLPotentialImpl:
        """`MLPotential(name, modelPath=...)`."""
        if set(args) != {"modelPath"}:
            raise ValueError(f"MLPotential({name!r}, modelPath='model.equipot'): found {sorted(args)}.")
        return EquipotImpl(args["modelPath"])


class EquipotImpl(MLPotentialImpl):
    """A model file."""

    def __init__(self, path: str) -> None:
        self.potential, _ = load(path)

    def addForces(
        self,
        topology: app.Topology,
        system: openmm.System,
        atoms: Iterable[int] | None,
        forceGroup: int,
        charge: float | None = None,
        multiplicity: float | None = None,
        device: str | None = None,
        **args: Any,
    ) -> None:
        """Options of `createSystem` and `createMixedSystem`: charge (e), multiplicity of the ML part, device."""
        added = force(
            self.potential,
            topology,
            particles=None if atoms is None else list(atoms),
            periodic=topology.getPeriodicBoxVectors() is not None or system.usesPeriodicBoundaryConditions(),
            charge=charge,
            spin=multiplicity,
            device=device,
        )
        added.setForceGroup(forceGroup)
        system.addForce(added)

    def getMLLongRange(self) -> bool:
        """No: nothing reaches beyond the layers of a model times its cutoff."""
        return False
