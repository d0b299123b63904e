"""The norm over the atoms of a system."""

import pytest
import torch

from equipot.data.collate import batch_of
from equipot.nn.instance_norm import InstanceNorm
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps
from equipot.testing import molecule, one_atom

pytestmark = pytest.mark.usefixtures("float64")
IRREPS = Irreps.parse("3x0e + 2x0o + 4x1o + 2x2e")
FRAMES = [molecule((1, 6, 8), 6), molecule((1, 6, 8), 4, seed=2)]


def features(num_atoms, basis="spherical"):
    stored = get_basis(basis).to_spherical
    return Features(
        IRREPS, tuple(stored(i.l) @ (1 + 3 * torch.randn(num_atoms, i.dim, n)) for n, i in IRREPS)
    )


@torch.no_grad()
@pytest.mark.parametrize("basis", ["spherical", "cartesian"])
def test_every_system_has_unit_power_and_centred_scalars(basis):
    """Up to ε = 1e-5 beside a mean square of about ten."""
    found = InstanceNorm(IRREPS)(features(10, basis), batch_of(FRAMES, (1, 6, 8), 3.0))
    for irrep in IRREPS.labels:
        for rows in (found[irrep][:6], found[irrep][6:]):
            power = rows.square().sum(1).mean(0) / irrep.dim
            torch.testing.assert_close(power, torch.ones_like(power), rtol=1e-5, atol=0)
            if irrep.l == 0:
                assert rows.mean(0).abs().max() < 1e-14


@torch.no_grad()
def test_weights_and_bias():
    norm, x, batch = InstanceNorm(IRREPS), features(10), batch_of(FRAMES, (1, 6, 8), 3.0)
    before = norm(x, batch)
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    after = norm(x, batch)
    for irrep in IRREPS.labels:
        expected = before[irrep] * norm.weights[str(irrep)]
        expected = expected + norm.bias if str(irrep) == "0e" else expected
        torch.testing.assert_close(after[irrep], expected, rtol=0, atol=1e-14)


def test_one_atom_and_vanishing_features_have_finite_derivatives():
    batch = batch_of([one_atom(6)], (6,), 3.0)
    blocks = tuple(torch.zeros(1, i.dim, n, requires_grad=True) for n, i in IRREPS)
    out = InstanceNorm(IRREPS)(Features(IRREPS, blocks), batch)
    gradients = torch.autograd.grad(
        sum(b.square().sum() + b.sum() for b in out.blocks), blocks, create_graph=True
    )
    second = torch.autograd.grad(sum(g.sum() for g in gradients), blocks)
    assert all(torch.isfinite(g).all() for g in (*gradients, *second))
