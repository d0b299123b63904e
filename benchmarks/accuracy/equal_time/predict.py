"""Energies and forces of a trained model through its ASE calculator; runs in the environment of the model's package.

python predict.py mace|nequip|equipot MODEL FRAMES.xyz OUT.npz         # of every frame
python predict.py mace|nequip|equipot MODEL FRAMES.xyz OUT.npz STEPS   # dynamics from the first frame
"""

import os
import sys
import time
from typing import Any

import ase.io
import numpy as np
from ase import Atoms, units
from ase.data import covalent_radii
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

TEMPERATURE, TIMESTEP = 1200.0, 0.5  # K, fs
BONDED, BROKEN, FUSED = 1.2, 1.6, 0.6  # distances in sums of covalent radii


def calculator(kind: str, model: str) -> Any:
    """As the package's manual opens a model on a CPU."""
    if kind == "mace":
        os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = (
            "1"  # its e3nn 0.4 reads a pickle of its own when imported
        )
        from mace.calculators import MACECalculator

        return MACECalculator(model_paths=model, device="cpu", default_dtype="float32")
    if kind == "nequip":
        from nequip.ase import NequIPCalculator

        return NequIPCalculator._from_saved_model(model, device="cpu", chemical_species_to_atom_type_map=True)
    from equipot import api

    return api.load(model).calculator()


def evaluate(frames: list[Atoms], chosen: Any) -> dict[str, Any]:
    """Energies in eV, forces in eV/Å."""
    energies, forces = [], []
    for atoms in frames:
        atoms.calc = chosen
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    return {"energy": np.array(energies), "forces": np.array(forces)}


def dynamics(atoms: Atoms, chosen: Any, steps: int) -> dict[str, Any]:
    """Velocity Verlet until a bond of the start is broken or two atoms fuse; total energies, processor time of a step.

    Velocities are drawn at 1200 K, for a frame that was itself sampled there.
    """
    atoms.calc = chosen
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(1))
    radii = covalent_radii[atoms.numbers]
    first, second = np.triu_indices(len(atoms), 1)
    sums = radii[first] + radii[second]
    bonded = atoms.get_all_distances()[first, second] < BONDED * sums
    run = VelocityVerlet(atoms, TIMESTEP * units.fs)
    run.run(10)  # what is compiled at first use
    energies, begin = [], time.process_time()
    for _ in range(steps):
        run.run(1)
        energies.append(atoms.get_total_energy())
        apart = atoms.get_all_distances()[first, second] / sums
        if not np.isfinite(energies[-1]) or (apart[bonded] > BROKEN).any() or (apart < FUSED).any():
            break
    spent = time.process_time() - begin
    return {"energy": np.array(energies), "timestep": TIMESTEP, "seconds_per_step": spent / len(energies)}


def main() -> None:
    kind, model, given, out, *words = sys.argv[1:]
    chosen, frames = calculator(kind, model), ase.io.read(given, ":")
    found = dynamics(frames[0], chosen, int(words[0])) if words else evaluate(frames, chosen)
    np.savez(out, **found)


if __name__ == "__main__":
    main()
