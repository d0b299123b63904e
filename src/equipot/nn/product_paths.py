"""Sums over product paths of one feature, evaluated from the inside."""

from collections import defaultdict
from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from equipot.kernels import Kind, Node, Polynomial, Slot, Tape, compiles, evaluate
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features, concatenate_components, from_spherical, in_spherical
from equipot.tensor.irreps import Irrep, Irreps
from equipot.tensor.paths import ProductPath


class PathWeights(nn.Module):
    """w^{ν,L}_{z,p,k} for the paths of all orders into one irrep, N(0, 1) over the number of paths of the order.

    An atom picks the weights of its element, whatever the number of elements; without elements all atoms share them.
    """

    def __init__(self, num_paths: Sequence[int], channels: int, num_elements: int | None) -> None:
        super().__init__()
        counts = torch.tensor([float(n) for n in num_paths for _ in range(n)])
        self.by_element = num_elements is not None
        self.weight = nn.Parameter(torch.randn(num_elements or 1, len(counts), channels) / counts[:, None])

    def forward(
        self, species: Int[Tensor, " atoms"], mixing: Float[Tensor, "paths mixed"] | None = None
    ) -> Float[Tensor, "rows any_paths channels"]:
        """The weights of every atom, or one row for all; `mixing` hands those of a path to others."""
        weight = self.weight if mixing is None else mixing.T @ self.weight
        return weight.index_select(0, species) if self.by_element else weight


class ProductSums:
    """Σ_p w_p P_p(A) for every output irrep, P_p = ((A_l1 ⊗ A_l2)_L2 ⊗ A_l3)_L3 …, channel by channel.

    Horner's scheme: of the paths that end with the same coupling, the products before it are summed first, over
    all orders, Σ_l [(Σ_p w_p P'_p) ⊗ A_l]_L; so the last and most numerous products are never formed one by one.

    The products are numbered: the blocks of A first, by degree, then what every step (before, l1, l2, degrees) makes,
    which couples an earlier product of degree l1 with A_l2.
    """

    def __init__(self, paths: Sequence[Sequence[ProductPath]], l_max: int, basis: str) -> None:
        self.basis, self.l_max = get_basis(basis), l_max
        self.outputs: tuple[Irrep, ...] = tuple(into[0][-1][1] for into in paths)
        inner = {path[:n] for into in paths for path in into for n in range(2, len(path))}
        rest = {path for into in paths for path in into if len(path) > 1} - inner
        ordered: list[ProductPath] = [((l, Irrep.natural(l)),) for l in range(l_max + 1)]
        self.inner, self.rest = _steps(inner, ordered), _steps(rest, ordered)
        number = {path: n for n, path in enumerate(ordered)}
        self.paths = [[number[path] for path in into] for into in paths]
        self.endings = [_by_ending(into, number) for into in paths]
        self._polynomials: dict[bool, Polynomial] = {}  # with the same weights for all rows, or not

    def __call__(self, a: Features, weights: Sequence[Float[Tensor, "_ _ channels"]]) -> Features:
        """The weighted sums; `weights`, [rows, paths, channels], in the order of the outputs and their paths."""
        if compiles(a.blocks[0]):
            packed = concatenate_components(in_spherical(a, self.basis))
            shared = len(weights[0]) == 1
            found = evaluate(self._polynomial(shared), packed, *weights)
            return from_spherical(Features(Irreps.uniform(a.irreps[0][0], self.outputs), found), self.basis)
        products = self._products(a, self.inner)
        blocks = []
        for out, w, endings in zip(self.outputs, weights, self.endings, strict=True):
            columns = w.split(1, dim=1)
            terms = []
            for (l1, l2), numbered in endings:
                inner = _sum([columns[path] * products[n] for path, n in numbered])
                terms.append(inner if l2 is None else self.basis.couple(inner, l1, a.blocks[l2], l2, out.l))
            blocks.append(_sum(terms))
        return Features(Irreps.uniform(a.irreps[0][0], self.outputs), tuple(blocks))

    def __deepcopy__(self, memo: dict) -> "ProductSums":
        return self  # never changes

    def _polynomial(self, shared: bool) -> Polynomial:
        """The same in spherical components: of A, all degrees behind one another, and of the weights."""
        if shared not in self._polynomials:
            self._polynomials[shared] = self._written(shared)
        return self._polynomials[shared]

    def _written(self, shared: bool) -> Polynomial:
        tape = Tape()
        products = [
            [tape.input(0, m) for m in range(l**2, (l + 1) ** 2)] for l in range(self.l_max + 1)
        ]  # [product][component]

        def couple(x: Sequence[Node], l1: int, l2: int, l3: int) -> list[Node]:
            return tape.couple(x, l1, products[l2], l2, l3, self.basis.coupling_gain(l1, l2, l3))

        for before, l1, l2, degrees in self.inner:
            products += [couple(products[before], l1, l2, l3) for l3 in degrees]
        expressions = []
        for slot, (out, endings) in enumerate(zip(self.outputs, self.endings, strict=True), start=1):
            terms = []
            for (l1, l2), numbered in endings:
                pairs = [(tape.input(slot, path), products[n]) for path, n in numbered]
                columns = zip(*(x for _, x in pairs), strict=True)
                inner = [
                    tape.sum([(1.0, tape.product(w, x)) for (w, _), x in zip(pairs, column, strict=True)])
                    for column in columns
                ]
                terms.append(inner if l2 is None else couple(inner, l1, l2, out.l))
            expressions.append(tuple(tape.sum([(1.0, t[k]) for t in terms]) for k in range(out.dim)))
        kind: Kind = "shared" if shared else "row"
        inputs = (Slot((self.l_max + 1) ** 2), *(Slot(len(into), kind) for into in self.paths))
        return Polynomial(tape, inputs, tuple(Slot(out.dim) for out in self.outputs), tuple(expressions))

    def apart(self, a: Features) -> Features:
        """Every product on its own, those into one irrep side by side as channels."""
        products = self._products(a, self.inner + self.rest)
        blocks = [torch.cat([products[n] for n in into], dim=-1) for into in self.paths]
        sizes = [block.shape[-1] for block in blocks]
        return Features(Irreps(tuple(zip(sizes, self.outputs, strict=True))), tuple(blocks))

    def _products(self, a: Features, steps: "list[_Step]") -> list[Float[Tensor, "rows _ channels"]]:
        products = list(a.blocks)
        for before, l1, l2, degrees in steps:
            products += self.basis.couple_to(products[before], l1, a.blocks[l2], l2, degrees)
        return products


