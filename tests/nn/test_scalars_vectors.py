"""Exchange of scalars and vectors: the compiled pass and plain PyTorch, to second derivatives."""

import pytest
import torch

from equipot.kernels.cpu import polynomial as cpu
from equipot.nn import scalars_vectors
from equipot.nn.scalars_vectors import exchanged, invariants, received, sent
from kernels.test_cpu import has_compiler

pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.skipif(not has_compiler(), reason="no C++ compiler: PyTorch computes everything"),
]
#: function -> components of its arguments
FUNCTIONS = {sent: (3, 3), received: (1, 3, 4), invariants: (1, 6), exchanged: (1, 3, 6, 3)}


def with_derivatives(function, given):
    out = function(*given)
    out = out if isinstance(out, tuple) else (out,)
    first = torch.autograd.grad(out, given, [torch.cos(t.detach()) for t in out], create_graph=True)
    along = [(t.square() * x).sum() for t, x in zip(first, given, strict=True)]
    second = torch.autograd.grad(along, given)
    return (*out, *first, *second)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_compiled_equals_plain(function, monkeypatch):
    torch.manual_seed(0)
    given = [torch.randn(5, n, 16).requires_grad_(True) for n in FUNCTIONS[function]]
    calls = []
    run = cpu._run
    monkeypatch.setattr(cpu, "_run", lambda *arguments: calls.append(1) or run(*arguments))
    found = with_derivatives(function, given)
    assert calls
    monkeypatch.setattr(scalars_vectors, "compiles", lambda like: False)
    for a, b in zip(found, with_derivatives(function, given), strict=True):
        torch.testing.assert_close(a, b)


def test_length_of_zero_has_two_derivatives():
    uw = torch.zeros(2, 6, 16, requires_grad=True)
    for t in with_derivatives(invariants, [torch.zeros(2, 1, 16, requires_grad=True), uw]):
        assert t.isfinite().all()
