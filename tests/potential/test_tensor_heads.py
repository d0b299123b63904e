"""Heads that read features of degree two and more where a backbone has them, and vectors where it has not."""

from dataclasses import replace

import pytest
import torch

from equipot import testing
from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.potential import PotentialConfig, TargetsConfig
from equipot.potential.potential import _build_heads
from equipot.properties import from_items
from equipot.statistics import Statistics
from equipot.tensor import tables
from equipot.tensor.features import Features
from equipot.tensor.irreps import Irreps
from equipot.testing import (
    chain,
    crystal,
    molecule,
    one_atom,
    predict,
    random_potential,
    representation,
    transformed,
)
from tensor.cartesian import random_orthogonal

ELEMENTS = (1, 6, 8)
MOLECULE = molecule(ELEMENTS)
NEQUIP = {"name": "nequip", "channels": 6, "num_layers": 3, "num_radial": 6, "l_max": 2, "cutoff": 3.0}
PAINN = {"name": "painn", "channels": 8, "num_layers": 2, "num_radial": 6, "cutoff": 3.0}


def potential(model, **targets):
    return random_potential(parse(PotentialConfig, {"model": model, "targets": targets}, "test"), ELEMENTS)


def any_features(model):
    """Random ones, as large as those of a trained model; a fresh NequIP makes small tensors."""
    irreps, batch = model.model.irreps, batch_of([MOLECULE], ELEMENTS, model.cutoff)
    blocks = tuple(torch.randn(batch.num_atoms, i.dim, n, dtype=torch.float64) for n, i in irreps)
    return Features(irreps, blocks), batch


def without(features, *irreps):
    """The same features, some of them zero."""
    pairs = zip(features.irreps.labels, features.blocks, strict=True)
    return Features(features.irreps, tuple(torch.zeros_like(b) if str(i) in irreps else b for i, b in pairs))


def symmetric_parts(t):
    """B_m : t of the symmetric traceless basis."""
    return t.flatten(-2) @ torch.from_numpy(tables.isometry(2).copy())


@pytest.mark.parametrize(
    ("model", "form", "expected"),
    [
        (PAINN, "auto", "vectors"),
        (NEQUIP, "auto", "irreps"),
        ({**NEQUIP, "l_max": 1}, "auto", "vectors"),
        ({**NEQUIP, "l_max": 0}, "auto", "vectors"),
        (NEQUIP, "vectors", "vectors"),
        (NEQUIP, "positions", "positions"),
    ],
)
def test_the_form_of_the_polarizability_goes_by_the_features(model, form, expected):
    assert potential(model, polarizability={"form": form}).heads["polarizability"].form == expected


def test_irreps_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"form=irreps reads 2e, .* features 8x0e \+ 8x1o. Use form=auto"):
        potential(PAINN, polarizability={"form": "irreps"})


@torch.no_grad()
def test_the_polarizability_is_a_trace_and_what_degree_two_reads():
    """α = Σ_i α₀ 1 + Σ_m c_m B_m: five numbers of each atom, and vectors have no part in it."""
    model = potential(NEQUIP, polarizability={})
    head, (features, batch) = model.heads["polarizability"], any_features(model)
    alpha = head(features, batch)
    scalars, c = head.readout(features)
    scale, anisotropic = head.isotropic_scale, head.anisotropic_scale
    torch.testing.assert_close(alpha[0].trace() / 3, scale * scalars.sum())
    torch.testing.assert_close(symmetric_parts(alpha[0]), anisotropic * c[..., 0].sum(0))
    torch.testing.assert_close(alpha, alpha.transpose(1, 2), rtol=0, atol=1e-14)
    assert torch.equal(head(without(features, "1o"), batch), alpha)
    isotropic = head(without(features, "2e"), batch)[0]
    torch.testing.assert_close(isotropic, isotropic[0, 0] * torch.eye(3).double(), rtol=0, atol=1e-14)
    assert symmetric_parts(alpha[0]).abs().min() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize(("parity", "antisymmetric"), [(True, True), (False, False)])
