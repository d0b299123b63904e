"""SiLU and the shifted softplus: the compiled ones and PyTorch's."""

import math

import pytest
import torch
import torch.nn.functional as F

from equipot import testing
from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.kernels.cpu import polynomial as cpu
from equipot.nn import activation
from equipot.nn.activation import ShiftedSoftplus, SiLU
from equipot.potential import PotentialConfig
from kernels.test_cpu import has_compiler

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler: PyTorch computes everything")
@pytest.mark.parametrize(
    ("ours", "plain"), [(SiLU(), F.silu), (ShiftedSoftplus(), lambda x: F.softplus(x) - math.log(2))]
)
def test_compiled_equals_pytorch_to_second_derivatives(ours, plain, monkeypatch):
    monkeypatch.setattr(activation, "FEW", 0)
    calls = []
    run = cpu.run
    monkeypatch.setattr(cpu, "run", lambda *given: calls.append(1) or run(*given))
    x = torch.linspace(-9, 9, 3 * 5 * 16).reshape(3, 5, 16).mT.contiguous().mT.requires_grad_(True)
    results = []
    for function in (ours, plain):
        y = function(x)
        (first,) = torch.autograd.grad(y, x, torch.cos(y.detach()), create_graph=True)
        (second,) = torch.autograd.grad((first.square() * x).sum(), x)
        results.append((y, first, second))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)
    assert calls


def test_what_is_small_or_not_trained_is_left_to_pytorch(monkeypatch):
    monkeypatch.setattr(activation, "evaluate", None)  # calling it would fail
    x = torch.randn(4, 16)
    torch.testing.assert_close(SiLU()(x), torch.nn.functional.silu(x))
    monkeypatch.setattr(activation, "FEW", 0)
    torch.testing.assert_close(SiLU().eval()(x), torch.nn.functional.silu(x))


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler: PyTorch computes everything")
@pytest.mark.parametrize("name", ["tensornet", "nequip", "schnet"])
def test_training_on_forces_has_the_same_gradients(name, monkeypatch):
    """Of all weights, through the second derivative of radial networks of 16 hidden channels."""
    options = {"nequip": {"radial_hidden": (16,), "l_max": 1}}.get(name, {})
    model = {"name": name, "channels": 16, "num_layers": 1, "cutoff": 4.0, **options}
    potential = testing.random_potential(parse(PotentialConfig, {"model": model}, "test"), (1, 6, 8)).double()
    batch = batch_of([testing.molecule((1, 6, 8))], potential.elements, potential.cutoff)
    found = []
    for few in (0, 10**9):
        monkeypatch.setattr(activation, "FEW", few)
        out = potential.train()(batch, forces=True, create_graph=True)
        parameters = list(potential.parameters())
        loss = out.forces.square().sum() + out.energy.square().sum()
        found.append(torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * float(b.abs().max()))
