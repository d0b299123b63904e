"""The one edge operation: weigh the features of the neighbors, couple them to the direction, sum.

    out[i,k,c] = Σ_{edges i ← j} Σ_{paths p}  W[ij,p,c] Σ_ab C[p,k,a,b] x[j,a,c] Y[ij,b]

Multilinear in x, Y and W. Every model calls `edge_product`, which is where back ends are chosen: a faster one
speeds up all models. `reference_edge_product` is the definition, and can always be called itself.
"""

from jaxtyping import Float
from torch import Tensor

from equipot.batch import AtomicBatch
from equipot.kernels.chooser import compiled, compiled_of_pairs, compiled_tabulated
from equipot.kernels.description import EdgeProduct, Path
from equipot.kernels.interpolation import TabulatedWeights
from equipot.kernels.pair_weights import PairWeights
from equipot.kernels.reference import reference_edge_product

__all__ = ["EdgeProduct", "Path", "edge_product"]


def edge_product(
    spec: EdgeProduct,
    x: Float[Tensor, "atoms inputs channels"] | None,
    harmonics: Float[Tensor, "edges harmonics"],
    weights: Float[Tensor, "edges paths channels"] | TabulatedWeights | PairWeights,
    batch: AtomicBatch,
) -> Float[Tensor, "atoms outputs channels"]:
    """Sum over neighbors of weighted couplings of their features with the harmonics of the direction.

    A path (l1, l2, l3) contributes W · scale · √(2l3+1) w3j(x, Y): (l, 0, l) is W x and (0, l, l) is W x Y.
    `x=None` stands for ones, where all inputs are 0e. The components of a degree-0 edge slot are Y_0 = 1 by
    definition and are not read. Weights may be those of pairs, or tabulated: then no array of edges × channels is made
    forward where a compiled program runs.
    """
    x = batch.of_senders(x) if x is not None else None
    if isinstance(weights, TabulatedWeights):
        if weights.table.paths != len(spec.paths):
            raise ValueError(f"weights for {weights.table.paths} paths; expected {len(spec.paths)}")
        if chosen := compiled_tabulated(spec, x, harmonics, weights, batch):
            return chosen.tabulated(spec, x, harmonics, weights, batch)
        weights = weights.values()
    elif isinstance(weights, PairWeights):
        if chosen := compiled_of_pairs(spec, x, harmonics, weights, batch):
            return chosen(spec, x, harmonics, weights, batch)
        weights = weights.values()
    spec.check(x, harmonics, weights)
    if chosen := compiled(spec, x, harmonics, weights, batch):
        return chosen.product(spec, x, harmonics, weights, batch)
    return reference_edge_product(spec, x, harmonics, weights, batch)