def test_a_matrix_is_read_from_trace_axial_vector_and_degree_two(parity, antisymmetric):
    """Without vectors nothing of the products is left; the axial vector is there if the backbone has 1e."""
    model = potential({**NEQUIP, "parity": parity}, tensors={"t": {"order": 2, "per": "atom", "rank": 3}})
    features, batch = any_features(model)
    both, direct = (model.heads["t"](f, batch) for f in (features, without(features, "1o")))
    assert (both - direct).abs().max() > 1e-2
    assert direct.diagonal(dim1=1, dim2=2).sum(-1).abs().max() > 1e-2
    assert symmetric_parts(direct).abs().max() > 1e-2
    odd = (direct - direct.transpose(1, 2)).abs().max()
    assert odd > 1e-2 if antisymmetric else odd < 1e-14


@torch.no_grad()
def test_a_symmetric_traceless_matrix_reads_degree_two_alone():
    target = {"order": 2, "symmetric": True, "traceless": True, "per": "atom"}
    model = potential(NEQUIP, tensors={"q": target})
    assert list(model.heads["q"].direct.components) == ["2e"]
    assert {str(i) for i in model.model.irreps.labels} == {"0e", "1o", "2e"}  # the last layer makes no 1e


@torch.no_grad()
@pytest.mark.parametrize("order", [3, 4])
def test_higher_orders_read_the_features_of_their_degree(order):
    """What those features add is symmetric and traceless, and turns with the molecule."""
    config = {**NEQUIP, "l_max": order, "channels": 3, "num_layers": 2}
    model = potential(config, tensors={"t": {"order": order, "per": "atom", "rank": 2}})
    features, batch = any_features(model)
    added = model.heads["t"](without(features, "1o"), batch)
    size = added.abs().max()
    assert size > 1e-2
    for a, b in [(1, 2), (2, 3)]:
        assert (added - added.transpose(a, b)).abs().max() < 1e-13 * size
        assert added.diagonal(dim1=a, dim2=b).sum(-1).abs().max() < 1e-13 * size
    for check in (testing.rotation, testing.reflection):
        residuals = check(model, MOLECULE)
        assert testing.worst(residuals) < 1e-10, residuals


def test_born_charges_of_atoms_as_irreps_or_as_matrices():
    """A general 3 × 3 tensor of each atom, all three parts from features, none from products of vectors."""
    targets = {"z": {"irreps": "0e + 1e + 2e", "per": "atom"}, "m": {"order": 2, "per": "atom"}}
    model = potential(NEQUIP, tensors=targets)
    assert [c.direct for c in model.heads["z"].components] == [True, True, True]
    assert list(model.heads["m"].direct.components) == ["0e", "1e", "2e"]
    found = predict(model, MOLECULE).tensors
    assert found["z"].shape == (6, 9) and found["m"].shape == (6, 3, 3)
    for part in found["z"].split([1, 3, 5], dim=1):
        assert part.abs().max() > 0.1
    for check in (testing.rotation, testing.reflection, testing.permutation):
        for frame in (MOLECULE, crystal(ELEMENTS)):
            residuals = check(model, frame)
            assert testing.worst(residuals) < 1e-10, residuals


@torch.no_grad()
def test_a_gated_readout_answers_to_scalars_and_a_linear_one_does_not():
    for kind, answers in (("gated", True), ("linear", False)):
        model = potential(NEQUIP, tensors={"t": {"irreps": "2e", "per": "atom", "readout": kind}})
        features, batch = any_features(model)
        changed = Features(features.irreps, (features.blocks[0] + 1, *features.blocks[1:]))
        difference = model.heads["t"](changed, batch) - model.heads["t"](features, batch)
        assert bool(difference.abs().max() > 1e-3) == answers
        doubled = Features(features.irreps, (features.blocks[0], *(2 * b for b in features.blocks[1:])))
        linear = model.heads["t"](doubled, batch) - 2 * model.heads["t"](features, batch)
        assert bool(linear.abs().max() < 1e-13) != answers


