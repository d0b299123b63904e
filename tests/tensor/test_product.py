"""Products of matrices by oneDNN: numbers and derivatives of PyTorch's own, where it is right and faster."""

import logging

import pytest
import torch
from torch import nn

from equipot.nn.dense import Linear
from equipot.tensor import product as products
from equipot.tensor.linear import mixed
from equipot.tensor.product import FEWEST, Product, linear, product

AMD = ("AuthenticAMD", {"avx2", "avx512f"})
needs_onednn = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")),
    reason="PyTorch was built without oneDNN",
)


@pytest.fixture
def everywhere(monkeypatch):
    """As on a processor where it is faster; what was multiplied by it."""
    monkeypatch.setattr(products, "reason_against", lambda: None)
    monkeypatch.delenv("EQUIPOT_KERNELS", raising=False)
    return counted(monkeypatch)


@pytest.fixture
def undecided():
    """The decision is made anew, and nobody keeps what the test makes of it."""
    products.reason_against.cache_clear()
    yield
    products.reason_against.cache_clear()


def counted(monkeypatch):
    asked, apply = [], Product.apply

    def counting(a, b, bias):
        asked.append((tuple(a.shape), tuple(b.shape)))
        return apply(a, b, bias)

    monkeypatch.setattr(Product, "apply", counting)
    return asked


def numbers(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@needs_onednn
@pytest.mark.parametrize("columns", [130, 300])  # narrow and wide: gradients of weights by MKL, and by it
@pytest.mark.parametrize("transposed", [False, True])
def test_values_and_derivatives_up_to_the_second(everywhere, columns, transposed):
    found, expected = (
        derivatives(numbers(300, 140, dtype=t), numbers(140, columns, seed=1, dtype=t), transposed)
        for t in (torch.float32, torch.float64)
    )
    assert {a for a, _ in everywhere} >= {(300, 140), (300, columns)}
    assert ((140, 300) in {a for a, _ in everywhere}) == (columns == 300)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def derivatives(a, b, transposed):
    """A curved function of a product, its gradients, and theirs."""
    bias = numbers(b.shape[1], seed=2, dtype=a.dtype)
    b = b.T.contiguous().T if transposed else b
    given = [t.requires_grad_(True) for t in (a, b, bias)]
    out = product(*given)
    first = torch.autograd.grad(out.square().mean(), given, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), given)
    return [t.detach() for t in (out, *first, *second)]


@needs_onednn
def test_expanded_gradients_are_multiplied(everywhere):
    """A sum sends back ones that are one number in memory."""
    a, b = numbers(300, 140).requires_grad_(True), numbers(140, 300).requires_grad_(True)
    gradients = torch.autograd.grad(product(a, b).sum(), (a, b))
    torch.testing.assert_close(gradients[0], b.sum(1).expand(300, 140), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradients[1], a.sum(0)[:, None].expand(140, 300), rtol=1e-4, atol=1e-4)


@needs_onednn
def test_layers_use_it_whatever_rows_they_get(everywhere):
    layer, x = Linear(128, 128), numbers(40, 9, 128)
    expected = nn.functional.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mixed(x, layer.weight), x @ layer.weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(linear(x[:, 0], layer.weight), x[:, 0] @ layer.weight.T, rtol=1e-4, atol=1e-5)
    assert everywhere == [((360, 128), (128, 128))] * 2


def test_what_stays_with_pytorch(everywhere, monkeypatch):
    large, weight = numbers(300, 128), numbers(128, 128)
    rows = (FEWEST - 1) // 128**2
    pairs = [
        (large[:rows], weight),  # small
        (large.double(), weight.double()),
        (large.T.contiguous().T, weight),  # would be copied for a few columns
    ]
    for a, b in pairs:
        assert torch.equal(product(a, b), a @ b)
    monkeypatch.setenv("EQUIPOT_KERNELS", "reference")
    assert torch.equal(product(large, weight), large @ weight)
    assert everywhere == []


def test_it_is_not_traced(everywhere):
    traced = torch.export.export(Linear(128, 128), (numbers(300, 128),))
    assert not any("mkldnn" in str(node.target) for node in traced.graph.nodes)
    assert everywhere == []


@pytest.mark.parametrize(
    "processor", [("GenuineIntel", {"avx512f"}), ("AuthenticAMD", {"avx2"}), ("", set())], ids=str
)
def test_only_where_mkl_leaves_instructions_unused(undecided, monkeypatch, processor):
    monkeypatch.setattr(products, "_processor", lambda: processor)
    assert products.reason_against() is not None
    assert products.status().startswith("PyTorch's own")


@needs_onednn
def test_a_product_that_disagrees_is_refused(undecided, monkeypatch, caplog):
    monkeypatch.delenv("EQUIPOT_KERNELS", raising=False)
    monkeypatch.setattr(products, "_processor", lambda: AMD)
    assert products.reason_against() is None and products.status().startswith("oneDNN")
    products.reason_against.cache_clear()
    monkeypatch.setattr(Product, "apply", lambda a, b, bias: a @ b + 1.001 * bias)
    with caplog.at_level(logging.WARNING, "equipot"):
        a, b = numbers(300, 128), numbers(128, 128)
        assert torch.equal(product(a, b), a @ b)
    assert "oneDNN's product of matrices was refused" in caplog.text
    assert "differs from it by" in products.status()


def test_the_reference_is_said(monkeypatch):
    monkeypatch.setenv("EQUIPOT_KERNELS", "reference")
    assert products.status() == "PyTorch's own, because EQUIPOT_KERNELS=reference"
