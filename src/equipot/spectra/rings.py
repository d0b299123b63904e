"""Spectra of ring polymers: which dynamics carries one, and what its correlation functions are.

Averages of an operator over the beads are correlated, A_P(t) = Σ_k A(q_k(t))/P. That approximates the Kubo-transformed
correlation function, which the formulas of classical spectra take as it is, with the physical temperature: nothing
more is multiplied (Craig, Manolopoulos, J. Chem. Phys. 121, 3368 (2004)).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from equipot.engines.ipi.advice import STRETCH, spread

_NAMES = {"rpmd": "RPMD", "trpmd": "T-RPMD"}


@dataclass(frozen=True, kw_only=True)
class Rings:
    """How a ring polymer was moved."""

    beads: int
    method: str
    damping: float | None = None  # λ: friction 2 λ ω_k on the mode of frequency ω_k of the free ring polymer

    def __str__(self) -> str:
        name = f"{_NAMES[self.method]}, P = {self.beads} beads"
        if self.damping is None:
            return name
        return f"{name}, friction 2 lambda omega_k on the internal modes, lambda = {self.damping:g}"

    @property
    def short(self) -> str:
        """For a legend."""
        return f"{_NAMES[self.method]}, {self.beads} beads"


def rings(document: Mapping[str, Any], where: str) -> Rings | None:
    """What an md.json says of beads, None for classical nuclei; refused where only averages mean something."""
    found = document.get("ring")
    if found is None:
        return None
    if found["method"] not in _NAMES:
        raise ValueError(
            f"{where}: the production is {found['method'].upper()}, which samples quantum averages; its motion in time"
            " means nothing and has no spectrum. Run with method=trpmd."
        )
    return Rings(beads=found["beads"], method=found["method"], damping=found.get("lambda"))


def correction(quantum: str, found: Rings | None) -> str:
    """The name of the quantum correction: for ring polymers the exact relation, and no other."""
    if found is None:
        return quantum
    if quantum not in ("harmonic", "kubo"):
        raise ValueError(
            f"quantum={quantum!r}: correlation functions of ring polymers are Kubo-transformed already, and the exact"
            " relation is applied. Leave the option out."
        )
    return "kubo"


def notes(found: Rings | None, temperature: float, hydrogen: bool) -> list[str]:
    """What the reader of such a spectrum should know."""
    if found is None:
        return []
    highest = STRETCH[hydrogen]
    out = [
        f"ring polymers of {found.beads} beads: a mode at {highest:g} cm⁻¹ has"
        f" {spread(highest, temperature, found.beads):.3f} of its quantum <q²>",
        "the power spectrum is that of the centroids, whose momenta are distributed as classical ones: its integral is"
        " the number of degrees of freedom, not the quantum kinetic energy",
    ]
    if found.method == "rpmd":
        out.append(
            "RPMD: internal modes of the ring polymer lie among the vibrations and split lines above 1000 cm⁻¹;"
            " compare with method=trpmd"
        )
    return out
