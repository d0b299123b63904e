"""Recordings on a CPU: every operation that the machine knows, what it does not know, and what must be refused."""

import logging

import pytest
import torch
from torch import nn
from torch.nn import functional

from equipot.kernels.cpu import steps
from equipot.kernels.cpu.lowering import LOWERINGS
from equipot.kernels.cpu.recorder import UnrecordableError, recorded
from equipot.tensor import product

TYPES = [torch.float32, torch.float64]


def numbers(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def replayed(function, *given, others):
    """What a function gives for other numbers: by a recording of it, and by itself; and whether PyTorch was needed."""
    place = [t.clone() for t in given]
    found, recording = recorded(lambda: function(*place), place)
    recording.forget()
    for old, new in zip(place, others, strict=True):
        old.copy_(new)
    recording()
    return found, function(*others), any(callable(part) for part in recording._parts)


INDEX = torch.tensor([3, 0, 3, 1, 2])
ELEMENTWISE = {
    "add": lambda x, y: x + y,
    "add with a factor": lambda x, y: torch.add(x, y, alpha=-2.5),
    "add a number": lambda x, y: x + 1.5,
    "subtract": lambda x, y: x - y,
    "subtract from a number": lambda x, y: 3 - x,
    "multiply": lambda x, y: x * y,
    "multiply by a number": lambda x, y: x * 0.3,
    "rows and columns": lambda x, y: x[:, :1] * y[:1] + x.T[:4, :4].sum() * y,
    "divide": lambda x, y: x / y.square().add(1),
    "negate": lambda x, y: -x,
    "root": lambda x, y: x.square().sqrt(),
    "inverse root": lambda x, y: (x.square() + 1).rsqrt(),
    "reciprocal": lambda x, y: (x.square() + 1).reciprocal(),
    "powers": lambda x, y: x**2 + x**3 + (x.abs() + 1) ** 1.5,
    "waves": lambda x, y: x.sin() * y.cos(),
    "exponential": lambda x, y: x.exp(),
    "logistic": lambda x, y: x.sigmoid(),
    "silu": lambda x, y: functional.silu(x),
    "softplus": lambda x, y: functional.softplus(8 * x),
    "clamp": lambda x, y: x.clamp(-0.3, 0.5) + y.clamp(min=0),
    "comparison": lambda x, y: torch.where(x > 0, x, y) + (x < 0.1) * y + (y >= 0).to(y.dtype),
    "masked": lambda x, y: x.clone().masked_fill_(y > 0.2, -1.0),
    "strides": lambda x, y: (x.T.contiguous() + y.T)[::2, 1:],
    "many axes": lambda x, y: x.reshape(2, 2, 5).transpose(0, 2) * 2 + 1,
    "types": lambda x, y: x.to(torch.float32).double() + (x > 0).long().double(),
    "concatenation": lambda x, y: torch.cat([x, y[:, 1:]], dim=1),
    "stack": lambda x, y: torch.stack([x, y], dim=-1),
    "sum": lambda x, y: x.sum() + x.sum(0) + y.sum(1, keepdim=True),
    "norm": lambda x, y: torch.linalg.vector_norm(x, dim=1) + x.norm(),
    "constants": lambda x, y: x + torch.zeros_like(x) + torch.ones(4, 5) + torch.full((5,), 2.0),
    "rows by number": lambda x, y: x[INDEX[:4]] + x.index_select(0, INDEX[:4]),
    "numbers by place": lambda x, y: x[torch.arange(4), INDEX[:4]],
    "sum into rows": lambda x, y: torch.zeros(5, 5, dtype=x.dtype).index_add(0, INDEX[1:], y),
    "in place": lambda x, y: x.clone().add_(y).mul_(2),
    "layer norm": lambda x, y: functional.layer_norm(x, (5,), y[0], y[1]),
    "not known to the machine": lambda x, y: torch.cumsum(x, 0) + torch.erf(y),
    "with an argument not known": lambda x, y: x.sum(0, dtype=torch.float64) + y.double(),
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_operations_give_what_pytorch_gives(name, dtype):
    given, others = ([numbers(4, 5, dtype=dtype, seed=s + k) for k in (1, 2)] for s in (0, 10))
    found, expected, asked = replayed(ELEMENTWISE[name], *given, others=others)
    tolerance = 2e-6 if dtype == torch.float32 or name == "types" else 1e-13
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    assert asked == ("not known" in name)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "name", ["silu", "softplus", "logistic", "norm", "layer norm", "numbers by place", "stack"]
)
def test_gradients_are_recorded(name, dtype):
    def gradient(x, y):
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(ELEMENTWISE[name](x, y).square().sum(), x)[0]

    given, others = ([numbers(4, 5, dtype=dtype, seed=s + k) for k in (1, 2)] for s in (0, 10))
    found, expected, asked = replayed(gradient, *given, others=others)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 if dtype == torch.float32 else 1e-12)
    assert not asked


