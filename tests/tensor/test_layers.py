"""Linear, gate and norm: the same numbers in both bases, and their variance."""

import pytest
import torch

from equipot.tensor.activation import normalized_sigmoid, normalized_silu, normalized_tanh
from equipot.tensor.basis import Cartesian, Spherical
from equipot.tensor.features import Features
from equipot.tensor.gate import Gate
from equipot.tensor.irreps import Irreps
from equipot.tensor.linear import IrrepsLinear
from equipot.tensor.norm import NormActivation, safe_norm
from tensor.cartesian import random_orthogonal

pytestmark = pytest.mark.usefixtures("float64")
IRREPS = Irreps.parse("5x0e + 2x0o + 4x1o + 3x1e + 2x2e + 3x3o + 2x4e")


def random_features(irreps, nodes=6):
    return Features(irreps, tuple(torch.randn(nodes, i.dim, n) for n, i in irreps))


def cartesian(features):
    to_spherical = Cartesian().to_spherical
    pairs = zip(features.irreps.labels, features.blocks, strict=True)
    return Features(features.irreps, tuple(to_spherical(i.l) @ b for i, b in pairs))


def transformed(features, det, q):
    """The features after r → q r with the parities of their irreps; built from vectors' own behavior."""
    blocks = []
    for irrep, block in zip(features.irreps.labels, features.blocks, strict=True):
        sign = irrep.parity * (-1) ** irrep.l if det < 0 else 1
        blocks.append(sign * wigner_d(irrep.l, q) @ block)
    return Features(features.irreps, tuple(blocks))


def wigner_d(l, q):
    """The matrix with Y_l(q r) = D Y_l(r); for a reflection it holds the natural parity."""
    r = torch.randn(4 * l + 4, 3)
    y = Spherical().harmonics
    return torch.linalg.lstsq(y(r, l), y(r @ q.T, l)).solution.T


def layers():
    linear = IrrepsLinear(IRREPS, Irreps.parse("3x0e + 4x1o + 2x1e + 5x2e + 1x4e"), bias=True)
    torch.nn.init.normal_(linear.bias)
    norm = NormActivation(IRREPS)
    for bias in norm.biases.values():
        torch.nn.init.normal_(bias)
    gate = Gate(Irreps.parse("5x0e + 2x0o + 4x1o + 3x1e + 2x2e"))
    return [(linear, IRREPS), (norm, IRREPS), (gate, gate.irreps_in)]


@pytest.mark.parametrize("number", range(3), ids=["linear", "norm", "gate"])
def test_layers_agree_in_both_bases(number):
    layer, irreps = layers()[number]
    features = random_features(irreps)
    expected, found = cartesian(layer(features)), layer(cartesian(features))
    assert found.irreps == expected.irreps == layer.irreps_out if number != 1 else IRREPS
    for a, b in zip(found.blocks, expected.blocks, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("number", range(3), ids=["linear", "norm", "gate"])
@pytest.mark.parametrize("det", [1, -1])
def test_layers_commute_with_rotation_and_reflection(rng, number, det):
    layer, irreps = layers()[number]
    q = torch.from_numpy(random_orthogonal(rng, det))
    features = random_features(irreps)
    found, expected = layer(transformed(features, det, q)), transformed(layer(features), det, q)
    for a, b in zip(found.blocks, expected.blocks, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_linear_keeps_the_mean_square():
    irreps = Irreps.parse("256x0e + 256x1o")
    out = IrrepsLinear(irreps, irreps)(random_features(irreps, nodes=50))
    for block in out.blocks:
        assert block.square().mean().item() == pytest.approx(1, abs=0.15)


def test_activations_keep_the_mean_square():
    z = torch.linspace(-12, 12, 100001)
    weight = torch.exp(-z * z / 2)
    for activation in (normalized_silu, normalized_tanh, normalized_sigmoid):
        mean = (activation(z).square() * weight).sum() / weight.sum()
        assert mean.item() == pytest.approx(1, abs=1e-12)


def test_gate_takes_its_gates_behind_the_scalars():
    gate = Gate(Irreps.parse("2x0e + 3x1o + 1x2e"))
    assert str(gate.irreps_in) == "6x0e + 3x1o + 1x2e"
    features = random_features(gate.irreps_in)
    out = gate(features)
    s = normalized_silu(features["0e"])
    torch.testing.assert_close(out["0e"], s[..., :2])
    torch.testing.assert_close(out["1o"], s[..., 2:5] * features["1o"])
    torch.testing.assert_close(out["2e"], s[..., 5:] * features["2e"])


def test_gates_may_be_sigmoids():
    gate = Gate(Irreps.parse("2x0e + 3x1o + 1x2e"), gates="sigmoid")
    features = random_features(gate.irreps_in)
    out, gates = gate(features), normalized_sigmoid(features["0e"])
    torch.testing.assert_close(out["0e"], normalized_silu(features["0e"])[..., :2])
    torch.testing.assert_close(out["1o"], gates[..., 2:5] * features["1o"])
    torch.testing.assert_close(out["2e"], gates[..., 5:] * features["2e"])


def test_gate_of_vectors_alone_and_of_pseudoscalars_alone():
    assert str(Gate(Irreps.parse("3x1o")).irreps_in) == "3x0e + 3x1o"
    gate = Gate(Irreps.parse("3x0o"))
    assert gate.irreps_in == gate.irreps_out
    assert gate(random_features(gate.irreps_in)).irreps == gate.irreps_out


def test_safe_norm_has_two_derivatives_at_zero():
    v = torch.zeros(2, 3, 4, requires_grad=True)
    (first,) = torch.autograd.grad(safe_norm(v).sum() + safe_norm(v).square().sum(), v, create_graph=True)
    (second,) = torch.autograd.grad((first * torch.randn_like(first)).sum(), v)
    assert first.isfinite().all() and second.isfinite().all()
    assert safe_norm(v, dim=1, keepdim=True).shape == (2, 1, 4)


def test_linear_refuses_what_it_cannot_make():
    with pytest.raises(ValueError, match="no 1e in the input '4x1o'"):
        IrrepsLinear(Irreps.parse("4x1o"), Irreps.parse("4x1e"))
    with pytest.raises(ValueError, match="no 0e to carry it"):
        IrrepsLinear(Irreps.parse("4x1o"), Irreps.parse("4x1o"), bias=True)
