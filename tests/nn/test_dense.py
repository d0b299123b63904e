"""Layers of the invariant parts."""

import math

import torch

from equipot.nn.activation import ShiftedSoftplus, SiLU
from equipot.nn.dense import AtomicEmbedding, Linear, NormalizedLinear, dense, mlp, normalized_mlp


def test_shifted_softplus():
    """ln(½eˣ + ½), without overflow, zero at zero with slope ½."""
    x = torch.tensor([[-50.0, -1.0, 0.0, 2.0, 800.0]], dtype=torch.float64, requires_grad=True)
    value = ShiftedSoftplus()(x)
    expected = [math.log(0.5 + 0.5 * math.exp(t)) for t in (-50, -1, 0, 2)] + [800 - math.log(2)]
    torch.testing.assert_close(value[0], torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-15)
    value.sum().backward()
    assert x.grad[0, 2] == 0.5


def test_layers_start_without_bias_and_with_xavier_weights():
    layer = dense(300, 500)
    assert not layer.bias.any()
    assert math.isclose(layer.weight.std().item(), math.sqrt(2 / 800), rel_tol=0.02)
    assert dense(3, 5, bias=False).bias is None


def test_no_activation_after_the_last_layer():
    layers = list(mlp(4, 5, 6, 1))
    assert [type(layer) for layer in layers] == [Linear, SiLU, Linear, SiLU, Linear]


def test_embedding_goes_by_atomic_number():
    """A model of other elements reads the same row for the same element."""
    torch.manual_seed(1)
    few, more = AtomicEmbedding((1, 8), 4), AtomicEmbedding((1, 6, 8), 4)
    more.load_state_dict(few.state_dict())
    assert torch.equal(few(torch.tensor([1])), more(torch.tensor([2])))


def test_a_normalized_layer_keeps_the_mean_square(float64):
    layer, x = NormalizedLinear(200, 300), torch.randn(400, 200)
    assert torch.allclose(layer(x), x @ layer.weight / math.sqrt(200), rtol=1e-13)
    assert math.isclose(layer(x).square().mean().item(), 1, rel_tol=0.05)
    assert math.isclose(
        layer.weight.square().mean().item(), 1, rel_tol=0.05
    )  # the factor is not in the weight


def test_a_normalized_network_keeps_the_mean_square_through_its_depth(float64):
    """Each c SiLU keeps it for normal inputs; what finite widths change is a few percent per layer."""
    out = normalized_mlp(256, 256, 256, 256, 256)(torch.randn(500, 256))
    assert math.isclose(out.square().mean().item(), 1, rel_tol=0.2)
    without = mlp(256, 256, 256, 256, 256)(torch.randn(500, 256))
    assert without.square().mean().item() < 0.1  # what the constants are for


def test_a_normalized_network_vanishes_where_its_input_does():
    """So that an envelope on the radial basis is enough for the weights of messages."""
    network = normalized_mlp(6, 8, 8, 3)
    assert torch.equal(network(torch.zeros(2, 6)), torch.zeros(2, 3))
    assert not [name for name, _ in network.named_parameters() if "bias" in name]
    assert len(network) == 5  # three layers, two activations between them
