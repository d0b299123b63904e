"""OpenMM: a potential as a force of its systems, runs at `equipot md --engine openmm`, and mixed ML/MM systems."""

from equipot.engines.openmm.force import force

__all__ = ["force"]
