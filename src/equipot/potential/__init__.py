"""From features to physics: energies and their derivatives, heads, reference energies."""

from equipot.potential.born import born_charges, sum_rule_violation
from equipot.potential.freeze import frozen, table_errors
from equipot.potential.pair_energies import pair_energies
from equipot.potential.potential import Potential, PotentialConfig
from equipot.potential.replay import Replayed
from equipot.potential.targets import TargetsConfig
from equipot.potential.terms import TermsConfig

__all__ = [
    "Potential",
    "PotentialConfig",
    "Replayed",
    "TargetsConfig",
    "TermsConfig",
    "born_charges",
    "frozen",
    "pair_energies",
    "sum_rule_violation",
    "table_errors",
]
