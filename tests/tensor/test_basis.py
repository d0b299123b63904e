import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from equipot.tensor import tables
from equipot.tensor.basis import (
    Cartesian,
    Spherical,
    directions,
    get_basis,
    solid_harmonics,
    spherical_harmonics,
)
from tensor.cartesian import unit_tensor

pytestmark = pytest.mark.usefixtures("float64")
BASES = [Spherical(), Cartesian(), Cartesian("published")]
TRIPLES = [(a, b, c) for a in range(4) for b in range(4) for c in range(abs(a - b), min(a + b, 4) + 1)]


def isometry(l):
    return torch.from_numpy(tables.isometry(l).copy())


@pytest.mark.parametrize("l", range(7))
def test_harmonics_are_those_of_e3nn(l):
    o3 = pytest.importorskip("e3nn.o3")
    vectors = torch.randn(4, 5, 3)
    expected = o3.spherical_harmonics(l, vectors, normalize=True, normalization="component")
    torch.testing.assert_close(Spherical().harmonics(vectors, l), expected, rtol=0, atol=1e-12)


def test_couplings_are_those_of_e3nn_with_their_sign():
    o3 = pytest.importorskip("e3nn.o3")
    for l1, l2, l3 in TRIPLES:
        expected = o3.wigner_3j(l1, l2, l3, dtype=torch.float64)
        found = torch.from_numpy(tables.wigner_3j(l1, l2, l3))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("l", range(5))
def test_cartesian_harmonics_are_unit_tensors(rng, l):
    r = rng.normal(size=3)
    expected = torch.from_numpy(unit_tensor(r / (r @ r) ** 0.5, l).reshape(-1))
    published = Cartesian("published").harmonics(torch.from_numpy(r), l)
    torch.testing.assert_close(published, expected, rtol=0, atol=1e-13)
    isometric = Cartesian().harmonics(torch.from_numpy(r), l)
    factor = ((2 * l + 1) / tables.unit_tensor_factor(l)) ** 0.5
    torch.testing.assert_close(isometric, factor * expected, rtol=0, atol=1e-12)
    assert isometric.square().sum().item() == pytest.approx(2 * l + 1, rel=1e-12)


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_couple_is_the_same_in_all_bases(triple):
    l1, l2, l3 = triple
    x, y = torch.randn(2, 3, 2 * l1 + 1, 4), torch.randn(2, 3, 2 * l2 + 1, 4)
    expected = Spherical().couple(x, l1, y, l2, l3)
    for basis in BASES:
        q1, q2, q3 = (basis.to_spherical(l) for l in triple)
        found = basis.couple(q1 @ x, l1, q2 @ y, l2, l3)
        gain = basis.coupling_gain(*triple)
        torch.testing.assert_close(found, gain * (q3 @ expected), rtol=0, atol=1e-12)
        dense = torch.einsum("kab,...ac,...bc->...kc", basis.coupling(*triple), q1 @ x, q2 @ y)
        torch.testing.assert_close(found, dense, rtol=0, atol=1e-12)


@pytest.mark.parametrize("basis", BASES, ids=lambda basis: basis.name)
@pytest.mark.parametrize("channels", [4, 1], ids=["as many", "one for all"])
def test_several_degrees_at_once_are_those_one_by_one(basis, channels):
    for l1, l2 in {(a, b) for a, b, _ in TRIPLES}:
        x, y = (basis.to_spherical(l) @ torch.randn(3, 2 * l + 1, n) for l, n in ((l1, 4), (l2, channels)))
        reached = [c for a, b, c in TRIPLES if (a, b) == (l1, l2)]
        for degrees in (reached, reached[:1], reached[::-2]):
            found = basis.couple_to(x, l1, y, l2, degrees)
            for l3, part in zip(degrees, found, strict=True):
                torch.testing.assert_close(part, basis.couple(x, l1, y, l2, l3), rtol=0, atol=1e-12)


def test_published_couple_of_one_direction_is_its_unit_tensor():
    basis, r = Cartesian("published"), torch.randn(5, 3)
    for l1, l2, l3 in [t for t in TRIPLES if sum(t) % 2 == 0]:
        x, y, z = (basis.harmonics(r, l).unsqueeze(-1) for l in (l1, l2, l3))
        torch.testing.assert_close(basis.couple(x, l1, y, l2, l3), z, rtol=0, atol=1e-12)


@pytest.mark.parametrize("basis", BASES, ids=lambda b: b.name)
def test_packed_harmonics_keep_the_order_given(basis):
    r = torch.randn(5, 3)
    expected = torch.cat([basis.harmonics(r, l) for l in (2, 0, 1)], dim=-1)
    torch.testing.assert_close(basis.packed_harmonics(r, (2, 0, 1)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("basis", BASES, ids=lambda b: b.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_zero_vector_has_finite_harmonics_and_derivatives(basis, dtype):
    vectors = torch.tensor([[0.0, 0, 0], [0.3, -1, 2]], dtype=dtype, requires_grad=True)
    y = basis.packed_harmonics(vectors, range(5))
    assert (y[0, 0] == 1) and (y[0, 1:] == 0).all()
    weights = torch.randn_like(y)
    (first,) = torch.autograd.grad((weights * y.square()).sum() + y.sum(), vectors, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum() + first.sum(), vectors, create_graph=True)
    (third,) = torch.autograd.grad(second.square().sum(), vectors)
    for derivative in (first, second, third):
        assert derivative.isfinite().all()
        assert (derivative[0] == 0).all()
    assert (first[1] != 0).all()


def test_harmonics_do_not_depend_on_the_length():
    r = torch.randn(5, 3)
    for scale in (1e-9, 1e6):
        found = Spherical().packed_harmonics(scale * r, range(5))
        torch.testing.assert_close(found, Spherical().packed_harmonics(r, range(5)), rtol=0, atol=1e-12)
    torch.testing.assert_close(directions(r).norm(dim=-1), torch.ones(5))


def test_solid_harmonics_grow_with_the_length_and_are_smooth_at_zero():
    r = torch.randn(5, 3)
    length = r.norm(dim=-1, keepdim=True)
    pairs = zip(solid_harmonics(r, 4), spherical_harmonics(r, 4), strict=True)
    for l, (solid, surface) in enumerate(pairs):
        torch.testing.assert_close(solid, length**l * surface, rtol=1e-12, atol=1e-12)
    slopes = torch.autograd.functional.jacobian(lambda v: solid_harmonics(v, 2)[1], torch.zeros(3))
    torch.testing.assert_close(slopes, 3**0.5 * torch.eye(3))


def test_derivatives_of_the_harmonics():
    r = torch.randn(3, 3, requires_grad=True)

    def packed(v):
        return Spherical().packed_harmonics(v, range(5))

    assert gradcheck(packed, r)
    assert gradgradcheck(packed, r)


def test_harmonics_of_nothing():
    for basis in BASES:
        assert basis.packed_harmonics(torch.zeros(0, 3), (0, 1, 2)).shape[0] == 0


def test_a_basis_by_name():
    for basis in BASES:
        assert get_basis(basis.name).name == basis.name
        assert [basis.dim(l) for l in range(3)] == [
            basis.harmonics(torch.ones(3), l).shape[0] for l in range(3)
        ]
    with pytest.raises(ValueError, match="'spherical', 'cartesian'"):
        get_basis("polar")


@pytest.mark.noshapes
def test_an_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="'isometric' or 'published'"):
        Cartesian("other")  # pyright: ignore
