"""What heads promise: symmetry, traces, widths, and the messages of their options."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.potential import Potential, PotentialConfig, TargetsConfig
from equipot.potential.targets import TensorTarget
from equipot.testing import crystal, molecule, predict, random_potential

ELEMENTS = (1, 6, 8)
MOLECULE, CRYSTAL = molecule(ELEMENTS), crystal(ELEMENTS)


def potential(name: str = "painn", **targets) -> Potential:
    values = {"model": {"name": name, "channels": 8, "num_layers": 2, "num_radial": 6, "cutoff": 3.0}}
    return random_potential(parse(PotentialConfig, {**values, "targets": targets}, "test"), ELEMENTS)


def test_only_what_is_asked_for_is_computed():
    model = potential(dipole={}, polarizability={})
    assert model.targets == ("energy", "dipole", "polarizability")
    assert set(dict(predict(model, MOLECULE).items())) == {
        "energy",
        "atomic_energies",
        "forces",
        "virials",
        "dipole",
        "polarizability",
    }


def test_forces_without_energy_are_refused():
    model = potential(energy=None, dipole={})
    with pytest.raises(ValueError, match="need an energy; this model predicts dipole"):
        model(batch(model, MOLECULE), forces=True)


def batch(model, *frames):
    return batch_of(frames, model.elements, model.cutoff)


def test_polarizability_is_symmetric():
    for form in ("vectors", "positions"):
        found = predict(potential(polarizability={"form": form}), MOLECULE).polarizability
        torch.testing.assert_close(found, found.transpose(1, 2), rtol=0, atol=1e-14)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_symmetric_and_traceless_tensors(order):
    target = {"order": order, "symmetric": True, "traceless": True, "rank": 3, "per": "atom"}
    tensor = predict(potential(tensors={"q": target}), MOLECULE).tensors["q"]
    size = tensor.abs().max()
    assert size > 0.1
    for a in range(1, order + 1):
        for b in range(a + 1, order + 1):
            torch.testing.assert_close(tensor, tensor.transpose(a, b), rtol=0, atol=1e-13 * float(size))
            assert tensor.diagonal(dim1=a, dim2=b).sum(-1).abs().max() < 1e-13 * size


def test_a_tensor_of_sufficient_rank_is_generic():
    """One product of vectors has rank one; three terms reach a full matrix."""
    for rank, expected in ((1, 1), (3, 3)):
        tensor = predict(
            potential(tensors={"t": {"order": 2, "rank": rank, "per": "atom"}}), MOLECULE
        ).tensors["t"]
        assert torch.linalg.matrix_rank(tensor[0], rtol=1e-10) == expected


def test_irreps_come_one_after_another():
    model = potential(tensors={"t": {"irreps": "2x0e + 1o + 2e", "per": "atom"}})
    assert predict(model, MOLECULE).tensors["t"].shape == (6, 2 + 3 + 5)
    assert model.config.targets.shapes() == {"t": (10,)}


@pytest.mark.parametrize("name", ["schnet", "painn"])
def test_invariant_models_are_lifted_only_for_vectors(name):
    assert potential(name, charges={}).lift is None
    assert (potential(name, dipole={}).lift is None) == (name == "painn")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"dipole": {}}, "targets.dipole.form=atomic"),
        ({"polarizability": {"form": "positions"}}, "form=auto"),
    ],
)
def test_positions_in_a_crystal_are_refused(target, message):
    model = potential(**target)
    with pytest.raises(ValueError, match=f"does not exist in a periodic system.*{message}"):
        model(batch(model, CRYSTAL))


@pytest.mark.parametrize("target", [{"dipole": {"form": "atomic"}}, {"polarizability": {}}])
def test_forms_without_positions_exist_in_crystals(target):
    model = potential(**target)
    model(batch(model, CRYSTAL))


@pytest.mark.parametrize("target", ["charges", "dipole"])
def test_a_missing_total_charge_is_an_error(target):
    model = potential(**{target: {}})
    with pytest.raises(ValueError, match=r"needs the total charge.*charge=.*targets.total_charge=0"):
        model(batch(model, replace(MOLECULE, charge=None)))


def test_a_declared_total_charge_stands_for_missing_ones():
    model = potential(charges={}, total_charge=1.0)
    assert float(predict(model, replace(MOLECULE, charge=None)).charges.sum()) == pytest.approx(
        1.0, abs=1e-13
    )


def test_another_total_charge_than_declared_is_an_error():
    model = potential(charges={}, total_charge=1.0)
    with pytest.raises(ValueError, match=r"declared for systems of charge 1; found \[-1.0\]"):
        model(batch(model, replace(MOLECULE, charge=-1.0)))


def test_charges_of_a_batch_sum_to_each_total():
    model = potential(charges={})
    frames = [replace(MOLECULE, charge=1.0), replace(MOLECULE, charge=-1.0)]
    totals = batch(model, *frames).sum_over_systems(predict(model, *frames).charges)
    np.testing.assert_allclose(totals, [1.0, -1.0], atol=1e-13)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({}, "either order"),
        ({"order": 2, "irreps": "0e"}, "not both"),
        ({"order": 2, "traceless": True}, "symmetric=true"),
        ({"order": 5}, "less than or equal to 4"),
    ],
)
def test_tensors_without_meaning_are_refused(target, message):
    with pytest.raises(ValueError, match=message):
        parse(TensorTarget, target, "test")


@pytest.mark.parametrize("name", ["energy", "Forces", "a b", ""])
def test_names_that_cannot_name_a_tensor_are_refused(name):
    with pytest.raises(ValueError, match="cannot name a tensor"):
        parse(TargetsConfig, {"tensors": {name: {"order": 1}}}, "test")