TENSORS = {
    **{f"order{m}": {"order": m, "per": "atom", "rank": 2} for m in range(5)},
    "symmetric": {"order": 3, "symmetric": True, "per": "atom", "rank": 2},
    "irreps": {"irreps": "2x0e + 0o + 2x1o + 1e + 2e + 2o + 3o", "per": "atom", "rank": 2},
    "linear": {"irreps": "1e + 2e + 2o", "per": "atom", "rank": 2, "readout": "linear"},
}


@torch.no_grad()
@pytest.mark.parametrize("det", [1, -1])
@pytest.mark.parametrize(
    "text",
    ["6x0e + 5x1o", "6x0e + 5x1o + 4x2e + 3x3o", "6x0e + 2x0o + 5x1o + 4x1e + 3x2e + 2x2o + 2x3o + 2x4e"],
)
def test_heads_turn_and_mirror_with_their_features(rng, text, det):
    """Of features as large as those of a trained model, which random backbones do not make."""
    irreps, matrix = Irreps.parse(text), torch.from_numpy(random_orthogonal(rng, det))
    targets = parse(
        TargetsConfig, {"charges": {}, "dipole": {}, "polarizability": {}, "tensors": TENSORS}, "test"
    )
    statistics = Statistics(elements=ELEMENTS, mean_neighbors=1.0, reference_energies=(0.0,) * 3)
    heads = _build_heads(targets, irreps, statistics)
    moved_frame = replace(MOLECULE, positions=MOLECULE.positions @ matrix.numpy().T)
    features = Features(irreps, tuple(torch.randn(6, i.dim, n, dtype=torch.float64) for n, i in irreps))
    pairs = zip(irreps.labels, features.blocks, strict=True)
    moved_features = Features(irreps, tuple(representation(i, matrix) @ b for i, b in pairs))
    outputs = []
    for f, frame in ((features, MOLECULE), (moved_features, moved_frame)):
        batch = batch_of([frame], ELEMENTS, 3.0)
        outputs.append(from_items({name: head.double()(f, batch) for name, head in heads.items()}))
    expected = dict(transformed(outputs[0], targets, matrix).items())
    for name, found in outputs[1].items():
        size = float(found.abs().max())
        torch.testing.assert_close(found, expected[name], rtol=0, atol=1e-12 * size)
        assert size > 1e-7, name  # products of four vectors are small


@pytest.mark.parametrize(
    "model",
    [{**NEQUIP, "l_max": 0}, {**NEQUIP, "channels": 1}, {**NEQUIP, "l_max": 0, "channels": 1}],
    ids=str,
)
def test_charges_and_dipoles_of_backbones_without_vectors_or_with_one_channel(model):
    found = potential(model, charges={}, dipole={}, polarizability={}, tensors={"t": {"irreps": "0e + 1e"}})
    assert (found.lift is None) == (model["l_max"] > 0)
    for check in (testing.rotation, testing.reflection):
        residuals = check(found, MOLECULE)
        assert {"charges", "dipole", "polarizability", "t"} <= set(residuals)
        assert testing.worst(residuals) < 1e-10, residuals


@pytest.mark.parametrize("frame", [one_atom(6), chain(6)], ids=["one atom", "chain"])
def test_derivatives_are_finite_where_tensors_vanish(frame):
    """Second ones too: a norm without care has none at zero."""
    model = potential(NEQUIP, polarizability={}, tensors={"t": {"irreps": "1e + 2e", "per": "atom"}})
    batch = batch_of([frame], ELEMENTS, model.cutoff)
    positions = batch.positions.clone().requires_grad_(True)
    out = model(batch.with_positions(positions), targets=["polarizability", "t"])
    total = out.polarizability.square().sum() + out.polarizability.sum() + out.tensors["t"].square().sum()
    if total.requires_grad:
        (first,) = torch.autograd.grad(total, positions, create_graph=True, materialize_grads=True)
        second = [
            torch.autograd.grad(g, positions, retain_graph=True, materialize_grads=True)[0]
            for g in first.flatten()
            if g.requires_grad
        ]
        assert torch.isfinite(first).all() and all(torch.isfinite(row).all() for row in second)
    weights = torch.autograd.grad(total, list(model.heads.parameters()), materialize_grads=True)
    assert all(torch.isfinite(w).all() for w in weights)
