import pytest
import torch

from equipot.tensor.features import Features
from equipot.tensor.irreps import Irrep, Irreps, products


def test_irrep_and_text_are_the_same():
    for l in range(5):
        for parity in (1, -1):
            assert Irrep.parse(str(Irrep(l, parity))) == Irrep(l, parity)
    assert Irrep.parse("2e").dim == 5
    assert Irrep.natural(3) == Irrep.parse("3o")


def test_irreps_sort_by_degree_then_natural_parity():
    names = ["1e", "0o", "2o", "1o", "0e", "2e"]
    assert [str(i) for i in sorted(map(Irrep.parse, names))] == ["0e", "0o", "1o", "1e", "2e", "2o"]


def test_irreps_round_trip_and_dim():
    irreps = Irreps.parse("128x0e + 64x1o+2e")
    assert str(irreps) == "128x0e + 64x1o + 1x2e"
    assert Irreps.parse(str(irreps)) == irreps
    assert irreps.dim == 128 + 3 * 64 + 5
    assert [(n, str(i)) for n, i in irreps] == [(128, "0e"), (64, "1o"), (1, "2e")]
    assert "1o" in irreps and "1e" not in irreps
    assert irreps.channels("1o") == 64 and irreps.channels("1e") == 0
    assert Irreps.uniform(4, ["0e", "1o"]) == Irreps.parse("4x0e + 4x1o")


@pytest.mark.parametrize("text", ["", "1", "128*0e", "0e, 1o", "-1x0e", "3x1p"])
def test_malformed_irreps_are_refused(text):
    with pytest.raises(ValueError, match="expected"):
        Irreps.parse(text)


def test_an_irrep_given_twice_is_refused():
    with pytest.raises(ValueError, match="1o appears twice"):
        Irreps.parse("4x1o + 2x1o")
    with pytest.raises(ValueError, match="at least one"):
        Irreps.parse("0x1o")


def test_products_obey_triangle_and_parity():
    assert [str(i) for i in products(Irrep.parse("1o"), Irrep.parse("1o"))] == ["0e", "1e", "2e"]
    assert [str(i) for i in products(Irrep.parse("2e"), Irrep.parse("1o"))] == ["1o", "2o", "3o"]


def test_features_are_found_by_irrep():
    scalars, vectors = torch.randn(3, 1, 4), torch.randn(3, 3, 2)
    features = Features(Irreps.parse("4x0e + 2x1o"), (scalars, vectors))
    assert features["1o"] is vectors and features[Irrep(1, -1)] is vectors
    assert "1o" in features and "1e" not in features
    assert torch.equal(features.scalars, scalars[:, 0])
    with pytest.raises(ValueError, match="no 2e in '4x0e"):
        features["2e"]


@pytest.mark.noshapes
def test_features_pass_through_export():
    class Double(torch.nn.Module):
        def forward(self, features: Features) -> Features:
            return Features(features.irreps, tuple(2 * b for b in features.blocks))

    features = Features(Irreps.parse("4x0e + 2x1o"), (torch.randn(3, 1, 4), torch.randn(3, 3, 2)))
    out = torch.export.export(Double(), (features,)).module()(features)
    assert out.irreps == features.irreps
    assert torch.equal(out["1o"], 2 * features["1o"])
