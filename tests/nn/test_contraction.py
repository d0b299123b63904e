"""Products of a feature with itself against sums written down with explicit tensors."""

import math

import pytest
import torch

from equipot.nn.contraction import SymmetricContraction
from equipot.nn.iterated import IteratedProduct
from equipot.tensor import symmetric
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features, from_spherical, in_spherical
from equipot.tensor.irreps import Irrep, Irreps
from equipot.testing import representation
from nn.products import explicit_contraction
from tensor.cartesian import random_orthogonal

pytestmark = pytest.mark.usefixtures("float64")

CHANNELS, ATOMS, ELEMENTS = 3, 5, 2
WANTED = [Irrep.natural(l) for l in range(3)]
# Polynomials of third order with a few hundred terms of order one, summed in different orders.
ROUND_OFF = {"rtol": 1e-12, "atol": 1e-12}
EVALUATIONS = ["couplings", "tensors"]


def irreps_up_to(l_max, channels=CHANNELS):
    return Irreps.uniform(channels, [Irrep.natural(l) for l in range(l_max + 1)])


def random_features(l_max, atoms=ATOMS, channels=CHANNELS):
    blocks = tuple(torch.randn(atoms, 2 * l + 1, channels) for l in range(l_max + 1))
    return Features(irreps_up_to(l_max, channels), blocks)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("evaluation", EVALUATIONS)
@pytest.mark.parametrize("basis", ["spherical", "cartesian"])
def test_contraction_is_the_explicit_sum_over_ordered_paths(order, evaluation, basis):
    l_max = 2
    features, species = random_features(l_max), torch.tensor([0, 1, 1, 0, 1])
    block = SymmetricContraction(features.irreps, WANTED, order, ELEMENTS, basis, evaluation=evaluation)
    found = in_spherical(block(from_spherical(features, get_basis(basis)), species), get_basis(basis))
    assert found.irreps == Irreps.uniform(CHANNELS, WANTED)
    a = torch.cat(features.blocks, dim=1)
    for irrep in WANTED:
        weights = block.weights[str(irrep)].weight
        expected = explicit_contraction(a, weights[species], l_max, order, irrep)
        torch.testing.assert_close(found[irrep], expected, **ROUND_OFF)


@pytest.mark.parametrize("paths", ["ordered", "independent"])
@pytest.mark.parametrize(("l_max", "order"), [(3, 3), (2, 4), (1, 5)])
def test_couplings_and_tensors_are_two_evaluations_of_one_function(paths, l_max, order):
    features, species = random_features(l_max, channels=2), torch.tensor([0, 1, 1, 0, 1])
    found = []
    for evaluation in EVALUATIONS:
        torch.manual_seed(1)
        args = (features.irreps, WANTED, order, ELEMENTS, "spherical")
        found.append(SymmetricContraction(*args, paths=paths, evaluation=evaluation)(features, species))
    for one, other in zip(found[0].blocks, found[1].blocks, strict=True):
        torch.testing.assert_close(one, other, **ROUND_OFF)
        assert one.abs().max() > 0.1


def basis_functions(kind, irrep, **options):
    """Values of every path on sixty random features, [values, paths]: one channel for each path."""
    torch.manual_seed(3)
    one, species = random_features(3, atoms=60, channels=1), torch.zeros(60, dtype=torch.long)
    num_paths = kind(one.irreps, [irrep], 3, None, "spherical", **options).weights[str(irrep)].weight.shape[1]
    features = Features(irreps_up_to(3, num_paths), tuple(b.expand(-1, -1, num_paths) for b in one.blocks))
    block = kind(features.irreps, [irrep], 3, None, "spherical", **options).requires_grad_(False)
    block.weights[str(irrep)].weight.copy_(torch.eye(num_paths)[None])
    return block(features, species)[irrep].flatten(0, 1)