@pytest.mark.parametrize("rows", [0, 1, 5, 6, 7, 23])
@pytest.mark.parametrize("columns", [1, 7, 8, 16, 33, 64])
@pytest.mark.parametrize("dtype", TYPES)
def test_products_of_any_size(rows, columns, dtype):
    inner, weight = 19, numbers(columns, 19, dtype=dtype)
    bias = numbers(columns, dtype=dtype, seed=1)

    def products(x, w):
        return x @ weight.T, functional.linear(x, weight, bias), x @ w, (w.T @ x.T).sum(0)

    given, others = ([numbers(rows, inner, dtype=dtype, seed=s), numbers(inner, columns, dtype=dtype, seed=s + 1)]
                     for s in (2, 5))  # fmt: skip
    found, expected, asked = replayed(products, *given, others=others)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=10 * tolerance)
    assert not asked


def test_products_by_threads_and_of_many_matrices():
    weight = numbers(64, 200)

    def products(x, y):
        return x @ weight.T, torch.bmm(y, y.transpose(1, 2)), weight[:3, :4].expand(6, 3, 4) @ y

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        given, others = ([numbers(300, 200, seed=s), numbers(6, 4, 5, seed=s)] for s in (1, 2))
        assert steps.SERIAL_PRODUCT < 300 * 200 * 64
        found, expected, asked = replayed(products, *given, others=others)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert not asked


def test_products_by_onednn_become_the_same_step(monkeypatch):
    monkeypatch.setattr(product, "reason_against", lambda: None)
    monkeypatch.delenv("EQUIPOT_KERNELS", raising=False)
    weight, bias = (numbers(*shape, dtype=torch.float32, seed=3) for shape in ((256, 128), (256,)))

    def layer(x):
        return product.linear(x, weight, bias)

    given, others = ([numbers(100, 128, dtype=torch.float32, seed=s)] for s in (1, 2))
    assert given[0].numel() * 256 >= product.FEWEST
    found, expected, asked = replayed(layer, *given, others=others)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not asked


def test_networks_and_their_gradients():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 32), nn.SiLU(), nn.LayerNorm(32), nn.Linear(32, 1)).double()
    network.requires_grad_(False)

    def gradient(x):
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(network(x).sum(), x)

    found, expected, asked = replayed(gradient, numbers(7, 5), others=[numbers(7, 5, seed=3)])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert not asked


def test_what_does_not_change_is_not_computed_again():
    weight = numbers(5, 5)
    _, recording = recorded(lambda: weight @ weight, [numbers(3)])
    assert not recording._parts


def test_constants_that_are_changed_begin_anew():
    def counted(x):
        sums = torch.zeros(3, dtype=x.dtype)
        sums[1] = 5.0
        sums.add_(x)
        return sums

    found, expected, _ = replayed(counted, numbers(3), others=[numbers(3, seed=1)])
    torch.testing.assert_close(found, expected)


def test_looking_at_numbers_that_change_is_refused():
    x = numbers(3)
    with pytest.raises(UnrecordableError, match="looks at numbers that change"):
        recorded(lambda: x * 2 if float(x[0]) > 0 else x, [x])
    recorded(lambda: x * float(torch.ones(1)), [x])  # a constant may be looked at


def test_nothing_is_left_over_from_the_recording():
    x = numbers(3)
    found, recording = recorded(lambda: x * 2, [x])
    recording.forget()
    assert found.isnan().all()
    recording()
    torch.testing.assert_close(found, x * 2)


def test_a_wrong_step_is_refused(monkeypatch, caplog):
    """The machine adds where it should multiply: the potential computes as ever, and says why."""
    from contract.every_model import SYSTEMS, small
    from equipot.potential import Replayed
    from equipot.testing.evaluation import batch

    operation = torch.ops.aten.silu.default
    monkeypatch.setitem(LOWERINGS, operation, LOWERINGS[torch.ops.aten.sigmoid.default])
    potential = small("painn", "scalars only", torch.float64)
    given = batch(potential, [SYSTEMS["molecule"]])
    replayed_potential = Replayed(potential)
    with caplog.at_level(logging.WARNING, logger="equipot"):
        found = replayed_potential(given, forces=True)
    assert "what was recorded differs" in caplog.text and replayed_potential.refused is not None
    torch.testing.assert_close(found.forces, potential(given, forces=True).forces)
