"""A cell of the size and density of the published Li3PO4, and a model of the published size.

Neither is trained or real: atoms are shaken on a lattice and weights are random, since only time is measured.
"""

from math import prod

import numpy as np
import torch
from ase import Atoms

from equipot.config import parse
from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics

CELL = (4, 6, 8)  # lattice sites: 192 atoms
VOLUME = 9.8  # Å³ of an atom: Li3PO4 of 2.45 g/cm³
CUTOFF = 4.0  # Å
PARAMETERS = 9058


def atoms(repeats: tuple[int, int, int] = (1, 1, 1)) -> Atoms:
    """192 atoms of Li3PO4's composition in each of the repeated cells."""
    rng, spacing = np.random.default_rng(0), VOLUME ** (1 / 3)
    sites = np.argwhere(np.ones(CELL)) + rng.uniform(-0.12, 0.12, size=(prod(CELL), 3))
    symbols = rng.permutation(["Li"] * 72 + ["P"] * 24 + ["O"] * 96)
    return Atoms(symbols, spacing * sites, cell=spacing * np.array(CELL), pbc=True).repeat(repeats)


def allegro(dtype: torch.dtype = torch.float32) -> Potential:
    """Musaelian et al., Nat. Commun. 14, 579 (2023): one layer, one channel, l ≤ 1, 9,058 parameters."""
    model = {
        "name": "allegro", "channels": 1, "l_max": 1, "num_layers": 1, "two_body": [32, 64], "latent": [64],
        "readout_hidden": [32], "mix_last": True, "cutoff": CUTOFF,
    }  # fmt: skip
    neighbors = 4 / 3 * np.pi * CUTOFF**3 / VOLUME
    # soft, so that random weights move nothing far in a benchmark
    known = Statistics(
        elements=(3, 8, 15), mean_neighbors=neighbors, reference_energies=(0.0,) * 3, energy_scale=0.01
    )
    torch.manual_seed(0)
    potential = Potential(parse(PotentialConfig, {"model": model}, "benchmark"), known).to(dtype)
    found = sum(p.numel() for p in potential.parameters())
    assert found == PARAMETERS, found
    return potential