_Step = tuple[int, int, int, list[int]]


def _steps(paths: Collection[ProductPath], ordered: list[ProductPath]) -> list[_Step]:
    """Steps that make these products, shorter ones first; `ordered`, what is there already, grows by them."""
    steps: list[_Step] = []
    for path in sorted(paths, key=lambda path: (len(path), path)):
        (l2, out), before = path[-1], ordered.index(path[:-1])
        if steps and steps[-1][0] == before and steps[-1][2] == l2:
            steps[-1][3].append(out.l)
        else:
            steps.append((before, path[-2][1].l, l2, [out.l]))
        ordered.append(path)
    return steps


def _by_ending(
    paths: Sequence[ProductPath], number: dict[ProductPath, int]
) -> list[tuple[tuple[int, int | None], list[tuple[int, int]]]]:
    """(l1, l2) of the last coupling, and of all paths with it their position and the number of the product before it.

    A path of order one has no coupling, and is its own inner product.
    """
    found: dict[tuple[int, int | None, int], list[tuple[int, int]]] = defaultdict(list)
    for position, path in enumerate(paths):
        if len(path) == 1:
            found[path[0][0], None, 1].append((position, number[path]))
        else:
            before = path[-2][1]
            found[before.l, path[-1][0], before.parity].append((position, number[path[:-1]]))
    return [((l1, l2), numbered) for (l1, l2, _), numbered in found.items()]


def _sum(terms: Sequence[Tensor]) -> Tensor:
    out = terms[0]
    for term in terms[1:]:
        out = out + term
    return out


def highest_degree(irreps: Irreps) -> int:
    """The l_max of a feature with one irrep of natural parity for every l = 0 … l_max."""
    l_max = len(irreps) - 1
    expected = Irreps.uniform(irreps[0][0], [Irrep.natural(l) for l in range(l_max + 1)])
    if irreps != expected:
        raise ValueError(f"products of a feature with itself: found '{irreps}'; expected '{expected}'")
    return l_max
