"""A crystal in LAMMPS, its cell divided between two processes: the same run as with ASE.

    python lammps_two_ranks.py [model.equipot start.xyz]

Needs equipot[lammps]. Without files a small model with random weights moves a made-up crystal, under a minute. Ends in
the largest difference between the positions of both runs, Å: round-off, and the eight decimals of the files.
"""

import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from equipot.config import parse
from equipot.engines.dynamics import Dynamics, run_dynamics
from equipot.potential import Potential, PotentialConfig
from equipot.testing import crystal, random_potential


def untrained() -> tuple[Potential, Atoms]:
    """A message-passing model of no meaning, and 18 atoms in a triclinic cell."""
    config = {"model": {"name": "nequip", "channels": 4, "num_layers": 2, "l_max": 1, "cutoff": 3.0}}
    frame = crystal((1, 6, 8), (3, 3, 2))
    return random_potential(parse(PotentialConfig, config, "example"), (1, 6, 8)), frame.atoms()


if len(sys.argv) > 2:
    import equipot

    potential, start = equipot.load(sys.argv[1]).potential.double(), ase.io.read(sys.argv[2])
else:
    potential, start = untrained()

last = {}
for engine, ranks in (("ase", 1), ("lammps", 2)):
    settings = Dynamics(
        engine=engine, ranks=ranks, temperature=50, dt=0.1, time=0.002, equilibration=0,
        max_force=1e3, max_temperature=1e5,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = run_dynamics(potential, start, settings, Path(folder) / "md")
        last[engine] = ase.io.read(run / "trajectory-000.extxyz", index=-1)
        print(f"{engine}, {ranks} rank{'s' * (ranks > 1)}: {last[engine].get_potential_energy():.6f} eV")

assert isinstance(last["ase"], Atoms)
difference = np.abs(last["ase"].positions - last["lammps"].positions).max()
print(f"largest difference of the positions, Å: {difference:.1e}")
