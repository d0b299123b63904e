"""Read-outs of the energy: their formulas, and what scaling them does."""

import pytest
import torch
from torch.nn.functional import silu

from equipot.nn.readout import DenseReadout, LayerwiseReadout, LinearReadout
from equipot.tensor.activation import SILU_FACTOR
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps

pytestmark = pytest.mark.usefixtures("float64")
READOUTS = {
    "dense": lambda: DenseReadout(6),
    "linear": lambda: LinearReadout(6, 4),
    "layerwise": lambda: LayerwiseReadout([2, 1, 3], 4),
}


@pytest.fixture
def features():
    irreps = Irreps.parse("6x0e + 6x1o")
    return Features(irreps, (torch.randn(5, 1, 6), torch.randn(5, 3, 6)))


def test_dense(features):
    """SiLU between two layers with biases."""
    readout = DenseReadout(6)
    (w1, b1, w2, b2) = (torch.nn.init.normal_(p) for p in readout.parameters())
    expected = silu(features.scalars @ w1.T + b1) @ w2.T + b2
    assert w1.shape == (3, 6)
    torch.testing.assert_close(readout(features), expected[:, 0], rtol=0, atol=1e-14)


def test_dense_of_another_width():
    shapes = [tuple(p.shape) for p in DenseReadout(6, hidden=6).parameters()]
    assert shapes == [(6, 6), (6,), (1, 6), (1,)]


def test_linear(features):
    """Two matrices, no activation, no bias."""
    readout = LinearReadout(6, 4)
    w1, w2 = readout.parameters()
    expected = features.scalars @ w1 @ w2 / 24**0.5
    torch.testing.assert_close(readout(features), expected[:, 0], rtol=0, atol=1e-14)


def test_layerwise(features):
    """e = w₁·s¹ + w₂·s² + MLP(s³) on scalars that lie side by side."""
    readout = LayerwiseReadout([2, 1, 3], 4)
    w1, w2, w3, w4 = readout.parameters()
    s = features.scalars
    mlp = SILU_FACTOR * silu(s[:, 3:] @ w3 / 3**0.5) @ w4 / 2
    expected = s[:, :2] @ w1 / 2**0.5 + s[:, 2:3] @ w2 + mlp
    torch.testing.assert_close(readout(features), expected[:, 0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", list(READOUTS))
def test_scaling_multiplies_the_output(kind, features):
    readout = READOUTS[kind]()
    before = readout(features).detach()
    readout.scale_by(0.25)
    torch.testing.assert_close(readout(features), 0.25 * before, rtol=1e-13, atol=0)
    assert before.abs().min() > 1e-3


def test_scaling_leaves_biases_alone(features):
    """The bias stands for a mean energy, which a softer start must not move."""
    readout = DenseReadout(6)
    torch.nn.init.constant_(readout.readout[-1].bias, 3.0)
    readout.scale_by(0.0)
    torch.testing.assert_close(readout(features), torch.full((5,), 3.0))


@pytest.mark.parametrize("kind", ["linear", "layerwise"])
def test_without_features_there_is_no_energy(kind):
    """No bias: an atom whose scalars vanish has exactly its reference energy."""
    zero = Features(Irreps.parse("6x0e"), (torch.zeros(2, 1, 6),))
    assert torch.equal(READOUTS[kind]()(zero), torch.zeros(2))


def test_linear_layers_merge_to_one(features):
    """With the constants inside or outside of the matrices; a second time changes nothing."""
    for folded in (False, True):
        readout = LinearReadout(6, 5, 4)
        expected = readout(features)
        if folded:
            for layer in readout.layers:
                layer.fold()
        for _ in range(2):
            readout.merge()
            torch.testing.assert_close(readout(features), expected)
            assert [tuple(p.shape) for p in readout.parameters()] == [(6, 1)]
