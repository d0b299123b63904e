"""The coefficients of one coupling (l1, l2, l3), from which every back end generates its straight-line code."""

from dataclasses import dataclass
from functools import cached_property

from equipot.tensor import tables


@dataclass(frozen=True)
class Coupling:
    """Its non-zero coefficients, as forms in the harmonic: m[k,a] = Σ_b C[k,a,b] Y[b]."""

    degrees: tuple[int, int, int]

    @property
    def name(self) -> str:
        """What its routines begin with."""
        return "c{}{}{}".format(*self.degrees)

    @property
    def dims(self) -> tuple[int, int, int]:
        """Components of the three irreps."""
        l1, l2, l3 = self.degrees
        return 2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1

    @property
    def constant(self) -> bool:
        """Through Y_0 = 1, which is not read."""
        return self.degrees[1] == 0

    @cached_property
    def entries(self) -> dict[tuple[int, int], dict[int, float]]:
        """(k, a) -> b -> C[k, a, b]."""
        table = tables.coupling(*self.degrees)
        found: dict[tuple[int, int], dict[int, float]] = {}
        for k, a, b in zip(*table.nonzero(), strict=True):
            found.setdefault((int(k), int(a)), {})[int(b)] = float(table[k, a, b])
        return found

    @property
    def size(self) -> int:
        """Numbers m[k, a] of an edge."""
        return 0 if self.constant else len(self.entries)

    def element(self, k: int, a: int, name: str = "m") -> str:
        """The factor m[k, a] in front of something; nothing where it is one."""
        return "" if self.constant else f"{name}[{list(self.entries).index((k, a))}] * "
