"""Features as wholes: joined, added, chosen, and brought into spherical components."""

import pytest
import torch

from equipot.tensor.basis import Cartesian, Spherical
from equipot.tensor.features import Features, add, concatenate_components, in_spherical, select, side_by_side
from equipot.tensor.irreps import Irreps

pytestmark = pytest.mark.usefixtures("float64")


def features(text, basis=None, rows=3):
    """Random ones; in the Cartesian basis truly symmetric and traceless."""
    irreps, basis = Irreps.parse(text), basis or Spherical()
    blocks = (basis.to_spherical(i.l) @ torch.randn(rows, i.dim, n) for n, i in irreps)
    return Features(irreps, tuple(blocks))


def test_side_by_side_puts_the_channels_of_an_irrep_behind_one_another():
    a, b, c = features("2x0e + 3x1o"), features("4x1o + 1x0o"), features("5x0e")
    joined = side_by_side([a, b, c])
    assert str(joined.irreps) == "7x0e + 1x0o + 7x1o"  # in the order of irreps, not of appearance
    assert torch.equal(joined["0e"], torch.cat([a["0e"], c["0e"]], dim=-1))
    assert torch.equal(joined["1o"], torch.cat([a["1o"], b["1o"]], dim=-1))
    assert joined["0o"] is b["0o"]


def test_components_behind_one_another():
    x = features("2x0e + 2x1o + 2x2e")
    packed = concatenate_components(x)
    assert packed.shape == (3, 1 + 3 + 5, 2)
    assert torch.equal(packed[:, 4:], x["2e"])
    alone = features("2x1o")
    assert concatenate_components(alone) is alone["1o"]


def test_addition_leaves_alone_what_the_second_lacks():
    x, y = features("2x0e + 3x1o + 2x2e"), features("2x2e + 2x0e")
    total = add(x, y)
    assert total.irreps == x.irreps
    assert torch.equal(total["0e"], x["0e"] + y["0e"])
    assert torch.equal(total["2e"], x["2e"] + y["2e"])  # found by name, not by position
    assert total["1o"] is x["1o"]


def test_selection_goes_by_irrep():
    x = features("2x0e + 3x1o + 2x2e")
    chosen = select(x, Irreps.parse("2x2e + 2x0e"))
    assert chosen.blocks[0] is x["2e"] and chosen.blocks[1] is x["0e"]
    with pytest.raises(ValueError, match="no 1e"):
        select(x, Irreps.parse("1x1e"))


def test_spherical_components_of_cartesian_features():
    text = "2x0e + 2x1o + 3x2e + 1x3o + 2x2o"
    spherical = features(text)
    cartesian = Features(
        spherical.irreps,
        tuple(
            Cartesian().to_spherical(i.l) @ b
            for (_, i), b in zip(spherical.irreps, spherical.blocks, strict=True)
        ),
    )
    found = in_spherical(cartesian, Cartesian())
    for a, b in zip(found.blocks, spherical.blocks, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)  # an isometry and back
    assert in_spherical(spherical, Spherical()) is spherical


def test_vectors_are_the_same_in_both_bases_and_cost_nothing():
    x = features("2x0e + 3x1o", Cartesian())
    assert in_spherical(x, Cartesian()) is x
