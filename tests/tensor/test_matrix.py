"""3 × 3 matrices and their irreducible parts."""

import pytest
import torch

from equipot.tensor.basis import Cartesian, Spherical
from equipot.tensor.irreps import Irrep
from equipot.tensor.matrix import multiply, to_matrices, to_parts
from equipot.testing import representation
from tensor.cartesian import random_orthogonal

pytestmark = pytest.mark.usefixtures("float64")
BASES = [Spherical(), Cartesian()]


@pytest.mark.parametrize("basis", BASES, ids=lambda b: b.name)
def test_parts_and_matrices_are_two_ways_to_write_the_same(basis):
    x = torch.randn(5, 3, 3, 4)
    parts = to_parts(x, basis)
    assert parts.shape == (5, 4 + basis.dim(2), 4)
    torch.testing.assert_close(to_matrices(parts, basis), x, rtol=0, atol=1e-14)
    torch.testing.assert_close(parts.square().sum(1), x.square().sum((1, 2)))  # an isometry


@pytest.mark.parametrize("basis", BASES, ids=lambda b: b.name)
def test_the_parts_are_trace_vector_and_symmetric_tensor(basis):
    x = torch.randn(3, 3)
    parts = to_parts(x[None, :, :, None], basis)[0, :, 0]
    assert parts[0] == pytest.approx(float(x.trace()) / 3**0.5, abs=1e-14)
    a = (x - x.T) / 2
    vector = torch.stack(
        [a[2, 1], a[0, 2], a[1, 0]]
    )  # of [v]_× = ((0, −v_z, v_y), (v_z, 0, −v_x), (−v_y, v_x, 0))
    torch.testing.assert_close(parts[1:4], 2**0.5 * vector)
    symmetric = (x + x.T) / 2 - x.trace() / 3 * torch.eye(3)
    expected = basis.to_spherical(2) @ (Cartesian().to_spherical(2).T @ symmetric.flatten())
    torch.testing.assert_close(parts[4:], expected)


def test_the_cross_product_is_a_product_with_the_matrix_of_a_vector():
    v, w = torch.randn(2, 3)
    parts = torch.cat([torch.zeros(1), 2**0.5 * v, torch.zeros(5)])[None, :, None]
    torch.testing.assert_close(to_matrices(parts, Spherical())[0, :, :, 0] @ w, torch.linalg.cross(v, w))


@pytest.mark.parametrize("det", [1, -1])
def test_parts_turn_and_mirror_as_irreps(rng, det):
    """Of a tensor of order two, R X Rᵀ: 0e + 1e + 2e."""
    r, x = torch.from_numpy(random_orthogonal(rng, det)), torch.randn(1, 3, 3, 1)
    turned = torch.einsum("ia,jb,nabk->nijk", r, r, x)
    matrices = [representation(Irrep.parse(name), r) for name in ("0e", "1e", "2e")]
    expected = torch.block_diag(*matrices) @ to_parts(x, Spherical())
    torch.testing.assert_close(to_parts(turned, Spherical()), expected, rtol=0, atol=1e-13)


def test_products_are_taken_channel_by_channel():
    x, y = torch.randn(2, 4, 3, 3, 5)
    expected = torch.stack([x[..., k] @ y[..., k] for k in range(5)], dim=-1)
    torch.testing.assert_close(multiply(x, y), expected, rtol=0, atol=1e-14)


# YM + MY of two matrices as even products of their parts: √(2l3+1) w3j times these factors
EVEN_PRODUCTS = {
    (0, 0, 0): 2 / 3**0.5,
    (0, 1, 1): 2 / 3**0.5,
    (1, 0, 1): 2 / 3**0.5,
    (0, 2, 2): 2 / 3**0.5,
    (2, 0, 2): 2 / 3**0.5,
    (1, 1, 0): -2.0,
    (2, 2, 0): 2 * (5 / 3) ** 0.5,
    (1, 1, 2): 1.0,
    (1, 2, 1): -((5 / 3) ** 0.5),
    (2, 1, 1): -((5 / 3) ** 0.5),
    (2, 2, 2): (7 / 3) ** 0.5,
}


@pytest.mark.parametrize("basis", BASES, ids=lambda b: b.name)
def test_the_symmetrized_product_is_the_sum_of_the_even_couplings(basis):
    """So it keeps natural parities, (−1)^l, which a product in one order would mix with the others."""
    y, m = (to_parts(torch.randn(4, 3, 3, 2), basis) for _ in range(2))
    a, b = to_matrices(y, basis), to_matrices(m, basis)
    found = to_parts(multiply(a, b) + multiply(b, a), basis).split([1, 3, basis.dim(2)], dim=1)
    ys, ms = (x.split([1, 3, basis.dim(2)], dim=1) for x in (y, m))
    for l, part in enumerate(found):
        terms = [
            factor * basis.couple(ys[i], i, ms[j], j, k)
            for (i, j, k), factor in EVEN_PRODUCTS.items()
            if k == l
        ]
        torch.testing.assert_close(part, sum(terms), rtol=0, atol=1e-13)
