"""Tiny potentials with random weights, and the molecules they are asked about."""

import torch
from ase import Atoms
from ase.build import molecule

from equipot.models import PaiNNConfig, SchNetConfig
from equipot.potential import Potential, PotentialConfig, TargetsConfig
from equipot.statistics import Statistics

TARGETS = {"dipole": {}, "polarizability": {}, "charges": {}, "total_charge": 0.0}


def potential(name="painn", cutoff=3.0, targets=TARGETS, elements=(1, 6, 8), seed=1, scale=0.3) -> Potential:
    """float64, four channels, two rounds."""
    torch.manual_seed(seed)
    kind = {"painn": PaiNNConfig, "schnet": SchNetConfig}[name]
    config = PotentialConfig(
        model=kind(channels=4, num_layers=2, num_radial=8, cutoff=cutoff),
        targets=TargetsConfig.model_validate(targets),
    )
    statistics = Statistics(
        elements=elements,
        mean_neighbors=4.0,
        reference_energies=tuple(-13.0 * z for z in elements),
        energy_scale=scale,
    )
    return Potential(config, statistics).double().eval()


def ethanol() -> Atoms:
    return molecule("CH3CH2OH")


def copies(atoms: Atoms, number: int, amplitude: float = 0.05) -> Atoms:
    """Copies of a molecule, block after block, each displaced at random."""
    out = Atoms(cell=atoms.cell, pbc=atoms.pbc)
    for seed in range(number):
        one = atoms.copy()
        one.rattle(amplitude, seed=seed)
        out += one
    return out
