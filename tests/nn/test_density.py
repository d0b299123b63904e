"""Neighbor densities against a sum written edge by edge, path by path."""

import pytest
import torch

from equipot.data.collate import batch_of
from equipot.nn.density import DensityProjection
from equipot.tensor.basis import get_basis
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irrep, Irreps, products
from equipot.testing import crystal, molecule

pytestmark = pytest.mark.usefixtures("float64")
ELEMENTS, CUTOFF, CHANNELS, L_MAX = (1, 6, 8), 3.0, 3, 2
EVERYTHING = [Irrep(l, p) for l in range(L_MAX + 1) for p in (1, -1)]
BASES = ["spherical", "cartesian", "cartesian-published"]


@pytest.fixture
def batch():
    return batch_of([molecule(ELEMENTS), crystal(ELEMENTS)], ELEMENTS, CUTOFF)


def inputs(batch, density, irreps, basis):
    harmonics = basis.packed_harmonics(batch.vectors(), range(L_MAX + 1))
    weights = torch.randn(batch.senders.shape[0], density.num_paths, CHANNELS)
    blocks = (basis.to_spherical(i.l) @ torch.randn(batch.num_atoms, i.dim, n) for n, i in irreps)
    return Features(irreps, tuple(blocks)), harmonics, weights


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("even_only", [False, True])
def test_the_sum_over_paths_and_neighbors(batch, name, even_only):
    basis, irreps = get_basis(name), Irreps.uniform(CHANNELS, ["0e", "0o", "1o", "1e", "2e"])
    density = DensityProjection(irreps, CHANNELS, L_MAX, EVERYTHING, name, even_only=even_only)
    x, harmonics, weights = inputs(batch, density, irreps, basis)
    found = density(x, harmonics, weights, batch)

    sums: dict[Irrep, list[torch.Tensor]] = {}
    paths = [
        (a, l, c) for a in irreps.labels for l in range(L_MAX + 1) for c in products(a, Irrep.natural(l))
    ]
    paths = [(a, l, c) for a, l, c in paths if c.l <= L_MAX and not (even_only and (a.l + l - c.l) % 2)]
    paths.sort(key=lambda path: path[2])  # stable: by irrep of the result, then as in the input
    for p, (a, l, c) in enumerate(paths):
        total = torch.zeros(batch.num_atoms, basis.dim(c.l), CHANNELS)
        for e, (i, j) in enumerate(zip(batch.receivers, batch.senders, strict=True)):
            y = basis.harmonics(batch.vectors()[e], l)[:, None]
            total[i] += weights[e, p] * basis.couple(x[a][j], a.l, y, l, c.l)
        sums.setdefault(c, []).append(total)

    assert density.num_paths == len(paths)
    assert found.irreps == density.irreps_out
    assert found.irreps.labels == tuple(sums)
    for irrep, parts in sums.items():
        torch.testing.assert_close(found[irrep], torch.cat(parts, dim=-1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", BASES)
def test_without_features_the_harmonics_are_summed(batch, name):
    basis = get_basis(name)
    density = DensityProjection(None, CHANNELS, L_MAX, EVERYTHING, name)
    assert str(density.irreps_out) == "3x0e + 3x1o + 3x2e" and density.num_paths == 3
    _, harmonics, weights = inputs(batch, density, Irreps.parse("1x0e"), basis)
    found = density(None, harmonics, weights, batch)
    for l, block in enumerate(found.blocks):
        y = basis.harmonics(batch.vectors(), l)
        terms = y[:, :, None] * weights[:, l, None]
        expected = torch.zeros(batch.num_atoms, basis.dim(l), CHANNELS).index_add(0, batch.receivers, terms)
        torch.testing.assert_close(block, expected, rtol=0, atol=1e-13)


def test_only_what_is_wanted_is_made(batch):
    irreps = Irreps.parse("3x0e + 3x1o")
    density = DensityProjection(irreps, CHANNELS, 1, [Irrep.parse("1e"), Irrep.parse("3o")], "spherical")
    assert str(density.irreps_out) == "3x1e"  # no path makes 3o
    assert density.num_paths == 1


def test_unequal_channels_are_refused():
    with pytest.raises(ValueError, match=r"found '3x0e \+ 2x1o'; expected 3 channels of each irrep"):
        DensityProjection(Irreps.parse("3x0e + 2x1o"), 3, 1, EVERYTHING, "spherical")
