"""Physics that is known and not learned: energies added to those of the model."""

from equipot.potential.terms.config import TermsConfig
from equipot.potential.terms.sum import Terms

__all__ = ["Terms", "TermsConfig"]
