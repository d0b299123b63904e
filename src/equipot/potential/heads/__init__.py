"""Heads: from the features of atoms to physical properties. Every backbone feeds every head."""

from equipot.potential.heads.born import BornCharges
from equipot.potential.heads.charges import Charges
from equipot.potential.heads.dipole import Dipole
from equipot.potential.heads.irreps import IrrepsHead
from equipot.potential.heads.polarizability import Polarizability
from equipot.potential.heads.tensor import CartesianTensor

__all__ = ["BornCharges", "CartesianTensor", "Charges", "Dipole", "IrrepsHead", "Polarizability"]
