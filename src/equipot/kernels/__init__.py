"""The edge operation: what every message passing model does with its neighbors."""

from equipot.kernels.edge import EdgeProduct, Path, edge_product
from equipot.kernels.edge_sum import edge_sum
from equipot.kernels.interpolation import Table, TabulatedWeights, interpolate

__all__ = ["EdgeProduct", "Path", "Table", "TabulatedWeights", "edge_product", "edge_sum", "interpolate"]
