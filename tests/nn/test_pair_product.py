"""Products of two features: every path, in its place, in every basis, with the right symmetry."""

import pytest
import torch

from equipot.nn.pair_product import PairProduct
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irrep, Irreps
from equipot.testing import representation
from tensor.cartesian import random_orthogonal

pytestmark = pytest.mark.usefixtures("float64")
X, WANTED = Irreps.uniform(3, ["0e", "1o", "1e", "2e"]), [Irrep(l, p) for l in range(3) for p in (1, -1)]
Y = {"uuu": Irreps.uniform(3, ["0e", "1o", "2e"]), "uvu": Irreps.uniform(1, ["0e", "1o", "2e"])}


def features(irreps, name="spherical", rows=4):
    to_spherical = get_basis(name).to_spherical
    return Features(irreps, tuple(to_spherical(i.l) @ torch.randn(rows, i.dim, n) for n, i in irreps))


def stored_in(x, name):
    to_spherical = get_basis(name).to_spherical
    pairs = zip(x.irreps.labels, x.blocks, strict=True)
    return Features(x.irreps, tuple(to_spherical(i.l) @ b for i, b in pairs))


@pytest.mark.parametrize("kind", list(Y))
def test_every_path_has_its_own_channels(kind):
    basis, product = get_basis("spherical"), PairProduct(X, Y[kind], WANTED, "spherical")
    x, y = features(X), features(Y[kind])
    found, position = product(x, y), {irrep: 0 for irrep in WANTED}
    assert found.irreps == product.irreps_out
    assert len(product.paths) == sum(n for n, _ in found.irreps) // 3
    for a, b, c in product.paths:
        start = position[c]
        partner = y[b].expand(-1, -1, 3)  # of one channel or of each
        expected = torch.einsum("kab,iac,ibc->ikc", basis.coupling(a.l, b.l, c.l), x[a], partner)
        torch.testing.assert_close(found[c][..., start : start + 3], expected, rtol=0, atol=1e-14)
        position[c] += 3
    assert all(position[irrep] == found.irreps.channels(irrep) for irrep in WANTED)


def test_the_number_of_paths():
    """Counted by hand."""
    product = PairProduct(Irreps.parse("2x0e + 2x1o"), Irreps.parse("2x0e + 2x1o"), WANTED, "spherical")
    assert [tuple(map(str, path)) for path in product.paths] == [
        ("0e", "0e", "0e"),
        ("1o", "1o", "0e"),
        ("0e", "1o", "1o"),
        ("1o", "0e", "1o"),
        ("1o", "1o", "1e"),
        ("1o", "1o", "2e"),
    ]
    even = PairProduct(
        Irreps.parse("2x0e + 2x1o"), Irreps.parse("2x0e + 2x1o"), WANTED, "spherical", even_only=True
    )
    assert set(product.paths) - set(even.paths) == {(Irrep.parse("1o"), Irrep.parse("1o"), Irrep.parse("1e"))}


@pytest.mark.parametrize("kind", list(Y))
def test_both_bases_agree(kind):
    x, y = features(X), features(Y[kind])
    expected = stored_in(PairProduct(X, Y[kind], WANTED, "spherical")(x, y), "cartesian")
    found = PairProduct(X, Y[kind], WANTED, "cartesian")(stored_in(x, "cartesian"), stored_in(y, "cartesian"))
    assert found.irreps == expected.irreps
    for a, b in zip(found.blocks, expected.blocks, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("det", [1, -1])
def test_products_turn_and_mirror_with_their_factors(rng, det):
    matrix = torch.from_numpy(random_orthogonal(rng, det))

    def moved(f):
        return Features(
            f.irreps,
            tuple(representation(i, matrix) @ b for i, b in zip(f.irreps.labels, f.blocks, strict=True)),
        )

    product, x, y = PairProduct(X, Y["uuu"], WANTED, "spherical"), features(X), features(Y["uuu"])
    expected = moved(product(x, y))
    for a, b in zip(product(moved(x), moved(y)).blocks, expected.blocks, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("x", "y"), [("3x0e + 2x1o", "3x0e"), ("3x0e", "2x0e"), ("3x0e", "1x0e + 3x1o")])
def test_channels_that_do_not_meet_are_refused(x, y):
    with pytest.raises(ValueError, match="expected the same number of channels"):
        PairProduct(Irreps.parse(x), Irreps.parse(y), WANTED, "spherical")
