"""What has to be fast: the sum over neighbors of every model, functions of the distance, polynomials of features."""

from equipot.kernels.cpu.recorder import recorded
from equipot.kernels.cpu.vectors import whole_vectors
from equipot.kernels.edge import EdgeProduct, Path, edge_product
from equipot.kernels.edge_sum import edge_sum
from equipot.kernels.evaluation import compiles, evaluate
from equipot.kernels.interpolation import Table, TabulatedWeights, interpolate
from equipot.kernels.pair_weights import PairWeights, places
from equipot.kernels.polynomial import Kind, Node, Polynomial, Slot, Tape

__all__ = [
    "EdgeProduct",
    "Kind",
    "Node",
    "PairWeights",
    "Path",
    "Polynomial",
    "Slot",
    "Table",
    "TabulatedWeights",
    "Tape",
    "compiles",
    "edge_product",
    "edge_sum",
    "evaluate",
    "interpolate",
    "places",
    "recorded",
    "whole_vectors",
]
