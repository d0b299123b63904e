"""Energies and forces of a trained model through its ASE calculator; runs in the environment of the model's package.

python predict.py mace|nequip|equipot MODEL FRAMES.xyz OUT.npz
"""

import os
import sys
from typing import Any

import ase.io
import numpy as np


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


def main() -> None:
    kind, model, frames, out = sys.argv[1:]
    chosen: Any = calculator(kind, model)
    energies, forces = [], []
    for atoms in ase.io.read(frames, ":"):
        atoms.calc = chosen
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    np.savez(out, energy=np.array(energies), forces=np.array(forces))


if __name__ == "__main__":
    main()
