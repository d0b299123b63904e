"""The plain sum over neighbors."""

import pytest
import torch

from equipot.data.collate import batch_of
from equipot.kernels import edge_sum
from equipot.testing import far_atoms, molecule

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("rest", [(), (3,), (5, 2)])
def test_the_sum_over_neighbors(rest):
    batch = batch_of([molecule((1, 6)), molecule((1, 6), 3)], (1, 6), 3.0)
    values = torch.randn(len(batch.receivers), *rest, requires_grad=True)
    expected = torch.zeros(batch.num_atoms, *rest)
    for e, i in enumerate(batch.receivers.tolist()):
        expected[i] += values[e].detach()
    torch.testing.assert_close(edge_sum(values, batch).detach(), expected, rtol=0, atol=1e-14)
    assert torch.autograd.gradgradcheck(lambda v: edge_sum(v, batch).square(), values)


def test_atoms_without_neighbors():
    batch = batch_of([far_atoms((1, 6), 3.0)], (1, 6), 3.0)
    assert torch.equal(edge_sum(torch.zeros(0, 4), batch), torch.zeros(2, 4))
