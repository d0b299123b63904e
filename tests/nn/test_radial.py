"""Radial bases against their formulas, at zero, and in both precisions."""

import math

import pytest
import torch

from equipot.nn.radial import Bessel, ExpNormal, Gaussian, radial_basis

CUTOFF = 4.0


@pytest.fixture
def r():
    return torch.linspace(0.3, CUTOFF, 50, dtype=torch.float64)


def test_bessel_functions_are_orthonormal():
    """∫ b_m b_n r² dr = δ_mn on [0, r_c]: what the prefactor √(2/r_c) is for."""
    r = torch.linspace(0, CUTOFF, 20001, dtype=torch.float64)
    b = Bessel(6, CUTOFF).double()(r)
    overlap = torch.trapezoid(b[:, :, None] * b[:, None, :] * r[:, None, None].square(), r, dim=0)
    torch.testing.assert_close(overlap, torch.eye(6, dtype=torch.float64), atol=1e-6, rtol=0)  # trapezoids


def test_bessel_functions_vanish_at_the_cutoff(r):
    values = Bessel(6, CUTOFF).double()(r)
    expected = torch.stack(
        [math.sqrt(2 / CUTOFF) * torch.sin(n * math.pi * r / CUTOFF) / r for n in range(1, 7)], 1
    )
    torch.testing.assert_close(values, expected, rtol=1e-13, atol=1e-15)
    assert values[-1].abs().max() < 1e-14


def test_bessel_functions_are_finite_at_zero_with_their_derivatives():
    r = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    values = Bessel(6, CUTOFF).double()(r)
    limit = math.sqrt(2 / CUTOFF) * torch.arange(1, 7, dtype=torch.float64) * math.pi / CUTOFF
    torch.testing.assert_close(values[0], limit, rtol=1e-9, atol=0)  # r is held at 1e-6: error r²
    (first,) = torch.autograd.grad(values.sum(), r, create_graph=True)
    (second,) = torch.autograd.grad(first.sum() + 0 * r.sum(), r)
    assert torch.isfinite(first).all() and torch.isfinite(second).all()


def test_gaussians_overlap_at_their_spacing(r):
    values = Gaussian(9, CUTOFF).double()(torch.arange(9, dtype=torch.float64) * CUTOFF / 8)
    torch.testing.assert_close(values.diagonal(), torch.ones(9, dtype=torch.float64))
    torch.testing.assert_close(values.diagonal(1), torch.full((8,), math.exp(-0.5), dtype=torch.float64))


@pytest.mark.parametrize("name", ["bessel", "gaussian"])
def test_a_model_made_in_single_precision_is_the_same_in_double(name, r):
    """Constants rounded to float32 would make two models of one."""
    converted = radial_basis(name, 7, 3.7).double()
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    made = radial_basis(name, 7, 3.7)
    torch.set_default_dtype(before)
    assert torch.equal(converted(r), made(r))


@pytest.mark.parametrize("name", ["bessel", "gaussian"])
def test_constants_are_not_saved(name):
    assert not radial_basis(name, 7, 3.7).state_dict()


@pytest.mark.parametrize("name", ["bessel", "gaussian"])
def test_no_edges(name):
    assert radial_basis(name, 7, 3.7)(torch.empty(0)).shape == (0, 7)


def test_trainable_frequencies_start_at_the_integers(r):
    fixed, trainable = Bessel(6, CUTOFF).double(), Bessel(6, CUTOFF, trainable=True).double()
    assert torch.equal(fixed(r), trainable(r))
    assert list(dict(trainable.named_parameters())) == ["index"] and not list(fixed.parameters())
    assert torch.equal(trainable.state_dict()["index"], torch.arange(1.0, 7.0, dtype=torch.float64))


def test_the_gradient_of_a_frequency(r):
    """∂b_n/∂n = √(2/r_c) (π/r_c) cos(nπr/r_c)."""
    basis = Bessel(6, CUTOFF, trainable=True).double()
    (found,) = torch.autograd.grad(basis(r).sum(), basis.index)
    n = torch.arange(1, 7, dtype=torch.float64) * math.pi / CUTOFF
    expected = math.sqrt(2 / CUTOFF) * math.pi / CUTOFF * torch.cos(r[:, None] * n).sum(0)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_exponential_normal_functions(r):
    """exp(−β(e^(−5r/r_c) − μ_n)²), centres from e^(−r_c) to 1."""
    first = math.exp(-CUTOFF)
    centers, beta = torch.linspace(first, 1, 7, dtype=torch.float64), (2 / 7 * (1 - first)) ** -2
    expected = torch.exp(-beta * (torch.exp(-5 * r[:, None] / CUTOFF) - centers) ** 2)
    torch.testing.assert_close(ExpNormal(7, CUTOFF).double()(r), expected, rtol=1e-12, atol=1e-15)
    at_zero = ExpNormal(7, CUTOFF).double()(torch.zeros(1, dtype=torch.float64))
    assert at_zero[0, -1] == 1.0 and (at_zero.diff() > 0).all()  # an atom meets itself at the last centre


def test_exponential_normal_functions_in_both_precisions_and_trainable(r):
    fixed, trainable = ExpNormal(7, 3.7), ExpNormal(7, 3.7, trainable=True)
    assert not fixed.state_dict() and not list(fixed.parameters())
    assert sum(p.numel() for p in trainable.parameters()) == 14
    assert torch.equal(fixed.double()(r), trainable.double()(r))
    assert torch.autograd.gradcheck(trainable, r.clone().requires_grad_(True))
