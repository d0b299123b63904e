"""Steerable linear layers, and the fewest channels that balance their weights."""

from math import sqrt

import pytest
import torch

from equipot.nn.steerable import SteerableLinear, Steering, balanced_channels, rows_of, total
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features, side_by_side
from equipot.tensor.irreps import SCALAR, Irrep, Irreps, products

pytestmark = pytest.mark.usefixtures("float64")
NATURAL = [Irrep.natural(l) for l in range(4)]
ATTRIBUTE = sorted([*NATURAL, Irrep.parse("1e")])
INPUT, OUTPUT = Irreps.parse("3x0e + 2x1o + 4x1e + 2x2e"), Irreps.parse("5x0e + 3x1o + 2x1e + 2x2e")
ROWS = 6


def features(irreps, basis="spherical"):
    to_stored = get_basis(basis).to_spherical
    return Features(irreps, tuple(to_stored(i.l) @ torch.randn(ROWS, i.dim, n) for n, i in irreps))


def attribute(labels=ATTRIBUTE):
    blocks = [torch.ones(ROWS, 1, 1), *(torch.randn(ROWS, irrep.dim, 1) for irrep in labels[1:])]
    return Features(Irreps.uniform(1, labels), tuple(blocks))


@torch.no_grad()
@pytest.mark.parametrize("name", ["spherical", "cartesian"])
def test_the_sum_over_paths(name):
    """Σ_paths [(h W_p)_l1 ⊗ ã_l2]_l3 + b, coupled by the basis."""
    basis, h, a = get_basis(name), features(INPUT, name), attribute()
    linear = SteerableLinear(INPUT, ATTRIBUTE, OUTPUT)
    found = linear(h, Steering(INPUT.labels, ATTRIBUTE, OUTPUT.labels, name)(a))
    for n, out in OUTPUT:
        expected = torch.zeros(ROWS, basis.dim(out.l), n)
        for _, source in INPUT:
            through = [b for b in ATTRIBUTE if out in products(source, b)]
            for p, b in enumerate(through):
                weight = linear.weights[f"{source}-{out}"][:, p]
                stored = basis.to_spherical(b.l) @ a[b]
                expected += basis.couple(h[source], source.l, stored, b.l, out.l) @ weight
        if out == SCALAR:
            expected += linear.bias
        torch.testing.assert_close(found[out], expected, rtol=0, atol=1e-13)
        assert expected.abs().max() > 0.1


@torch.no_grad()
def test_the_attribute_one_leaves_a_linear_layer():
    linear = SteerableLinear(INPUT, [SCALAR], OUTPUT)
    h, one = features(INPUT), attribute([SCALAR])
    found = linear(h, Steering(INPUT.labels, [SCALAR], OUTPUT.labels, "spherical")(one))
    for irrep in OUTPUT.labels:
        expected = h[irrep] @ linear.weights[f"{irrep}-{irrep}"][:, 0]
        expected = expected + linear.bias if irrep == SCALAR else expected
        torch.testing.assert_close(found[irrep], expected, rtol=0, atol=1e-14)


@torch.no_grad()
def test_parts_mixed_before_are_the_whole():
    """Two features and a scalar, the second mixed on rows in another order: the layer on all of them, side by side."""
    n, labels = 3, INPUT.labels
    one = Irreps.uniform(n, labels)
    both = Irreps(tuple((2 * n + (irrep == SCALAR), irrep) for irrep in labels))
    first, second, scalar = features(one), features(one), features(Irreps.parse("1x0e"))
    linear = SteerableLinear(both, ATTRIBUTE, OUTPUT)
    matrices = Steering(labels, ATTRIBUTE, OUTPUT.labels, "spherical")(attribute())
    whole = linear(side_by_side([first, second, scalar]), matrices)

    order = torch.randperm(ROWS)
    shuffled = Features(one, tuple(block[order] for block in second.blocks))
    elsewhere = rows_of(linear.mix(shuffled, n), torch.argsort(order))
    mixed = total(linear.mix(first), elsewhere, linear.mix(scalar, 2 * n))
    for found, expected in zip(linear.steer(mixed, matrices).blocks, whole.blocks, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_initial_weights_are_those_of_a_dense_layer():
    """Uniform within 1/√fan_in, where fan_in counts input channels once for each path."""
    irreps = Irreps.parse("20x0e + 20x1o")
    linear = SteerableLinear(irreps, NATURAL[:2], Irreps.parse("400x0e + 400x1o"))
    bound = 1 / sqrt(40)  # 0e from 0e·0 and 1o·1; 1o from 0e·1 and 1o·0
    for weight in (parameter.detach() for parameter in linear.parameters()):
        assert 0.98 * bound < float(weight.abs().max()) <= bound
        assert float(weight.std()) == pytest.approx(bound / sqrt(3), rel=0.1)


@pytest.mark.parametrize(
    ("channels", "l_features", "l_attributes", "expected"),
    [(64, 1, 1, 32), (128, 2, 3, 36), (128, 1, 2, 58), (128, 1, 1, 64), (128, 0, 0, 128), (1, 1, 1, 1)],
)
def test_balanced_channels(channels, l_features, l_attributes, expected):
    labels, through = NATURAL[: l_features + 1], NATURAL[: l_attributes + 1]
    n = balanced_channels(channels, labels, through)
    assert n == expected
    count = [
        sum(w.numel() for w in SteerableLinear(irreps, through, irreps).weights.values())
        for irreps in (Irreps.uniform(k, labels) for k in (n, max(n - 1, 1)))
    ]
    assert count[0] >= channels**2 and (n == 1 or count[1] < channels**2)


def test_what_no_path_reaches_is_refused():
    with pytest.raises(ValueError, match=r"no path from '3x0e' to 1e through an attribute of 0e, 1o"):
        SteerableLinear(Irreps.parse("3x0e"), NATURAL[:2], Irreps.parse("2x0e + 2x1e"))
