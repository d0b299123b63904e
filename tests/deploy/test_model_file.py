"""What is saved is what is loaded."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from equipot.data.collate import batch_of
from equipot.deploy import (
    DataFile,
    Proof,
    Provenance,
    describe,
    identity,
    load,
    read_document,
    rewrite,
    save,
    versions,
    with_proofs,
)
from equipot.deploy.document import to_json
from equipot.models import PaiNNConfig
from equipot.potential import Potential


def answers(potential, frame):
    batch = batch_of([frame], potential.elements, potential.cutoff)
    return dict(potential(batch, forces="energy" in potential.targets).items())


def assert_same_numbers(a, b, frame):
    left, right = answers(a, frame), answers(b, frame)
    assert set(left) == set(right)
    for name in left:
        assert torch.equal(left[name], right[name]), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("targets", ["energy", "all", "dipole"])
@pytest.mark.parametrize("model", ["schnet", "painn"])
def test_round_trip_is_bit_equal(build, water, tmp_path, model, targets, dtype):
    potential = build(model, targets).to(dtype)
    written = save(tmp_path / "a.equipot", potential)
    loaded, document = load(tmp_path / "a.equipot")
    assert document == written
    assert loaded.statistics == potential.statistics
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    assert_same_numbers(potential.eval(), loaded.eval(), water(shift=0.05))


def test_constants_made_in_double_precision_survive(build, water, tmp_path, float64):
    potential = build("painn", "all")
    save(tmp_path / "a.equipot", potential)
    torch.set_default_dtype(torch.float32)
    loaded, _ = load(tmp_path / "a.equipot")
    assert_same_numbers(potential, loaded, water())


def test_saving_what_was_loaded_gives_the_same_bytes(build, tmp_path):
    save(tmp_path / "a.equipot", build())
    save(tmp_path / "b.equipot", *load(tmp_path / "a.equipot"))
    assert (tmp_path / "a.equipot").read_bytes() == (tmp_path / "b.equipot").read_bytes()


def test_loading_leaves_the_random_numbers_of_the_caller_alone(build, tmp_path):
    save(tmp_path / "a.equipot", build())
    before = torch.random.get_rng_state()
    load(tmp_path / "a.equipot")
    assert torch.equal(before, torch.random.get_rng_state())


def test_other_programs_can_read_the_file(build, tmp_path):
    potential = build()
    save(tmp_path / "a.equipot", potential)
    with safe_open(tmp_path / "a.equipot", "pt") as file:
        document = json.loads(file.metadata()["document"])
        weight = file.get_tensor("model.embedding.table.weight")
    assert document["potential"]["model"]["name"] == "painn"
    assert document["units"]["forces"] == "eV/Å"
    assert torch.equal(weight, potential.state_dict()["model.embedding.table.weight"])


def test_everything_that_is_told_is_kept(build, water, tmp_path):
    data = tmp_path / "train.xyz"
    data.write_text("1\n\nH 0 0 0\n")
    provenance = Provenance(
        data=(DataFile.of(data, frames=1),),
        split={"train": 800, "valid": 100},
        split_seed=3,
        versions=versions(),
        created="2026-01-01T00:00:00+00:00",
        device="cpu",
        seconds=12.5,
        command="equipot train train.xyz",
    )
    document = describe(
        build(),
        [water(shift=s) for s in (0.0, 0.1, 0.2)],
        provenance=provenance,
        run={"train": {"seed": 1, "path": data, "rate": np.float32(0.5)}},
        metrics={"test": {"energy": {"mae": 0.1 + 0.2, "rmse": float("nan")}}},
        history=[{"step": 10, "loss": 0.5}],
        proofs=[Proof(name="rotation", value=1e-12, limit=1e-10, passed=True)],
        licence="CC-BY-4.0",
    )
    save(tmp_path / "a.equipot", build(), document)
    found = read_document(tmp_path / "a.equipot")
    assert found == document
    assert found.provenance.data[0].name == "train.xyz"
    assert found.run["train"] == {"seed": 1, "path": str(data), "rate": 0.5}
    assert found.metrics["test"] == {"energy": {"mae": 0.1 + 0.2, "rmse": None}}
    assert "Sch" in found.citation and "2102.03150" in found.citation


def test_fingerprints_are_the_smallest_frames_and_carry_every_target(build, water):
    potential = build("painn", "all")
    three = [water(), water(shift=0.1), water(shift=0.2)]
    document = describe(potential, [water(12.0), *three])
    assert [f.positions[0][0] for f in document.fingerprints] == [0.0, 0.1, 0.2]
    expected = {"energy", "forces", "charges", "dipole", "polarizability", "zeta", "alpha", "atomic_energies"}
    assert set(document.fingerprints[0].expected) == expected


def test_fingerprints_of_crystals_carry_the_stress(build, water, tmp_path):
    document = describe(build(), [water(size) for size in (3.0, 5.0, 12.0)])
    assert all("stress" in f.expected for f in document.fingerprints)
    save(tmp_path / "a.equipot", build(), document)
    load(tmp_path / "a.equipot")


def test_proofs_are_stored_without_touching_the_weights(build, water, tmp_path):
    path, potential = tmp_path / "a.equipot", build()
    save(path, potential, describe(potential, [water()], metrics={"energy": 1.0}))
    before = identity(path)
    proofs = [Proof(name="nve drift", value=float("inf"), limit=1e-5, passed=False, detail="left at step 3")]
    with_proofs(path, proofs)
    loaded, document = load(path)
    assert_same_numbers(potential, loaded, water())
    assert document.proofs[0].value is None and not document.proofs[0].passed
    assert document.metrics == {"energy": 1.0}
    assert identity(path) == before


def test_the_identity_changes_with_the_weights(build, tmp_path):
    save(tmp_path / "a.equipot", build(seed=0))
    save(tmp_path / "b.equipot", build(seed=1))
    assert identity(tmp_path / "a.equipot") != identity(tmp_path / "b.equipot")


def test_rewriting_refuses_what_does_not_exist(build, tmp_path):
    save(tmp_path / "a.equipot", build())
    with pytest.raises(ValueError, match="proof_sheet"):
        rewrite(tmp_path / "a.equipot", proof_sheet=())


def test_weights_that_are_not_numbers_are_not_saved(build, tmp_path):
    potential = build()
    with torch.no_grad():
        next(potential.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match=r"not finite.*diverged"):
        save(tmp_path / "a.equipot", potential)
    assert not list(tmp_path.iterdir())


def test_a_document_of_other_weights_is_not_saved(build, tmp_path):
    with pytest.raises(ValueError, match="deviates"):
        save(tmp_path / "a.equipot", build(seed=0), describe(build(seed=1)))
    assert not list(tmp_path.iterdir())


def test_a_model_of_two_precisions_is_refused(build, tmp_path):
    potential = build()
    potential.heads.double()
    with pytest.raises(ValueError, match=r"float32.*float64"):
        save(tmp_path / "a.equipot", potential)


def test_presets_do_not_change_what_was_set(build, tmp_path):
    config = build().config.model_copy(update={"model": PaiNNConfig(size="small", channels=6, num_layers=1)})
    save(tmp_path / "a.equipot", Potential(config, build().statistics))
    assert load(tmp_path / "a.equipot")[0].config == config


def test_one_document_has_one_text(build):
    assert to_json(describe(build())) == to_json(describe(build()))
