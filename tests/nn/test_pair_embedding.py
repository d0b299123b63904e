"""Embeddings of pairs of atoms: lookups against one-hot vectors, splines against SciPy's."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from equipot.nn.cutoff import polynomial_cutoff
from equipot.nn.pair_embedding import ConcatenatedPair, ProductPair, SplinePair
from equipot.nn.radial import Bessel, cubic_splines
from equipot.tensor.activation import normalized_silu

pytestmark = pytest.mark.usefixtures("float64")
CUTOFF, ELEMENTS, WIDTH, NUM_RADIAL = 4.0, 3, 5, 7


def embedding(kind):
    if kind is SplinePair:
        return SplinePair(NUM_RADIAL, CUTOFF, ELEMENTS, WIDTH)
    return kind(Bessel(NUM_RADIAL, CUTOFF), ELEMENTS, WIDTH)


@pytest.fixture
def edges():
    """Distances beyond the cutoff too, as a list with a skin has them; all pairs of elements."""
    center, neighbor = torch.cartesian_prod(*[torch.arange(ELEMENTS)] * 2).T.repeat(1, 4)
    r = torch.linspace(0.4, CUTOFF + 0.5, len(center))
    return r, polynomial_cutoff(r, CUTOFF), center, neighbor


def test_looking_up_is_the_product_with_one_hot_vectors(edges):
    r, cut, center, neighbor = edges
    built, one_hot = embedding(ConcatenatedPair), torch.eye(ELEMENTS)
    inputs = torch.cat([one_hot[center], one_hot[neighbor], built.radial(r) * cut[:, None]], dim=-1)
    expected = normalized_silu(inputs @ built.weight / inputs.shape[-1] ** 0.5)
    torch.testing.assert_close(built(*edges), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("num_intervals", [1, 2, 9])
def test_splines_are_those_of_scipy(num_intervals):
    x = torch.linspace(0, num_intervals, 101)
    knots = np.arange(-3, num_intervals + 4)
    expected = BSpline(knots, np.eye(num_intervals + 3), 3)(x.numpy())
    first, values = cubic_splines(x, num_intervals)
    found = torch.zeros(len(x), num_intervals + 3).scatter(1, first[:, None] + torch.arange(4), values)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=1e-14)


def test_splines_have_two_continuous_derivatives():
    """On both sides of a knot, 1e-9 apart, and the third derivative is finite."""
    weights = torch.randn(9)

    def curve(x):
        first, values = cubic_splines(x, 6)
        return (values * weights[first[:, None] + torch.arange(4)]).sum()

    sides = []
    for x in (2 - 5e-10, 2 + 5e-10):
        at = torch.tensor([x], requires_grad=True)
        (slope,) = torch.autograd.grad(curve(at), at, create_graph=True)
        (curvature,) = torch.autograd.grad(slope, at)
        sides.append(torch.stack([curve(at), slope[0], curvature[0]]).detach())
    torch.testing.assert_close(sides[0], sides[1], rtol=0, atol=1e-7)


def test_every_ordered_pair_of_elements_has_its_own_curve(edges):
    r, cut, center, neighbor = edges
    built = embedding(SplinePair)
    for a in range(ELEMENTS):
        for b in range(ELEMENTS):
            (gradient,) = torch.autograd.grad(
                built(r, cut, torch.full_like(center, a), torch.full_like(neighbor, b)).sum(), built.weight
            )
            changed = gradient.abs().sum(1).nonzero()[:, 0] // NUM_RADIAL
            assert changed.unique().tolist() == [a * ELEMENTS + b]


@pytest.mark.parametrize("kind", [ProductPair, SplinePair])
def test_nothing_is_left_at_the_cutoff(kind, edges):
    r, _, _, _ = edges
    values = embedding(kind)(*edges)
    assert torch.equal(values[r >= CUTOFF], torch.zeros_like(values[r >= CUTOFF]))
    assert values[r < 0.7 * CUTOFF].abs().min() > 0


def test_splines_start_with_a_mean_square_of_one():
    """Over 20000 curves; the standard error of a mean of squares of normal numbers is √(2/20000) = 1 %."""
    built = SplinePair(12, CUTOFF, 1, 20000)
    r = torch.linspace(0.01, 3.99, 40)
    zeros = torch.zeros(40, dtype=torch.long)
    mean = built(r, torch.ones_like(r), zeros, zeros).detach().square().mean()
    assert float(mean) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("kind", [ConcatenatedPair, ProductPair, SplinePair])
def test_no_edges(kind):
    empty, none = torch.empty(0), torch.empty(0, dtype=torch.long)
    assert embedding(kind)(empty, empty, none, none).shape == (0, WIDTH)


def test_splines_need_four():
    with pytest.raises(ValueError, match="found 3; expected at least four"):
        SplinePair(3, CUTOFF, ELEMENTS, WIDTH)