@pytest.mark.parametrize("iterated", ["full", "sym"])
@pytest.mark.parametrize(("l", "rank"), [(0, 1 + 4 + 8), (1, 1 + 3 + 12), (2, 1 + 5 + 14)])
def test_contraction_and_iterated_product_have_the_same_function_space(iterated, l, rank):
    """At order three: ranks of the values of each and of both together."""
    contraction = basis_functions(SymmetricContraction, Irrep.natural(l), paths="independent")
    product = basis_functions(IteratedProduct, Irrep.natural(l), paths=iterated)
    assert contraction.shape[1] == rank
    for values in (contraction, product, torch.cat([contraction, product], dim=1)):
        assert int(torch.linalg.matrix_rank(values, rtol=1e-9)) == rank


BLOCKS = {
    "ordered": (SymmetricContraction, {"paths": "ordered"}),
    "independent": (SymmetricContraction, {"paths": "independent"}),
    "tensors": (SymmetricContraction, {"evaluation": "tensors"}),
    "full": (IteratedProduct, {"paths": "full"}),
    "sym": (IteratedProduct, {"paths": "sym"}),
    "coupled": (IteratedProduct, {"paths": "sym", "coupled": True}),
}


def built(name, l_max=3, order=3, elements=ELEMENTS, basis="spherical"):
    kind, options = BLOCKS[name]
    torch.manual_seed(2)
    return kind(irreps_up_to(l_max), WANTED, order, elements, basis, **options)


@pytest.mark.parametrize("name", list(BLOCKS))
def test_products_turn_and_mirror_with_the_feature(name, rng):
    """1e-12 for polynomials of third order."""
    features, species = random_features(3), torch.tensor([0, 1, 1, 0, 1])
    block = built(name)
    for det in (1, -1):
        q = torch.from_numpy(random_orthogonal(rng, det))

        def turned(x, q=q):
            pairs = zip(x.irreps.labels, x.blocks, strict=True)
            return Features(x.irreps, tuple(representation(i, q) @ b for i, b in pairs))

        expected, found = turned(block(features, species)), block(turned(features), species)
        for one, other in zip(found.blocks, expected.blocks, strict=True):
            torch.testing.assert_close(one, other, **ROUND_OFF)


@pytest.mark.parametrize("name", list(BLOCKS))
def test_both_bases_give_the_same_numbers(name):
    features, species = random_features(3), torch.tensor([0, 1, 1, 0, 1])
    basis = get_basis("cartesian")
    expected = built(name)(features, species)
    found = in_spherical(built(name, basis="cartesian")(from_spherical(features, basis), species), basis)
    for one, other in zip(found.blocks, expected.blocks, strict=True):
        torch.testing.assert_close(one, other, **ROUND_OFF)


@pytest.mark.parametrize("name", list(BLOCKS))
def test_atoms_use_the_weights_of_their_element_or_share_them(name):
    features = random_features(2)
    same = Features(features.irreps, tuple(b[:1].expand(ATOMS, -1, -1) for b in features.blocks))
    species = torch.tensor([0, 1, 1, 0, 1])
    for out in built(name, l_max=2)(same, species).blocks:
        torch.testing.assert_close(out[1], out[4], **ROUND_OFF)
        assert (out[0] - out[1]).abs().max() > 1e-2
    for out in built(name, l_max=2, elements=None)(same, species).blocks:
        torch.testing.assert_close(out, out[:1].expand_as(out), **ROUND_OFF)


def test_the_published_normalisation_multiplies_every_product():
    """(T_l1 ⊗ T_l2)_l3 = T_l3 for equal directions: with one channel and paths all alike, powers of unit tensors."""
    basis = get_basis("cartesian-published")
    direction = torch.nn.functional.normalize(torch.randn(4, 3), dim=-1)
    blocks = tuple(basis.harmonics(direction, l)[..., None] for l in range(3))
    features = Features(irreps_up_to(2, 1), blocks)
    block = IteratedProduct(features.irreps, WANTED, 3, None, "cartesian-published", paths="full")
    for weights in block.weights.values():
        torch.nn.init.ones_(weights.weight)
    found = block(features, torch.zeros(4, dtype=torch.long))
    for irrep, paths in zip(WANTED, (1 + 3 + 11, 1 + 4 + 15, 1 + 4 + 15), strict=True):
        torch.testing.assert_close(found[irrep], paths * features[irrep], **ROUND_OFF)


