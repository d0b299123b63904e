"""Products of two features of the same atom or the same edge."""

from collections.abc import Collection
from math import sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from equipot.kernels import Kind, Node, Polynomial, Slot, Tape, compiles, evaluate
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features, from_spherical, in_spherical, side_by_side
from equipot.tensor.irreps import Irrep, Irreps, products


class PairProduct(nn.Module):
    """[x ⊗ y]_l3 row by row and channel by channel, every path (l1, l2, l3) kept apart.

    x has K channels of every irrep; y has K as well ("uuu"), or one, which meets them all ("uvu"). Of every irrep
    among `wanted` that some path makes, the result has K channels per path, side by side, in the order of
    `paths`; a linear layer mixes them. Weights on paths, where an architecture has them, are that layer's or
    multiply the result.
    """

    def __init__(
        self,
        irreps_x: Irreps,
        irreps_y: Irreps,
        wanted: Collection[Irrep],
        basis: str,
        *,
        even_only: bool = False,
    ) -> None:
        super().__init__()
        widths = {n for n, _ in irreps_x}, {n for n, _ in irreps_y}
        self.channels = max(widths[0])
        if len(widths[0]) != 1 or len(widths[1]) != 1 or not widths[1] <= {self.channels, 1}:
            raise ValueError(
                f"pair product: found '{irreps_x}' and '{irreps_y}'; expected the same number of channels of each "
                "irrep, or one channel of each in the second factor"
            )
        self.basis, self.irreps_x, self.irreps_y = get_basis(basis), irreps_x, irreps_y
        self.paths = tuple(
            sorted(
                (
                    (a, b, c)
                    for a in irreps_x.labels
                    for b in irreps_y.labels
                    for c in products(a, b)
                    if c in wanted and not (even_only and (a.l + b.l - c.l) % 2)
                ),
                key=lambda path: path[2],
            )
        )
        self.reached: dict[tuple[Irrep, Irrep], list[Irrep]] = {}  # what a pair of irreps makes
        for a, b, c in self.paths:
            self.reached.setdefault((a, b), []).append(c)
        labels = list(dict.fromkeys(c for _, _, c in self.paths))
        self.irreps_out = Irreps(
            tuple((self.channels * sum(c == label for _, _, c in self.paths), label) for label in labels)
        )

        self._polynomials: dict[tuple[bool, bool], Polynomial] = {}  # y by groups or not, summed or not

    def forward(
        self,
        x: Features,
        y: Features,
        row_pointer: Int[Tensor, " groups_and_one"] | None = None,
        sums: "PathSum | None" = None,
    ) -> Features:
        """The products of the rows; with `row_pointer`, y has a row for all rows of x in a group.

        With `sums`, which follow the product, no path is ever stored on its own.
        """
        if compiles(x.blocks[0]) and y.blocks[0].shape[-1] == self.channels:
            return self._compiled(x, y, row_pointer, sums)
        if row_pointer is not None:
            group = torch.repeat_interleave(row_pointer.diff(), output_size=x.blocks[0].shape[0])
            y = Features(y.irreps, tuple(block.index_select(0, group) for block in y.blocks))
        paths = self._by_couplings(x, y)
        return paths if sums is None else sums(paths)

    def _by_couplings(self, x: Features, y: Features) -> Features:
        found = {}
        for (a, b), reached in self.reached.items():
            parts = self.basis.couple_to(x[a], a.l, y[b], b.l, [c.l for c in reached])
            found.update({(a, b, c): part for c, part in zip(reached, parts, strict=True)})
        return side_by_side([Features(Irreps(((self.channels, p[2]),)), (found[p],)) for p in self.paths])

    def _compiled(
        self, x: Features, y: Features, row_pointer: Tensor | None, sums: "PathSum | None"
    ) -> Features:
        grouped, summed = row_pointer is not None, sums is not None
        if (grouped, summed) not in self._polynomials:
            self._polynomials[grouped, summed] = self._written(grouped, summed)
        irreps = self.irreps_out if sums is None else sums.irreps_out
        factors = [block for f in (x, y) for block in in_spherical(f, self.basis).blocks]
        weights = [] if sums is None else [sums.scaled(irrep)[None] for irrep in irreps.labels]
        polynomial = self._polynomials[grouped, summed]
        found = evaluate(polynomial, *factors, *weights, row_pointer=row_pointer)
        blocks = (b.reshape(b.shape[0], irrep.dim, n) for b, (n, irrep) in zip(found, irreps, strict=True))
        return from_spherical(Features(irreps, tuple(blocks)), self.basis)

    def _written(self, grouped: bool, summed: bool) -> Polynomial:
        """The same in spherical components: of x and y, irrep by irrep, and of the weights of the paths into each."""
        tape, slots, outputs, expressions = Tape(), [], [], []
        factors: list[dict[Irrep, list[Node]]] = []
        kinds: tuple[Kind, Kind] = ("row", "group" if grouped else "row")
        for irreps, kind in zip((self.irreps_x, self.irreps_y), kinds, strict=True):
            factors.append({})
            for irrep in irreps.labels:
                factors[-1][irrep] = [tape.input(len(slots), m) for m in range(irrep.dim)]
                slots.append(Slot(irrep.dim, kind))
        x, y = factors
        for irrep in self.irreps_out.labels:
            products = [
                tape.couple(x[a], a.l, y[b], b.l, c.l, self.basis.coupling_gain(a.l, b.l, c.l))
                for a, b, c in self.paths
                if c == irrep
            ]
            if summed:
                weights = [tape.input(len(slots), p) for p in range(len(products))]
                slots.append(Slot(len(products), "shared"))
                terms = [
                    [(1.0, tape.product(w, z[k])) for w, z in zip(weights, products, strict=True)]
                    for k in range(irrep.dim)
                ]
                expressions.append(tuple(tape.sum(t) for t in terms))
            else:  # channels of the paths behind one another, for every component
                expressions.append(tuple(z[k] for k in range(irrep.dim) for z in products))
            outputs.append(Slot(len(expressions[-1])))
        return Polynomial(tape, tuple(slots), tuple(outputs), tuple(expressions))


class PathSum(nn.Module):
    """z = P^(−1/2) Σ_p w_p ∘ z_p over the P paths into an irrep, a weight per path and channel, w ∼ N(0, 1).

    The paths lie side by side, as `PairProduct` leaves them; channels do not mix, unlike in a linear layer.
    """

    def __init__(self, irreps_in: Irreps, channels: int) -> None:
        super().__init__()
        self.irreps_out = Irreps.uniform(channels, irreps_in.labels)
        self.weights = nn.ParameterDict(
            {str(irrep): torch.randn(n // channels, channels) for n, irrep in irreps_in}
        )

    def scaled(self, irrep: Irrep) -> Float[Tensor, "paths channels"]:
        """The weights of the paths into an irrep, P^(−1/2) w."""
        weight = self.weights[str(irrep)]
        return weight / sqrt(weight.shape[0])

    def forward(self, products: Features) -> Features:
        """One tensor of each irrep and channel."""
        blocks = []
        for irrep in self.irreps_out.labels:
            weight = self.scaled(irrep)
            blocks.append((products[irrep].unflatten(-1, weight.shape) * weight).sum(-2))
        return Features(self.irreps_out, tuple(blocks))
