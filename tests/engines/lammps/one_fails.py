"""Two ranks of which one predicts NaN, or raises, after some steps. Run by test_pair_style."""

import sys

import torch
from mpi4py import MPI

from engines.lammps.cases import NVE, STRUCTURES, potential
from equipot.engines.lammps.couplings import PairStyle
from equipot.engines.lammps.interface import Interface
from equipot.engines.lammps.simulation import Refused, Simulation

mode, calls = sys.argv[1], 0
compute = Interface.compute_forces


def failing(self, data):
    global calls
    calls += 1
    if calls < 3 or MPI.COMM_WORLD.rank == 0:
        return compute(self, data)
    if mode == "exception":
        raise RuntimeError("only here")
    compute(self, data)
    data.eatoms[0] = torch.nan


Interface.compute_forces = failing
model, atoms = potential("painn"), STRUCTURES["triclinic"]()
simulation = Simulation(model, atoms, NVE, by=PairStyle(model))
try:
    simulation.begin(NVE.phases()[-1], atoms, {"begun": 0, "transferred": 0.0})
    simulation.advance(10)
except Refused as refused:
    print(MPI.COMM_WORLD.rank, refused.message, flush=True)
    sys.exit(1)
print("went on")
