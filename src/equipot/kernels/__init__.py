"""The edge operation: what every message passing model does with its neighbors."""

from equipot.kernels.edge import EdgeProduct, Path, edge_product

__all__ = ["EdgeProduct", "Path", "edge_product"]
