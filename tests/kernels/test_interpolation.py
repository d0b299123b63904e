"""Hermite tables: the compiled program against the definition, and the definition against what it must reproduce."""

import pytest
import torch

from equipot.kernels import interpolation
from equipot.kernels.cpu.interpolation import compiled_interpolate
from equipot.kernels.interpolation import disagreement, interpolate, reference_interpolate

OPERATIONS = [reference_interpolate, compiled_interpolate]


def cubic(r: torch.Tensor, order: int = 0) -> torch.Tensor:
    """Three cubics and their derivatives."""
    powers = torch.tensor([[1.0, -2.0, 0.5, 0.3], [0.0, 1.0, 0.0, -1.0], [2.0, 0.0, 1.0, 0.1]]).double()
    for _ in range(order):
        powers = powers[:, 1:] * torch.arange(1.0, powers.shape[1])
    return torch.stack([r**k for k in range(powers.shape[1])], dim=-1) @ powers.T


def table(knots: int, spacing: float) -> torch.Tensor:
    at = torch.arange(knots, dtype=torch.float64) * spacing
    return torch.stack([cubic(at), spacing * cubic(at, 1)], dim=1)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_cubics_are_exact_with_all_derivatives(operation):
    """At knots, between them, and beyond both ends, where the outermost cubic goes on."""
    r = torch.tensor([-0.3, 0.0, 0.2, 0.5, 0.77, 1.5, 2.3], dtype=torch.float64, requires_grad=True)
    found = operation(table(4, 0.5), r, 0.5)
    torch.testing.assert_close(found, cubic(r), atol=1e-12, rtol=0)
    for order in (1, 2, 3):
        slopes = []
        for column in range(3):
            current = operation(table(4, 0.5), r, 0.5)[:, column].sum()
            for _ in range(order):
                (slope,) = torch.autograd.grad(current, r, create_graph=True)
                current = slope.sum()
            slopes.append(slope)
        torch.testing.assert_close(torch.stack(slopes, -1), cubic(r, order), atol=1e-11, rtol=0)


@pytest.mark.parametrize("columns", [1, 7, 16, 35])
@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_columns(columns, threads):
    """Whole vectors and what is left of them; enough rows for several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(1)
        rows, r = torch.randn(9, 2, columns), torch.rand(700) * 4
        torch.testing.assert_close(
            compiled_interpolate(rows, r, 0.5), reference_interpolate(rows, r, 0.5), atol=1e-5, rtol=0
        )
    finally:
        torch.set_num_threads(before)


def test_gradients():
    torch.manual_seed(2)
    rows = torch.randn(5, 2, 18, dtype=torch.float64)
    r = (torch.arange(4.0) + torch.rand(4) * 0.9 + 0.05).double().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: compiled_interpolate(rows, x, 1.0), r)
    assert torch.autograd.gradgradcheck(lambda x: compiled_interpolate(rows, x, 1.0), r)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_program_and_definition_agree(dtype):
    assert disagreement(dtype) < interpolation.TOLERANCE[dtype]


def test_a_program_that_disagrees_is_refused(monkeypatch, caplog):
    monkeypatch.setattr(interpolation, "decisions", {})
    wrong = lambda rows, r, spacing: 1.01 * reference_interpolate(rows, r, spacing)  # noqa: E731
    monkeypatch.setattr(interpolation, "compiled_interpolate", wrong)
    r = torch.rand(5, dtype=torch.float64)
    torch.testing.assert_close(interpolate(table(4, 0.5), r, 0.5), cubic(r), atol=1e-12, rtol=0)
    assert "refused" in caplog.text


def test_plain_pytorch_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("EQUIPOT_KERNELS", "reference")
    monkeypatch.setattr(interpolation, "compiled_interpolate", None)
    r = torch.rand(5, dtype=torch.float64)
    torch.testing.assert_close(interpolate(table(4, 0.5), r, 0.5), cubic(r), atol=1e-12, rtol=0)
