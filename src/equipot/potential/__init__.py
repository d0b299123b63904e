"""From features to physics: energies and their derivatives, heads, reference energies."""

from equipot.potential.freeze import frozen, table_errors
from equipot.potential.pair_energies import pair_energies
from equipot.potential.potential import Potential, PotentialConfig
from equipot.potential.targets import TargetsConfig
from equipot.potential.terms import TermsConfig

__all__ = [
    "Potential",
    "PotentialConfig",
    "TargetsConfig",
    "TermsConfig",
    "frozen",
    "pair_energies",
    "table_errors",
]
