"""Two ways to store an irreducible tensor of O(3).

A feature of degree l and a parity is an irrep, whatever its components are called. `Spherical` stores its
2l+1 real-harmonic components; `Cartesian` stores the 3^l components of a symmetric traceless tensor,
flattened. Everything above this file is written once and runs with either.

Component order and signs: `tables.py`. Normalisation: components of the harmonics have unit mean square
over the sphere, |Y_l|² = 2l+1, so Y_0 = 1 and Y_1 = √3 r̂.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from equipot.tensor import tables
from equipot.tensor.tables import constant


@runtime_checkable  # the checker of types in the tests asks isinstance
class TensorBasis(Protocol):
    """How the components of a degree-l tensor are stored."""

    @property
    def name(self) -> str:
        """What `get_basis` understands."""
        ...

    def dim(self, l: int) -> int:
        """Number of stored components of a degree-l tensor."""
        ...

    def harmonics(self, vectors: Float[Tensor, "*batch 3"], l: int) -> Float[Tensor, "*batch dim"]:
        """Degree-l tensor of the direction of a vector; Y_{l>0} = 0 for the zero vector."""
        ...

    def packed_harmonics(
        self, vectors: Float[Tensor, "*batch 3"], degrees: Sequence[int]
    ) -> Float[Tensor, "*batch dims"]:
        """Harmonics of several degrees, packed along the component axis in the order given."""
        ...

    def couple(
        self,
        x: Float[Tensor, "*batch dim1 channels"],
        l1: int,
        y: Float[Tensor, "*batch dim2 #channels"],
        l2: int,
        l3: int,
    ) -> Float[Tensor, "*batch dim3 channels"]:
        """The degree-l3 part of x ⊗ y, channel by channel: √(2l3+1) times the 3j contraction.

        One channel of y meets all of x.
        """
        ...

    def couple_to(
        self,
        x: Float[Tensor, "*batch dim1 channels"],
        l1: int,
        y: Float[Tensor, "*batch dim2 #channels"],
        l2: int,
        degrees: Sequence[int],
    ) -> list[Tensor]:
        """The parts of several degrees l3, [*batch, dim3, channels], at less cost than one after the other."""
        ...

    def coupling(self, l1: int, l2: int, l3: int) -> Float[Tensor, "dim3 dim1 dim2"]:
        """The constant tensor of `couple`, float64."""
        ...

    def coupling_gain(self, l1: int, l2: int, l3: int) -> float:
        """Factor of `couple` over √(2l3+1) w3j in orthonormal components."""
        ...

    def to_spherical(self, l: int) -> Float[Tensor, "dim order"]:
        """Isometry Q onto the 2l+1 spherical components, QᵀQ = 1, float64: spherical = Qᵀ stored."""
        ...


def directions(vectors: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """r̂ = r/|r|; zero, with zero derivatives of every order, where |r| < 1e-12.

    The guard acts on the input of the inverse root: a masked output would still send NaN backward.
    """
    squared = vectors.square().sum(-1, keepdim=True)
    return vectors * torch.where(squared > 1e-24, squared, torch.inf).rsqrt()


def spherical_harmonics(
    vectors: Float[Tensor, "*batch 3"], l_max: int
) -> list[Float[Tensor, "*batch order"]]:
    """Component-normalised real harmonics of degree 0 ... l_max of the directions."""
    return solid_harmonics(directions(vectors), l_max)


def solid_harmonics(vectors: Float[Tensor, "*batch 3"], l_max: int) -> list[Float[Tensor, "*batch order"]]:
    """|r|^l Y_l(r̂) of degree 0 ... l_max: homogeneous polynomials, smooth at r = 0 too.

    R_l = (R_{l−1} ⊗ r) T_l, the traceless part of one more factor of r: two operations per degree.
    """
    out = [torch.ones_like(vectors[..., :1])]
    if l_max > 0:
        out.append(sqrt(3) * vectors)
    for l in range(2, l_max + 1):
        pairs = (out[-1].unsqueeze(-1) * vectors.unsqueeze(-2)).flatten(-2)
        out.append(pairs @ constant("harmonic_recursion", l, like=vectors))
    return out


class Spherical:
    """2l+1 components of real spherical harmonics."""

    name = "spherical"

    def dim(self, l: int) -> int:
        """2l + 1."""
        return 2 * l + 1

    def harmonics(self, vectors: Float[Tensor, "*batch 3"], l: int) -> Float[Tensor, "*batch dim"]:
        """Real harmonics Y_l, |Y_l|² = 2l + 1."""
        return spherical_harmonics(vectors, l)[l]

    def packed_harmonics(
        self, vectors: Float[Tensor, "*batch 3"], degrees: Sequence[int]
    ) -> Float[Tensor, "*batch dims"]:
        """Harmonics of several degrees in the order given."""
        by_degree = spherical_harmonics(vectors, max(degrees))
        return torch.cat([by_degree[l] for l in degrees], dim=-1)

    def couple(
        self,
        x: Float[Tensor, "*batch dim1 channels"],
        l1: int,
        y: Float[Tensor, "*batch dim2 #channels"],
        l2: int,
        l3: int,
    ) -> Float[Tensor, "*batch dim3 channels"]:
        """z_k = √(2l3+1) Σ_ab w3j_abk x_a y_b."""
        tables.check_triangle(l1, l2, l3)
        if l1 == 0 or l2 == 0:
            return x * y
        if l3 == 0:
            return (x * y).sum(-2, keepdim=True) / sqrt(2 * l1 + 1)
        return self.couple_to(x, l1, y, l2, [l3])[0]

    def couple_to(
        self,
        x: Float[Tensor, "*batch dim1 channels"],
        l1: int,
        y: Float[Tensor, "*batch dim2 #channels"],
        l2: int,
        degrees: Sequence[int],
    ) -> list[Tensor]:
        """All from one outer product."""
        if l1 == 0 or l2 == 0 or tuple(degrees) == (0,):
            return [self.couple(x, l1, y, l2, l3) for l3 in degrees]
        outer = (x.unsqueeze(-2) * y.unsqueeze(-3)).flatten(-3, -2)
        together = constant("couplings", l1, l2, *degrees, like=x) @ outer
        return list(together.split([self.dim(l3) for l3 in degrees], dim=-2))

    def coupling(self, l1: int, l2: int, l3: int) -> Float[Tensor, "dim3 dim1 dim2"]:
        """√(2l3+1) w3j."""
        return torch.from_numpy(tables.coupling(l1, l2, l3).copy())

    def coupling_gain(self, l1: int, l2: int, l3: int) -> float:
        """One."""
        return 1.0

    def to_spherical(self, l: int) -> Float[Tensor, "dim order"]:
        """The unit matrix."""
        return torch.eye(2 * l + 1, dtype=torch.float64)


class Cartesian:
    """3^l components of a symmetric traceless tensor, its axes flattened; irreducible Cartesian products.

    Normalisation `isometric`: the images under Q of the spherical harmonics and couplings, so that the same
    weights give the same model in both bases. `published`: unit tensors T_l with T_l · r̂^l = 1 and products
    with (T_l1 ⊗ T_l2)_l3 = T_l3, as in the paper on irreducible Cartesian tensor potentials (Zaverkin et al.,
    NeurIPS 2024, arXiv:2405.14253); odd products, which vanish for equal directions, stay isometric.
    """

    def __init__(self, normalisation: Literal["isometric", "published"] = "isometric") -> None:
        if normalisation not in ("isometric", "published"):
            raise ValueError(
                f"Cartesian: found normalisation {normalisation!r}; expected 'isometric' or 'published'"
            )
        self.normalisation = normalisation

    @property
    def name(self) -> str:
        """`cartesian`, or `cartesian-published`."""
        return "cartesian" if self.normalisation == "isometric" else "cartesian-published"

    def dim(self, l: int) -> int:
        """3^l."""
        return 3**l

    def harmonics(self, vectors: Float[Tensor, "*batch 3"], l: int) -> Float[Tensor, "*batch dim"]:
        """√((2l+1)/C_l) T_l(r̂), or T_l(r̂) in the published normalisation."""
        return self._from_spherical(spherical_harmonics(vectors, l)[l], l)

    def packed_harmonics(
        self, vectors: Float[Tensor, "*batch 3"], degrees: Sequence[int]
    ) -> Float[Tensor, "*batch dims"]:
        """Unit tensors of several degrees in the order given."""
        by_degree = spherical_harmonics(vectors, max(degrees))
        return torch.cat([self._from_spherical(by_degree[l], l) for l in degrees], dim=-1)

    def _from_spherical(
        self, harmonics: Float[Tensor, "*batch order"], l: int
    ) -> Float[Tensor, "*batch dim"]:
        tensor = harmonics if l < 2 else harmonics @ constant("isometry", l, like=harmonics).T
        if self.normalisation == "isometric" or l == 0:
            return tensor
        return tensor * sqrt(tables.unit_tensor_factor(l) / (2 * l + 1))

    def couple(
        self,
        x: Float[Tensor, "*batch dim1 channels"],
        l1: int,
        y: Float[Tensor, "*batch dim2 #channels"],
        l2: int,
        l3: int,
    ) -> Float[Tensor, "*batch dim3 channels"]:
        """(x ⊗ y)_l3: contract k pairs of axes, for odd l1+l2−l3 join one more by ε; symmetrize, no traces.

        The published formulas write the removal of traces out as a sum over products with δ; it is the
        projection Q Qᵀ onto symmetric traceless tensors.
        """
        tables.check_triangle(l1, l2, l3)
        if l1 == 0 or l2 == 0:
            return x * y
        core = _contract(x, l1, y, l2, l3)
        factor = self.coupling_gain(l1, l2, l3) * tables.arrangements(l1, l2, l3) / tables.gain(l1, l2, l3)
        if l3 < 2:
            return factor * core
        q = constant("isometry", l3, like=x)
        return (factor * q) @ (q.T @ core)

    def couple_to(
        self,
        x: Float[Tensor, "*batch dim1 channels"],
        l1: int,
        y: Float[Tensor, "*batch dim2 #channels"],
        l2: int,
        degrees: Sequence[int],
    ) -> list[Tensor]:
        """One after the other: Cartesian products of different degrees contract different axes."""
        return [self.couple(x, l1, y, l2, l3) for l3 in degrees]

    def coupling(self, l1: int, l2: int, l3: int) -> Float[Tensor, "dim3 dim1 dim2"]:
        """The Cartesian product as a dense tensor, acting on symmetric traceless arguments."""
        table = torch.from_numpy(tables.coupling(l1, l2, l3)) * self.coupling_gain(l1, l2, l3)
        q1, q2, q3 = (self.to_spherical(l) for l in (l1, l2, l3))
        return torch.einsum("zk,xa,yb,kab->zxy", q3, q1, q2, table)

    def coupling_gain(self, l1: int, l2: int, l3: int) -> float:
        """One, or C_{l1 l2 l3} g0 in the published normalisation."""
        if self.normalisation == "isometric":
            return 1.0
        return tables.published_factor(l1, l2, l3) * tables.gain(l1, l2, l3)

    def to_spherical(self, l: int) -> Float[Tensor, "dim order"]:
        """Q, whose columns are the symmetric traceless tensors of the real harmonics."""
        return torch.from_numpy(tables.isometry(l).copy())


_ELEMENTWISE = 4  # axes; beyond, a matrix product per channel is worth the rearrangement it needs


def _contract(
    x: Float[Tensor, "*batch dim1 channels"],
    l1: int,
    y: Float[Tensor, "*batch dim2 #channels"],
    l2: int,
    l3: int,
) -> Float[Tensor, "*batch dim3 channels"]:
    """The contraction x ·_k y, or ε : x ·_k y if l1 + l2 − l3 is odd; not yet symmetric and traceless."""
    odd = (l1 + l2 - l3) % 2
    k = (l1 + l2 - l3 - odd) // 2
    batch, channels = x.shape[:-2], x.shape[-1]
    if not odd:
        xs = x.reshape(*batch, 3 ** (l1 - k), 3**k, channels)
        ys = y.reshape(*batch, 3**k, 3 ** (l2 - k), y.shape[-1])
        if l1 + l2 - k <= _ELEMENTWISE:
            out = (xs.unsqueeze(-2) * ys.unsqueeze(-4)).sum(-3)
        else:
            out = torch.einsum("...aic,...ibc->...abc", xs, ys)
    else:
        xs = x.reshape(*batch, 3, 3 ** (l1 - k - 1), 3**k, channels)
        ys = y.reshape(*batch, 3, 3**k, 3 ** (l2 - k - 1), y.shape[-1])
        symbol = constant("permutation_symbol", like=x)
        out = torch.einsum("pqr,...qaic,...ribc->...pabc", symbol, xs, ys)
    return out.reshape(*batch, 3**l3, channels)


_BASES = {basis.name: basis for basis in (Spherical(), Cartesian(), Cartesian("published"))}


def get_basis(name: str) -> TensorBasis:
    """The basis `spherical`, `cartesian` or `cartesian-published`."""
    if name not in _BASES:
        raise ValueError(f"basis: found {name!r}; expected one of {', '.join(map(repr, _BASES))}")
    return _BASES[name]
