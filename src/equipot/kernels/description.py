"""What an edge operation couples, fixed when a model is built."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from equipot.tensor.basis import TensorBasis, get_basis
from equipot.tensor.irreps import SCALAR, Irrep, products


@dataclass(frozen=True)
class Path:
    """One coupling: slot of the input, of the edge and of the output, times a constant."""

    input: int
    edge: int
    output: int
    scale: float = 1.0


@dataclass(frozen=True)
class EdgeProduct:
    """The slots of an edge operation and the paths between them.

    Slots are packed along the component axis in their order; a slot may repeat an irrep. The p-th path is
    weighted by `weights[:, p]`, and several paths may end in one output slot.
    """

    inputs: tuple[Irrep, ...]
    edge: tuple[Irrep, ...]
    outputs: tuple[Irrep, ...]
    paths: tuple[Path, ...]
    basis: str = "spherical"

    def __post_init__(self) -> None:
        get_basis(self.basis)
        if any(irrep.l == 0 and irrep != SCALAR for irrep in self.edge):
            raise ValueError(
                "edge product: found an edge slot 0o; the degree-0 harmonic is the constant 0e, "
                "put a pseudoscalar into the weights"
            )
        for number, path in enumerate(self.paths):
            a, b, c = self.inputs[path.input], self.edge[path.edge], self.outputs[path.output]
            if c not in products(a, b):
                raise ValueError(
                    f"edge product, path {number}: {a} times {b} contains no {c}; "
                    f"expected one of {', '.join(map(str, products(a, b)))}"
                )

    @cached_property
    def tensor_basis(self) -> TensorBasis:
        """The basis of all three component axes."""
        return get_basis(self.basis)

    @cached_property
    def input_dims(self) -> tuple[int, ...]:
        """Components of every input slot."""
        return tuple(self.tensor_basis.dim(irrep.l) for irrep in self.inputs)

    @cached_property
    def edge_dims(self) -> tuple[int, ...]:
        """Components of every edge slot."""
        return tuple(self.tensor_basis.dim(irrep.l) for irrep in self.edge)

    @cached_property
    def output_dims(self) -> tuple[int, ...]:
        """Components of every output slot."""
        return tuple(self.tensor_basis.dim(irrep.l) for irrep in self.outputs)

    @cached_property
    def paths_into(self) -> tuple[tuple[tuple[int, Path], ...], ...]:
        """For every output slot, its paths and their numbers."""
        numbered = tuple(enumerate(self.paths))
        slots = range(len(self.outputs))
        return tuple(tuple((n, p) for n, p in numbered if p.output == slot) for slot in slots)

    def degrees(self, path: Path) -> tuple[int, int, int]:
        """The l1, l2, l3 of a path."""
        return self.inputs[path.input].l, self.edge[path.edge].l, self.outputs[path.output].l

    def check(self, x: Tensor | None, harmonics: Tensor, weights: Tensor) -> None:
        """Refuse tensors that do not belong to this operation."""
        if x is None and any(irrep != SCALAR for irrep in self.inputs):
            raise ValueError("edge product: x=None stands for ones, but an input slot is not 0e")
        found = (
            sum(self.input_dims) if x is None else x.shape[1],
            harmonics.shape[-1],
            weights.shape[1],
        )
        expected = (sum(self.input_dims), sum(self.edge_dims), len(self.paths))
        if found != expected:
            raise ValueError(
                "edge product: found (components of x, of the harmonics, number of weights) = "
                f"{found}, expected {expected} for inputs {_names(self.inputs)}, edge {_names(self.edge)} "
                f"and {len(self.paths)} paths in the {self.basis} basis"
            )


def _names(irreps: tuple[Irrep, ...]) -> str:
    return "(" + ", ".join(map(str, irreps)) + ")"
