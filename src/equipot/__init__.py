"""equipot: equivariant potentials, from a file of quantum chemistry to a spectrum."""

__version__ = "0.1.0"
