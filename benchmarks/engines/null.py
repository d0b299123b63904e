"""A model that costs nothing, so that what remains is the engine, and how an engine is asked for its time."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ase import Atoms

from equipot.data.frame import Frame
from equipot.engines.dynamics import mover
from equipot.engines.guard import Guard
from equipot.engines.momenta import maxwell_boltzmann
from equipot.engines.mover import Mover, Place
from equipot.engines.settings import Dynamics
from equipot.models import SchNetConfig
from equipot.potential import Potential, PotentialConfig, TargetsConfig
from equipot.properties import Properties, from_items
from equipot.statistics import Statistics
from equipot.testing.systems import liquid

CUTOFF = 5.0  # Å
TEMPERATURE = 300.0  # K


class NullPotential(Potential):
    """Zero energy, zero forces: what calls it pays for its own work only, the neighbor list included."""

    def forward(self, batch: Any, **options: Any) -> Properties:  # type: ignore[override]
        zero = batch.positions.new_zeros
        energies = zero(batch.num_atoms)
        if batch.edge_vectors is not None:  # LAMMPS differentiates with respect to them
            energies = energies + 0.0 * batch.edge_vectors.sum()
        found = {"energy": zero(batch.num_systems), "atomic_energies": energies}
        if options.get("forces"):
            found["forces"] = zero((batch.num_atoms, 3))
        if options.get("stress"):
            found["stress"] = zero((batch.num_systems, 3, 3))
        return from_items(found)


def null_potential() -> NullPotential:
    config = PotentialConfig(
        model=SchNetConfig(channels=4, num_layers=1, num_radial=4, cutoff=CUTOFF), targets=TargetsConfig()
    )
    return NullPotential(
        config, Statistics(elements=(1, 6, 8), mean_neighbors=10.0, reference_energies=(0.0,) * 3)
    )


def structure(atoms: int) -> Atoms:
    """21 atoms as a molecule, 192 as a periodic liquid of 10 Å³ an atom."""
    number = round(atoms ** (1 / 3) + 0.49)
    frame: Frame = liquid((1, 6, 8), number, 10.0)
    out = frame.atoms()[:atoms]
    out.pbc = atoms > 21
    return out


def prepared(potential: Potential, engine: str, atoms: Atoms, replicas: int, **settings: Any) -> Mover:
    """An engine at the beginning of a production."""
    chosen = Dynamics.model_validate(
        {
            "engine": engine,
            "equilibration": 0,
            "temperature": TEMPERATURE,
            "dt": 0.1,
            "replicas": replicas,
            **settings,
        }
    )
    masses = atoms.get_masses()
    everything = Atoms(cell=atoms.cell, pbc=atoms.pbc)
    for _ in range(replicas):
        everything += atoms
    guard = Guard(temperature=1e6, force=1e6, masses=masses)
    made = mover(potential, everything, chosen, guard)
    momenta = maxwell_boltzmann(masses, TEMPERATURE, replicas, np.random.default_rng(0))
    place = Place(positions=everything.positions.reshape(replicas, -1, 3).copy(), momenta=momenta)
    made.begin(chosen.phases()[-1], place, (), None)
    return made


def fastest(run: Callable[[int], None], steps: int, blocks: int = 7) -> dict[str, float]:
    """CPU and wall milliseconds of a step, the fastest of some blocks: other processes disturb the others."""
    torch.set_num_threads(1)
    run(steps)  # warm
    cpu, wall = [], []
    for _ in range(blocks):
        before = time.process_time(), time.perf_counter()
        run(steps)
        cpu.append((time.process_time() - before[0]) / steps)
        wall.append((time.perf_counter() - before[1]) / steps)
    return {"cpu_ms": 1e3 * min(cpu), "wall_ms": 1e3 * min(wall)}
