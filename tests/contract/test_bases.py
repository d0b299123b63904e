"""Steerable models in spherical and in Cartesian components: one function; and what that does not imply.

Where both give the same numbers, forces and heads included, the rest of the contract holds for both. Second
derivatives where tensors vanish are computed in other steps, so they are looked at again, as are the symmetries that
the normalisation of the paper on Cartesian tensors must have of its own.
"""

import numpy as np
import pytest
import torch

from contract.every_model import BASES, SYSTEMS, configuration, small
from contract.test_derivatives import ZERO_VECTORS
from equipot import testing
from equipot.potential import Potential
from equipot.testing import as_frame, compare, predict

CARTESIAN = [(name, basis) for name, bases in BASES.items() for basis in bases if basis != "spherical"]


@pytest.fixture(params=CARTESIAN, ids=" ".join)
def cartesian(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A steerable architecture, and a Cartesian basis of it."""
    return request.param


def twin(architecture: str, targets: str) -> tuple[Potential, Potential]:
    """The same weights in both bases."""
    spherical = small(architecture, targets, torch.float64, "spherical")
    other = Potential(configuration(architecture, targets, "cartesian"), spherical.statistics).double()
    other.load_state_dict(spherical.state_dict())
    return spherical, other


@pytest.mark.parametrize("architecture", list(BASES))
def test_the_same_weights_are_the_same_function(architecture):
    """Every output of every head, forces, stress and virials, of every kind of system."""
    spherical, cartesian = twin(architecture, "everything")
    assert cartesian.model.basis.dim(2) == 9 and spherical.model.basis.dim(2) == 5
    for name, frame in SYSTEMS.items():
        residuals = compare(spherical, predict(cartesian, frame), predict(spherical, frame))
        assert {"energy", "forces", "charges", "octupole", "irreps_atom"} <= set(residuals)
        assert testing.worst(residuals) < 1e-10, (name, residuals)


@pytest.mark.parametrize("check", [testing.rotation, testing.reflection], ids=lambda check: check.__name__)
@pytest.mark.parametrize("system", ["molecule", "bulk"])
def test_symmetry(check, cartesian, system):
    name, basis = cartesian
    residuals = check(small(name, "everything", torch.float64, basis), SYSTEMS[system])
    assert testing.worst(residuals) < 1e-10, residuals


def test_symmetry_in_single_precision(cartesian):
    name, basis = cartesian
    residuals = testing.rotation(small(name, "everything", torch.float32, basis), SYSTEMS["molecule"])
    assert testing.worst(residuals) < 1e-4, residuals


def test_derivatives(cartesian):
    name, basis = cartesian
    potential = small(name, "scalars only", torch.float64, basis)
    assert testing.forces_by_differences(potential, SYSTEMS["molecule"], max_components=9) < 1e-7
    assert testing.worst(testing.second_derivatives(potential, SYSTEMS["molecule"])) < 1e-7
    assert testing.worst(testing.isolated_atoms(potential)) == 0.0
    assert testing.worst(testing.cutoff_jump(potential)) < 1e-7


@pytest.mark.parametrize("system", list(ZERO_VECTORS))
def test_second_derivatives_where_vectors_vanish(cartesian, system):
    name, basis = cartesian
    potential, frame = small(name, "scalars only", torch.float64, basis), as_frame(ZERO_VECTORS[system])
    matrix = testing.hessian(potential, frame)
    assert torch.isfinite(matrix).all()
    assert torch.allclose(matrix, matrix.T, atol=1e-10 * float(matrix.abs().max()))
    assert np.isfinite(testing.force_loss_gradient(potential, [frame]))
