"""Labels of tensors: how a quantity answers to rotations and to inversion.

An irreducible representation of O(3) is a degree l = 0, 1, 2, ... and a parity: `0e` a scalar,
`0o` a pseudoscalar, `1o` a vector, `1e` an axial vector, `2e` the traceless part of a symmetric
matrix. The harmonics of a direction have the natural parity (−1)^l.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import total_ordering

_IRREP = re.compile(r"(\d+)([eo])")
_BLOCK = re.compile(r"(?:(\d+)\s*x\s*)?(\d+[eo])")


@total_ordering
@dataclass(frozen=True)
class Irrep:
    """One irreducible representation of O(3): degree and parity (+1 even, −1 odd).

    Ordered by degree, the natural parity first: 0e, 0o, 1o, 1e, 2e, 2o, ...
    """

    l: int
    parity: int

    def __post_init__(self) -> None:
        if self.l < 0 or self.parity not in (1, -1):
            raise ValueError(
                f"Irrep: found l={self.l}, parity={self.parity}; expected l >= 0 and parity +1 or -1"
            )

    @classmethod
    def parse(cls, text: "str | Irrep") -> "Irrep":
        """Read `1o`; an `Irrep` is handed through."""
        if isinstance(text, Irrep):
            return text
        match = _IRREP.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                f"irrep: found {text!r}; expected a degree and a parity, such as '0e', '1o' or '2e'"
            )
        return cls(int(match[1]), 1 if match[2] == "e" else -1)

    @classmethod
    def natural(cls, l: int) -> "Irrep":
        """The irrep of the degree-l harmonics, parity (−1)^l."""
        return cls(l, (-1) ** l)

    @property
    def dim(self) -> int:
        """Independent components, 2l + 1."""
        return 2 * self.l + 1

    def __str__(self) -> str:
        return f"{self.l}{'e' if self.parity == 1 else 'o'}"

    def __lt__(self, other: "Irrep") -> bool:
        def order(irrep: Irrep) -> tuple[int, bool]:
            return irrep.l, irrep.parity != (-1) ** irrep.l

        return order(self) < order(other)


SCALAR = Irrep(0, 1)
VECTOR = Irrep(1, -1)


@dataclass(frozen=True)
class Irreps:
    """The content of a feature: how many channels of which irrep, every irrep once."""

    blocks: tuple[tuple[int, Irrep], ...]

    def __post_init__(self) -> None:
        seen: set[Irrep] = set()
        for channels, irrep in self.blocks:
            if channels < 1:
                raise ValueError(f"irreps: found {channels} channels of {irrep}; expected at least one")
            if irrep in seen:
                raise ValueError(f"irreps: {irrep} appears twice in '{self}'; add its channels up")
            seen.add(irrep)

    @classmethod
    def parse(cls, text: "str | Irreps") -> "Irreps":
        """Read `128x0e + 128x1o`; a missing number of channels is one."""
        if isinstance(text, Irreps):
            return text
        matches = [_BLOCK.fullmatch(part.strip()) for part in text.split("+")]
        blocks = [(int(m[1] or 1), Irrep.parse(m[2])) for m in matches if m is not None]
        if len(blocks) < len(matches):
            raise ValueError(f"irreps: found {text!r}; expected the form '128x0e + 128x1o'")
        return cls(tuple(blocks))

    @classmethod
    def uniform(cls, channels: int, irreps: "Iterable[Irrep | str]") -> "Irreps":
        """The same number of channels for every irrep."""
        return cls(tuple((channels, Irrep.parse(irrep)) for irrep in irreps))

    @property
    def dim(self) -> int:
        """Independent numbers per node."""
        return sum(channels * irrep.dim for channels, irrep in self.blocks)

    @property
    def labels(self) -> tuple[Irrep, ...]:
        """The irreps without their channels."""
        return tuple(irrep for _, irrep in self.blocks)

    def channels(self, irrep: Irrep | str) -> int:
        """Channels of an irrep, zero when it does not occur."""
        return dict((i, c) for c, i in self.blocks).get(Irrep.parse(irrep), 0)

    def index(self, irrep: Irrep | str) -> int:
        """Position of an irrep among the blocks."""
        wanted = Irrep.parse(irrep)
        if wanted not in self.labels:
            raise ValueError(f"irreps: no {wanted} in '{self}'")
        return self.labels.index(wanted)

    def __contains__(self, irrep: Irrep | str) -> bool:
        return Irrep.parse(irrep) in self.labels

    def __iter__(self) -> Iterator[tuple[int, Irrep]]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> tuple[int, Irrep]:
        return self.blocks[index]

    def __str__(self) -> str:
        return " + ".join(f"{channels}x{irrep}" for channels, irrep in self.blocks)


def products(a: Irrep, b: Irrep) -> tuple[Irrep, ...]:
    """Irreps contained in a ⊗ b: |l_a − l_b| ≤ l ≤ l_a + l_b, parity p_a p_b."""
    return tuple(Irrep(l, a.parity * b.parity) for l in range(abs(a.l - b.l), a.l + b.l + 1))
