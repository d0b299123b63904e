"""The linear map of each element is the product with its one-hot vector."""

import pytest
import torch

from equipot.nn import species as by_species
from equipot.nn.species import SpeciesLinear
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps

pytestmark = pytest.mark.usefixtures("float64")
IN, OUT = Irreps.parse("4x0e + 3x1o + 2x2e"), Irreps.parse("5x0e + 2x1o + 6x1e")


def features(irreps, rows):
    return Features(irreps, tuple(torch.randn(rows, i.dim, n) for n, i in irreps))


@pytest.mark.parametrize("species", [[0, 2, 1, 2, 2], [1], [2, 2], []], ids=str)
def test_it_equals_the_product_with_a_one_hot_vector(species):
    """y_k' = Σ_z Σ_k x_k δ_{z z_i} W_zkk' / √(K S), the fan-in of a dense product of K channels with S."""
    z = torch.tensor(species, dtype=torch.long)
    layer, x = SpeciesLinear(IN, OUT, 3), features(IN, len(species))
    one_hot = torch.eye(3)[z]
    found = layer(x, z)
    assert str(found.irreps) == "5x0e + 2x1o"  # the input has no 1e
    for channels, irrep in ((4, "0e"), (3, "1o")):
        pairs = torch.einsum("imk,iz->imkz", x[irrep], one_hot)
        expected = torch.einsum("imkz,zkl->iml", pairs, layer.weights[irrep]) / (channels * 3) ** 0.5
        torch.testing.assert_close(found[irrep], expected, rtol=0, atol=1e-14)


def test_second_derivatives_reach_features_and_weights():
    z = torch.tensor([0, 1, 0])
    layer = SpeciesLinear(Irreps.parse("2x1o"), Irreps.parse("2x1o"), 2)
    assert torch.autograd.gradcheck(
        lambda x: layer(Features(layer.irreps_in, (x,)), z).blocks[0].square(),
        torch.randn(3, 3, 2, requires_grad=True),
    )
    assert torch.autograd.gradgradcheck(
        lambda x, w: (
            torch.func.functional_call(layer, {"weights.1o": w}, (Features(layer.irreps_in, (x,)), z))
            .blocks[0]
            .square()
        ),
        (torch.randn(3, 3, 2, requires_grad=True), torch.randn(2, 2, 2, requires_grad=True)),
    )


def test_the_mean_square_over_random_elements():
    """√(K S) is the published normalisation: one of S elements is present, so y² = x²/S."""
    irreps = Irreps.parse("64x0e")
    out = SpeciesLinear(irreps, irreps, 4)(features(irreps, 2000), torch.randint(4, (2000,)))
    assert out["0e"].square().mean().item() == pytest.approx(1 / 4, rel=0.1)


def test_few_atoms_and_many_give_the_same(monkeypatch):
    """Below a number of atoms all elements are multiplied, above it each its own atoms."""
    irreps_in, irreps_out = Irreps.parse("3x0e + 2x1o"), Irreps.parse("2x0e + 4x1o")
    layer = SpeciesLinear(irreps_in, irreps_out, 4)
    x = Features(irreps_in, (torch.randn(7, 1, 3), torch.randn(7, 3, 2)))
    z = torch.tensor([0, 3, 3, 0, 1, 3, 0])
    few = layer(x, z)
    monkeypatch.setattr(by_species, "FEW", 0)
    many = layer(x, z)
    layer.fold()
    layer.fold()  # the second time changes nothing
    for a, b, c in zip(few.blocks, many.blocks, layer(x, z).blocks, strict=True):
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(a, c)
