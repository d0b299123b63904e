"""Forces and stress are derivatives of the energy, which can be differentiated again."""

import numpy as np
import pytest
import torch
from ase import Atoms

from contract.every_model import SYSTEMS, fast, small
from equipot import testing
from equipot.testing import as_frame

# Five-point differences leave step⁴ f⁽⁵⁾/30 ≈ 1e-14 (large where norms vanish) and round-off/step ≈ 1e-10.
DIFFERENCES = 1e-7


@pytest.fixture(params=[small, fast], ids=["layers", "tables"])
def potential(architecture, request):
    """In double precision, computed by layers and from tables."""
    return request.param(architecture, "scalars only", torch.float64)


def test_forces(potential, system):
    assert testing.forces_by_differences(potential, SYSTEMS[system]) < DIFFERENCES


@pytest.mark.parametrize("name", ["bulk", "thin cell"])
def test_stress(potential, name):
    assert testing.stress_by_differences(potential, SYSTEMS[name]) < DIFFERENCES


@pytest.mark.parametrize("name", ["bulk", "thin cell"])
def test_virials_of_atoms_sum_to_the_stress(potential, name):
    assert testing.virials_sum(potential, SYSTEMS[name]) < 1e-10


def test_second_derivatives(architecture, system):
    potential = small(
        architecture, "scalars only", torch.float64
    )  # those of tables jump, if little, at their knots
    residuals = testing.second_derivatives(potential, SYSTEMS[system])
    assert residuals["asymmetry"] < 1e-10
    assert residuals["differences"] < DIFFERENCES


# Where vectors vanish by symmetry: √(Σ v²) without care has no derivatives there.
ZERO_VECTORS = {
    "isolated atom": Atoms("C"),
    "linear molecule": Atoms("HCCH", positions=[[x, 0.0, 0.0] for x in (-1.66, -0.6, 0.6, 1.66)]),
    "centrosymmetric crystal": Atoms(
        "CO", positions=[[0, 0, 0], [1.6, 1.6, 1.6]], cell=np.eye(3) * 3.2, pbc=True
    ),
    "pair at the cutoff": Atoms("CO", positions=[[0, 0, 0], [3.0, 0, 0]]),
}


@pytest.mark.parametrize("name", list(ZERO_VECTORS))
def test_second_derivatives_where_vectors_vanish(potential, name):
    matrix = testing.hessian(potential, as_frame(ZERO_VECTORS[name]))
    assert torch.isfinite(matrix).all()
    assert torch.allclose(matrix, matrix.T, atol=1e-10 * float(matrix.abs().max()))


@pytest.mark.parametrize("name", list(ZERO_VECTORS))
def test_training_on_forces_where_vectors_vanish(architecture, dtype, name):
    potential = small(architecture, "scalars only", dtype)
    assert np.isfinite(testing.force_loss_gradient(potential, [as_frame(ZERO_VECTORS[name])]))


def test_both_precisions_give_the_same_forces(architecture, system):
    """Single precision changes forces by its round-off, 6e-8 times some hundred operations; so do tables."""
    double = testing.predict(small(architecture, "scalars only", torch.float64), SYSTEMS[system])
    size = max(float(double.forces.abs().max()), 1e-2)
    for build in (small, fast):
        single = testing.predict(build(architecture, "scalars only", torch.float32), SYSTEMS[system])
        assert float((single.forces - double.forces).abs().max()) / size < 1e-4
