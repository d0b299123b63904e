"""Layers of the invariant parts."""

import math

import torch
from torch import nn

from equipot.nn.dense import AtomicEmbedding, ShiftedSoftplus, dense, mlp


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
    assert [type(layer) for layer in layers] == [nn.Linear, nn.SiLU, nn.Linear, nn.SiLU, nn.Linear]


def test_embedding_goes_by_atomic_number():
    """A model of other elements reads the same row for the same element."""
    torch.manual_seed(1)
    few, more = AtomicEmbedding((1, 8), 4), AtomicEmbedding((1, 6, 8), 4)
    more.load_state_dict(few.state_dict())
    assert torch.equal(few(torch.tensor([1])), more(torch.tensor([2])))
