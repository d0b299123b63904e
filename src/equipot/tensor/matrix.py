"""3 × 3 matrices and their irreducible parts: a multiple of one, a vector, a symmetric traceless tensor.

    X = x₀ 1/√3 + [x₁]_×/√2 + Σ_m x₂m B_m        [v]_× w = v × w;  B_m: the tensors of the real harmonics

In these components |X|² = |x₀|² + |x₁|² + |x₂|². They lie one behind the other along the component axis, x₂ as its
tensor basis stores it. Under inversion x₁ is a vector (1o) where X stands for features that an architecture builds
from directions, an axial vector (1e) where X is a tensor of order two.
"""

from math import sqrt

import numpy as np
from jaxtyping import Float
from torch import Tensor

from equipot.tensor import tables
from equipot.tensor.basis import TensorBasis
from equipot.tensor.tables import constant


def matrix_parts(stored: int) -> np.ndarray:
    """The map from the parts to the nine entries, [9, 4 + stored], for x₂ of five or nine stored components."""
    symmetric = tables.isometry(2)
    if stored == 9:
        symmetric = symmetric @ symmetric.T
    one = np.eye(3).reshape(9, 1) / sqrt(3)
    return np.hstack([one, -tables.permutation_symbol().reshape(9, 3) / sqrt(2), symmetric])


tables.add("matrix_parts", matrix_parts)


def to_matrices(
    parts: Float[Tensor, "rows parts channels"], basis: TensorBasis
) -> Float[Tensor, "rows 3 3 channels"]:
    """The matrices that have these parts."""
    return (constant("matrix_parts", basis.dim(2), like=parts) @ parts).unflatten(1, (3, 3))


def to_parts(
    matrices: Float[Tensor, "rows 3 3 channels"], basis: TensorBasis
) -> Float[Tensor, "rows parts channels"]:
    """The irreducible parts of matrices."""
    return constant("matrix_parts", basis.dim(2), like=matrices).T @ matrices.flatten(1, 2)


def multiply(
    x: Float[Tensor, "rows 3 3 channels"], y: Float[Tensor, "rows 3 3 channels"]
) -> Float[Tensor, "rows 3 3 channels"]:
    """X Y, channel by channel."""
    return (x.unsqueeze(3) * y.unsqueeze(1)).sum(2)
