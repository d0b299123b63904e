"""What an edge operation couples, fixed when a model is built."""

from dataclasses import dataclass, field

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
    # derived once, so that a call costs no more than its tensors
    input_dims: tuple[int, ...] = field(init=False, repr=False, compare=False)
    edge_dims: tuple[int, ...] = field(init=False, repr=False, compare=False)
    output_dims: tuple[int, ...] = field(init=False, repr=False, compare=False)
    paths_into: tuple[tuple[tuple[int, Path], ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_paths()
        dim = self.tensor_basis.dim
        numbered = tuple(enumerate(self.paths))
        derived = {
            "input_dims": tuple(dim(irrep.l) for irrep in self.inputs),
            "edge_dims": tuple(dim(irrep.l) for irrep in self.edge),
            "output_dims": tuple(dim(irrep.l) for irrep in self.outputs),
            "paths_into": tuple(
                tuple((number, path) for number, path in numbered if path.output == slot)
                for slot in range(len(self.outputs))
            ),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)  # the way into a frozen dataclass

    def _check_paths(self) -> None:
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

    @property
    def tensor_basis(self) -> TensorBasis:
        """The basis of all three component axes."""
        return get_basis(self.basis)

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
