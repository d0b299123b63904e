"""The compiled gate and the plain one."""

import pytest
import torch

from equipot.kernels.cpu import polynomial as cpu
from equipot.nn.gate import FusedGate
from equipot.tensor.features import Features
from equipot.tensor.gate import Gate
from equipot.tensor.irreps import Irreps
from kernels.test_cpu import has_compiler

pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.skipif(not has_compiler(), reason="no C++ compiler: PyTorch computes everything"),
]


def with_derivatives(gate: Gate, blocks: list[torch.Tensor]) -> list[torch.Tensor]:
    out = gate(Features(gate.irreps_in, tuple(blocks))).blocks
    first = torch.autograd.grad(out, blocks, [torch.cos(t.detach()) for t in out], create_graph=True)
    along = [(t.square() * x).sum() for t, x in zip(first, blocks, strict=True)]
    return [*out, *first, *torch.autograd.grad(along, blocks)]


@pytest.mark.parametrize("gates", ["silu", "sigmoid"])
@pytest.mark.parametrize(
    "irreps", ["16x0e", "16x0o", "16x1o + 16x2e", "16x0e + 16x0o + 16x1e + 16x1o + 16x2e"]
)
def test_compiled_equals_plain(irreps, gates, monkeypatch):
    torch.manual_seed(0)
    fused, plain = FusedGate(Irreps.parse(irreps), gates), Gate(Irreps.parse(irreps), gates)
    blocks = [torch.randn(5, irrep.dim, n).requires_grad_(True) for n, irrep in plain.irreps_in]
    calls, run = [], cpu._run
    monkeypatch.setattr(cpu, "_run", lambda *given: calls.append(1) or run(*given))
    found = with_derivatives(fused, blocks)
    assert calls
    for a, b in zip(found, with_derivatives(plain, blocks), strict=True):
        torch.testing.assert_close(a, b)


def test_unequal_channels_are_left_to_pytorch(monkeypatch):
    monkeypatch.setattr("equipot.nn.gate.evaluate", None)  # calling it would fail
    fused = FusedGate(Irreps.parse("32x0e + 16x1o"))
    blocks = tuple(torch.randn(5, irrep.dim, n) for n, irrep in fused.irreps_in)
    features = Features(fused.irreps_in, blocks)
    for a, b in zip(fused(features).blocks, Gate.forward(fused, features).blocks, strict=True):
        torch.testing.assert_close(a, b)
