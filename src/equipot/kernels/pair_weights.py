"""Weights of an edge operation that an edge and its mirrored one have in common."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class PairWeights:
    """W of both edges of a pair: its row, times a factor. An operation that can, reads them where it uses them."""

    rows: Float[Tensor, "pairs paths channels"]
    factor: Float[Tensor, " pairs"]
    place: Int[Tensor, " edges"]  # 2 · pair of the first edge of a pair, and one more of the second

    def values(self) -> Float[Tensor, "edges paths channels"]:
        """Of every edge, as a tensor."""
        return (self.rows * self.factor[:, None, None]).index_select(0, self.place >> 1)


def places(reverse: Int[Tensor, " edges"]) -> tuple[Int[Tensor, " edges"], Bool[Tensor, " edges"]]:
    """Where in its pair an edge is, as in `PairWeights`, and which edges are the first ones."""
    number = torch.arange(len(reverse), device=reverse.device)
    first = number < reverse
    pair = torch.cumsum(first, 0).index_select(0, torch.minimum(number, reverse)) - 1
    return 2 * pair + ~first, first
