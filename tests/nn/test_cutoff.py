"""Envelopes: one at zero, and how smoothly they vanish."""

import pytest
import torch

from equipot.nn.cutoff import cosine_cutoff, envelope, polynomial_cutoff

CUTOFF = 4.0


def derivatives(function, at):
    """Value and first two derivatives."""
    r = torch.tensor([at], dtype=torch.float64, requires_grad=True)
    value = function(r, CUTOFF)
    (first,) = torch.autograd.grad(value.sum(), r, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), r)
    return value.item(), first.item(), second.item()


@pytest.mark.parametrize("function", [cosine_cutoff, polynomial_cutoff])
def test_one_and_flat_at_zero(function):
    value, first, _ = derivatives(function, 0.0)
    assert value == 1.0
    assert abs(first) < 1e-15


def test_the_polynomial_vanishes_with_two_derivatives():
    assert max(map(abs, derivatives(polynomial_cutoff, CUTOFF * (1 - 1e-9)))) < 1e-6  # third one times 4e-9 Å
    assert max(map(abs, derivatives(polynomial_cutoff, CUTOFF * (1 - 1e-9))[:2])) < 1e-13


def test_the_cosine_vanishes_with_one_derivative():
    value, first, second = derivatives(cosine_cutoff, CUTOFF * (1 - 1e-9))
    assert abs(value) < 1e-15
    assert abs(first) < 1e-8
    assert abs(second - torch.pi**2 / (2 * CUTOFF**2)) < 1e-8


@pytest.mark.parametrize("name", ["cosine", "polynomial"])
def test_nothing_beyond(name):
    r = torch.tensor([CUTOFF, CUTOFF + 1e-6, 2 * CUTOFF, 100.0], dtype=torch.float64, requires_grad=True)
    value = envelope(name, r, CUTOFF)
    (slope,) = torch.autograd.grad(value.sum(), r)
    assert torch.equal(value, torch.zeros(4, dtype=torch.float64))
    assert torch.equal(slope, torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize("p", [5, 6])
def test_the_polynomial_falls_monotonically(p):
    u = polynomial_cutoff(torch.linspace(0, CUTOFF, 400, dtype=torch.float64), CUTOFF, p)
    assert (u.diff() <= 1e-15).all()
    assert u.min() >= 0 and u.max() == 1