def test_coupled_channels_mix_every_path_with_its_own_matrix():
    features, species = random_features(2), torch.tensor([0, 1, 1, 0, 1])
    block = built("coupled", l_max=2, order=2)
    basis, a = get_basis("spherical"), features.blocks
    paths = [a[0], a[0] * a[0], basis.couple(a[1], 1, a[1], 1, 0), basis.couple(a[2], 2, a[2], 2, 0)]
    weight = block.mix.weights["0e"].unflatten(1, (4, CHANNELS)) / math.sqrt(4 * CHANNELS * ELEMENTS)
    expected = sum(torch.einsum("aMc,acd->aMd", p, weight[species, n]) for n, p in enumerate(paths))
    torch.testing.assert_close(block(features, species)["0e"], expected, **ROUND_OFF)


def test_weights_start_at_one_over_the_number_of_paths():
    """RMS over 23 · 512 normal numbers is good to 1 %; both forms of weights act with it."""
    weights = (
        SymmetricContraction(irreps_up_to(3, 256), WANTED, 3, 2, "spherical").weights["0e"].weight.detach()
    )
    for rows, n in ((slice(1, 5), 4), (slice(5, 28), 23)):
        assert float(weights[:, rows].square().mean().sqrt()) == pytest.approx(1 / n, rel=0.05)
    mix = IteratedProduct(irreps_up_to(3, 32), WANTED, 3, 2, "spherical", coupled=True).mix
    acting = mix.weights["0e"].detach() / math.sqrt(28 * 32 * 2)
    for rows, n in ((slice(32, 160), 4), (slice(160, 896), 23)):
        expected = 1 / (n * math.sqrt(32))
        assert float(acting[:, rows].square().mean().sqrt()) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("name", list(BLOCKS))
def test_derivatives_of_both_orders(name):
    """Against finite differences, at zero too, where isolated atoms sit."""
    block = built(name, l_max=1, elements=None)
    block.requires_grad_(False)
    species = torch.zeros(1, dtype=torch.long)

    def value(*blocks):
        return torch.cat([b.flatten() for b in block(Features(irreps_up_to(1), blocks), species).blocks])

    for scale in (1.0, 0.0):
        blocks = [(scale * torch.randn(1, 2 * l + 1, CHANNELS)).requires_grad_() for l in range(2)]
        assert torch.autograd.gradcheck(value, blocks)
        assert torch.autograd.gradgradcheck(value, blocks)


def test_a_table_that_does_not_fit_is_refused_and_couplings_do_without(monkeypatch):
    """23 tensors of 16⁴ components need 12 MB; the limit, a gigabyte, is lowered."""
    monkeypatch.setattr(symmetric, "MAX_TABLE_BYTES", 10_000_000)
    args, features = ([Irrep(0, 1)], 4, None, "spherical"), random_features(3, channels=1)
    with pytest.raises(ValueError, match=r"U tensor of order 4 .* GB.*Evaluate by couplings"):
        SymmetricContraction(features.irreps, *args, paths="independent", evaluation="tensors")
    block = SymmetricContraction(features.irreps, *args, paths="independent")
    assert block(features, torch.zeros(ATOMS, dtype=torch.long)).scalars.isfinite().all()


def test_a_feature_with_gaps_is_refused():
    with pytest.raises(ValueError, match=r"expected '4x0e \+ 4x1o'"):
        SymmetricContraction(Irreps.parse("4x0e + 4x2e"), WANTED, 2, 2, "spherical")
