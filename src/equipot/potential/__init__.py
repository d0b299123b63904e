"""From features to physics: energies and their derivatives, heads, reference energies."""

from equipot.potential.potential import Potential, PotentialConfig
from equipot.potential.targets import TargetsConfig

__all__ = ["Potential", "PotentialConfig", "TargetsConfig"]
