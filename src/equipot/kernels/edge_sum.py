"""The plain sum over neighbors, for messages that are no product of a feature with a harmonic."""

from jaxtyping import Float
from torch import Tensor

from equipot.batch import AtomicBatch


def edge_sum(values: Float[Tensor, "edges *rest"], batch: AtomicBatch) -> Float[Tensor, "atoms *rest"]:
    """Sum a quantity of the edges i ← j over the neighbors j of every atom i."""
    zeros = values.new_zeros((batch.num_atoms, *values.shape[1:]))
    return zeros.index_add(0, batch.receivers, values)
