"""Training from a model file: what is taken over, what is new, what stays, what is forgotten, and what is refused."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from equipot import api
from equipot.config import parse
from equipot.data.frame import Frame
from equipot.data.read import read
from equipot.data.shipped import ethanol
from equipot.deploy.model_file import identity, load, read_document, rewrite
from equipot.train.config import RunConfig
from equipot.train.loop import Interrupted
from equipot.train.run import Run
from train.conftest import energy_and_forces, molecules

MODEL = {"channels": 8, "num_layers": 2, "num_radial": 6, "cutoff": 3.0}
#: no step changes a weight by more than this: what comes out is what went in
STILL = {
    "epochs": 1,
    "batch": 4,
    "learning_rate": 1e-13,
    "weight_decay": 0,
    "ema": False,
    "validate_every": 99,
}
SHORT = {"epochs": 2, "batch": 4, "validate_every": 99}


@dataclass(frozen=True)
class World:
    """Old and new frames of ethanol, and models of the old ones."""

    old: Path  # 300 K
    new: Path  # 1000 K, with the dipole
    painn: Run  # energy, forces and dipole
    schnet: Run  # energy and forces


def parent_of(name: str, data: Path, folder: Path, targets: dict) -> Run:
    config = {
        "data": {"train": str(data), "valid": 4, "test": 4},
        "model": {"name": name, **MODEL},
        "targets": targets,
        "train": SHORT | {"epochs": 10, "learning_rate": 5e-3, "precision": "float64"},
    }
    return api.train(config, folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("tuned")
    frames = read(ethanol()).structures
    for name, group, count in (("old.xyz", "md_300K", 24), ("new.xyz", "md_1000K", 12)):
        chosen = [f for f in frames if f.group == group][:count]
        write(folder / name, [f.atoms() for f in chosen], format="extxyz")
    old, new, dipole = folder / "old.xyz", folder / "new.xyz", {"dipole": {}, "total_charge": 0}
    painn = parent_of("painn", old, folder / "painn", dipole)
    schnet = parent_of("schnet", old, folder / "schnet", {})
    return World(old, new, painn, schnet)


def tuned(world: World, folder: Path, say=lambda text: None, **changes) -> Run:
    """The PaiNN of the old frames, trained on new ones; by default for a few steps."""
    config = {"data": {"train": str(world.new), "valid": 4}, "train": SHORT} | changes
    config = {"start": str(world.painn.model), **config}
    return api.train(config, folder, say=say)


def starting(world: World, **more) -> dict:
    return {"model": str(world.painn.model), **more}


def weights(path: Path) -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in load(path)[0].named_parameters()}


def test_training_starts_from_the_errors_of_the_parent(world, tmp_path):
    run = tuned(world, tmp_path / "run", start=starting(world, references="keep"), train=STILL)
    rows = run.metrics["drift"]["new"]["rows"]
    for name in ("energy", "forces", "dipole"):
        assert run.metrics["valid"][name]["mae"] == rows[name]["after"]["mae"]
        assert rows[name]["after"]["mae"] == pytest.approx(rows[name]["before"]["mae"], rel=1e-9)
    fresh = {
        "data": {"train": str(world.new), "valid": 4},
        "model": {"name": "painn", **MODEL},
        "train": STILL,
    }
    scratch = api.train(fresh, tmp_path / "scratch")
    assert run.metrics["valid"]["forces"]["mae"] < 0.9 * scratch.metrics["valid"]["forces"]["mae"]


def test_the_architecture_comes_from_the_file_and_the_file_says_where_from(world, tmp_path):
    run = tuned(world, tmp_path / "run")
    parent, child = read_document(world.painn.model), read_document(run.model)
    assert child.potential == parent.potential
    assert child.precision == "float64"
    assert child.statistics.energy_scale == parent.statistics.energy_scale
    assert child.statistics.mean_neighbors == parent.statistics.mean_neighbors
    (ancestor,) = child.provenance.ancestors
    assert (ancestor.name, ancestor.identity) == ("model.equipot", identity(world.painn.model))
    again = api.train(
        world.new, tmp_path / "again", start=api.load(run.model), assignments=["train.epochs=1"]
    )
    lineage = [a.identity for a in read_document(again.model).provenance.ancestors]
    assert lineage == [identity(run.model), identity(world.painn.model)]


def test_it_learns(world, tmp_path):
    """To 0.6 of its value with these steps: the bound leaves room for other first weights."""
    run = tuned(world, tmp_path / "run", train=SHORT | {"epochs": 40, "learning_rate": 4e-3})
    rows = run.metrics["drift"]["new"]["rows"]
    assert rows["forces"]["after"]["rmse"] < 0.9 * rows["forces"]["before"]["rmse"]


def test_frozen_parts_stay_bit_equal(world, tmp_path):
    start = starting(world, freeze=["model.messages.0", "heads.dipole"])
    recipe = SHORT | {"weight_decay": 0.5, "learning_rate": 1e-3}
    run = tuned(world, tmp_path / "run", start=start, train=recipe)
    before, after = weights(world.painn.model), weights(run.model)
    for name, value in before.items():
        frozen = name.startswith(("model.messages.0.", "heads.dipole."))
        assert torch.equal(value, after[name]) == frozen, name


def test_a_frozen_body_leaves_the_other_heads_alone(world, tmp_path):
    """Only the dipole is trained: energies and forces stay what they were."""
    start = starting(world, freeze=["model", "heads.energy"])
    said: list[str] = []
    run = tuned(world, tmp_path / "run", start=start, say=said.append)
    rows = run.metrics["drift"]["new"]["rows"]
    assert rows["energy"]["after"] == rows["energy"]["before"]  # reference energies are not refitted
    assert rows["forces"]["after"] == rows["forces"]["before"]
    assert rows["dipole"]["after"] != rows["dipole"]["before"]
    log = json.loads((run.folder / "log.jsonl").read_text().splitlines()[-1])
    assert set(log["train"]) == {"loss", "dipole"}
    assert any("are frozen" in line for line in said)


def test_an_unknown_part_is_named_with_the_nearest_one(world, tmp_path):
    with pytest.raises(ValueError, match=r"start\.freeze: no part 'model\.mesages\.0'.*'model\.messages\.0'"):
        tuned(world, tmp_path / "run", start=starting(world, freeze=["model.mesages.0"]))
    with pytest.raises(
        ValueError, match=r"no part 'xyz'.*Large parts: heads, heads\.dipole, heads\.energy, model"
    ):
        tuned(world, tmp_path / "run", start=starting(world, freeze=["xyz"]))
    with pytest.raises(ValueError, match="nothing is left to train"):
        tuned(world, tmp_path / "run", start=starting(world, freeze=["model", "heads"]))
    assert not (tmp_path / "run").exists()


def test_a_new_head_starts_fresh_on_the_weights_that_are_there(world, tmp_path):
    """SchNet has no vectors: the dipole brings its own message, and energies are not touched."""
    said: list[str] = []
    start = {"model": str(world.schnet.model), "references": "keep", "freeze": ["model", "heads.energy"]}
    targets = {"dipole": {}, "total_charge": "frame"}
    with pytest.raises(
        ValueError, match="no total charge, which the targets charges, dipole and born_charges need"
    ):
        tuned(world, tmp_path / "run", start=start, targets=targets)
    targets = {"dipole": {"form": "atomic"}}
    train = SHORT | {"learning_rate": 5e-3}
    run = tuned(world, tmp_path / "run", start=start, targets=targets, train=train, say=said.append)
    assert "New: dipole (fresh weights)." in said
    before, after = weights(world.schnet.model), weights(run.model)
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert any(name.startswith("lift.") for name in after)
    rows = run.metrics["drift"]["new"]["rows"]
    assert rows["forces"]["after"]["mae"] == pytest.approx(rows["forces"]["before"]["mae"], rel=1e-12)
    assert rows["dipole"]["before"] is None and rows["dipole"]["after"]["mae"] > 0


def test_a_kept_head_that_the_new_frames_cannot_feed_is_found_before_the_first_step(world, tmp_path):
    """The dipole of charges does not exist in a crystal."""
    frames = [f.atoms() for f in read(world.new).structures[:8]]
    for atoms in frames:
        atoms.set_cell([9, 9, 9])
        atoms.set_pbc(True)
        del atoms.calc.results["dipole"]
    write(tmp_path / "cells.xyz", frames, format="extxyz")
    data = {"train": str(tmp_path / "cells.xyz"), "valid": 2}
    with pytest.raises(ValueError, match=r"positions.*\nThe parent's dipole is kept .* start\.heads=drop"):
        tuned(world, tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()
    dropped = tuned(world, tmp_path / "run", data=data, start=starting(world, heads="drop"), train=STILL)
    assert read_document(dropped.model).potential.targets.dipole is None


@pytest.mark.parametrize("heads", ["keep", "drop"])
def test_heads_that_are_not_asked_for(world, tmp_path, heads):
    targets = {"polarizability": {}}
    write(tmp_path / "new.xyz", [f.atoms() for f in read(ethanol()).structures[:10]], format="extxyz")
    start = starting(world, heads=heads)
    run = tuned(
        world,
        tmp_path / "run",
        start=start,
        targets=targets,
        data={"train": str(tmp_path / "new.xyz"), "valid": 4},
    )
    found = read_document(run.model).potential.targets
    assert found.polarizability is not None
    assert (found.dipole is None) == (heads == "drop")
    dipole = run.metrics["drift"]["new"]["rows"]["dipole"]
    assert (dipole["after"] is None) == (heads == "drop")
    if heads == "keep":  # not trained, although the file has labels: nobody asked
        before, after = weights(world.painn.model), weights(run.model)
        assert torch.equal(
            before["heads.dipole.readout.first.mix.weight"], after["heads.dipole.readout.first.mix.weight"]
        )


def test_targets_that_the_file_lacks_are_kept_when_none_are_named(world, tmp_path):
    frames = [f.atoms() for f in read(world.new).structures]
    for atoms in frames:
        del atoms.calc.results["dipole"]
    write(tmp_path / "bare.xyz", frames, format="extxyz")
    said: list[str] = []
    run = tuned(
        world, tmp_path / "run", data={"train": str(tmp_path / "bare.xyz"), "valid": 4}, say=said.append
    )
    assert any(line.startswith("Kept without training: dipole.") for line in said)
    assert read_document(run.model).potential.targets.dipole is not None
    assert "dipole" in run.metrics["drift"]["old"]["rows"]
    with pytest.raises(ValueError, match="no dipole found"):
        tuned(
            world,
            tmp_path / "strict",
            data={"train": str(tmp_path / "bare.xyz"), "valid": 4},
            targets={"dipole": {}},
        )


def test_a_pruned_backbone_keeps_what_it_makes(tmp_path):
    """NequIP's last layer makes what its heads read: with a new head it goes on to make scalars alone."""
    write(tmp_path / "water.xyz", molecules(16), format="extxyz")
    model = {"name": "nequip", "channels": 4, "l_max": 1, "num_layers": 2, "num_radial": 4, "cutoff": 3.0}
    config = {
        "data": {"train": str(tmp_path / "water.xyz"), "valid": 4},
        "model": model,
        "train": {**STILL, "precision": "float64"},
    }
    parent = api.train(config, tmp_path / "parent")
    more = {
        **config,
        "targets": {"dipole": {"form": "atomic"}},
        "start": {"model": str(parent.model), "references": "keep"},
    }
    child = api.train(more, tmp_path / "child")
    assert read_document(child.model).potential.outputs == ("0e",)
    before, after = weights(parent.model), weights(child.model)
    # float64 weights of order one after steps of 1e-13
    assert all(torch.allclose(value, after[name], atol=1e-10) for name, value in before.items())
    rows = child.metrics["drift"]["new"]["rows"]
    assert rows["forces"]["after"]["mae"] == pytest.approx(rows["forces"]["before"]["mae"], rel=1e-8)


def labelled(symbols: str, seed: int, model: api.Model, offsets: dict[str, float]) -> Atoms:
    """A molecule with what a model says of it, on other reference energies."""
    rng = np.random.default_rng(seed)
    atoms = Atoms(symbols, rng.normal(scale=0.1, size=(len(symbols), 3)) + 1.1 * np.eye(3)[: len(symbols)])
    atoms.calc = model.calculator()
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    energy += sum(offsets[s] for s in atoms.get_chemical_symbols())
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


@pytest.fixture(scope="module")
def water(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("water")
    write(folder / "water.xyz", molecules(16), format="extxyz")
    return parent_of("painn", folder / "water.xyz", folder / "run", {})


@pytest.mark.parametrize("references", ["refit", "keep"])
def test_reference_energies_are_refitted_to_another_level_of_theory(water, tmp_path, references):
    offsets, model = {"H": 0.7, "O": -3.0}, api.load(water.model)
    frames = [labelled(s, k, model, offsets) for k in range(5) for s in ("OHH", "OH", "OO")]
    write(tmp_path / "other.xyz", frames, format="extxyz")
    config = {
        "data": {"train": str(tmp_path / "other.xyz"), "valid": 3},
        "start": {"model": str(water.model), "references": references},
        "train": STILL,
    }
    said: list[str] = []
    run = api.train(config, tmp_path / "run", say=said.append)
    before, after = (read_document(r.model).statistics for r in (water, run))
    moved = np.subtract(after.reference_energies, before.reference_energies)
    expected = [0.7, -3.0] if references == "refit" else [0.0, 0.0]
    # extended XYZ keeps 1e-8 eV of an energy
    assert moved == pytest.approx(expected, abs=1e-6)
    energy = run.metrics["drift"]["new"]["rows"]["energy"]
    assert energy["before"]["mae"] > 0.5
    assert (energy["after"]["mae"] < 1e-6) == (references == "refit")
    assert run.metrics["drift"]["new"]["rows"]["relative energy"]["after"]["mae"] < 1e-6
    assert any("H +0.7000 eV, O -3.0000 eV; condition number" in line for line in said) == (
        references == "refit"
    )
    assert run.metrics["reference_energies"]["O"]["after"] == after.reference_energies[1]


def test_a_given_reference_energy_is_not_refitted(water, tmp_path):
    model = api.load(water.model)
    frames = [labelled(s, k, model, {"H": 0.7, "O": 0.0}) for k in range(4) for s in ("OHH", "OH")]
    write(tmp_path / "other.xyz", frames, format="extxyz")
    oxygen = read_document(water.model).statistics.reference_energies[1]
    data = {"train": str(tmp_path / "other.xyz"), "valid": 2, "reference_energies": {"O": oxygen}}
    run = api.train({"data": data, "start": str(water.model), "train": STILL}, tmp_path / "run")
    found = read_document(run.model).statistics
    assert found.reference_energies[1] == oxygen
    assert found.reference_fitted == (1, 8)  # that of oxygen by the parent


def with_nitrogen(path: Path) -> Path:
    """Water and a few frames of an invented NH2."""
    frames = molecules(12)
    for atoms in frames[:6]:
        atoms.numbers[0] = 7
        energy, forces = energy_and_forces(atoms.positions)
        atoms.calc = SinglePointCalculator(atoms, energy=energy - 50.0, forces=forces)
    write(path, frames, format="extxyz")
    return path


def error_of_energy(run: Run, frame: Frame) -> float:
    atoms = frame.atoms()
    atoms.calc = api.load(run.model).calculator()
    return atoms.get_potential_energy() - float(frame.labels["energy"])


def test_painn_takes_a_new_element(water, tmp_path):
    data = {"train": str(with_nitrogen(tmp_path / "new.xyz")), "valid": 2}
    said: list[str] = []
    start = {"model": str(water.model), "references": "keep"}
    run = api.train({"data": data, "start": start, "train": STILL}, tmp_path / "run", say=said.append)
    before, after = read_document(water.model).statistics, read_document(run.model).statistics
    assert after.elements == (1, 7, 8)
    kept = dict(zip(after.elements, after.reference_energies, strict=True))
    assert (kept[1], kept[8]) == before.reference_energies
    residuals = [error_of_energy(run, f) for f in run.splits.train if 7 in f.numbers]
    assert (
        len(residuals) > 3 and abs(np.mean(residuals)) < 1e-6
    )  # whatever the fresh embedding says, it is met
    assert any("N (an embedding not seen in training)" in line for line in said)
    assert run.metrics["drift"]["old"]["rows"]["forces"]["after"]["mae"] < 1e-9


def test_weights_per_element_take_no_new_one(tmp_path):
    write(tmp_path / "water.xyz", molecules(12), format="extxyz")
    model = {"name": "nequip", "channels": 4, "l_max": 1, "num_layers": 2, "num_radial": 4, "cutoff": 3.0}
    config = {"data": {"train": str(tmp_path / "water.xyz"), "valid": 4}, "model": model, "train": STILL}
    parent = api.train(config, tmp_path / "parent")
    data = {"train": str(with_nitrogen(tmp_path / "new.xyz")), "valid": 2}
    with pytest.raises(
        ValueError, match=r"knows H, O; the new data has N as well\. A nequip has weights for each"
    ):
        api.train({"data": data, "start": str(parent.model), "train": STILL}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"model": {"channels": 16}}, r"model\.channels = 16, but .* has 8.*Leave model\.channels out"),
        ({"model": {"name": "schnet"}}, r"model\.name = 'schnet', but .* has 'painn'"),
        ({"model": {"size": "large"}}, r"model\.size = 'large', but .* has 'medium'"),
        ({"model": {"chanels": 8}}, r"unknown key 'model\.chanels'.*Did you mean 'channels'"),
        (
            {"targets": {"dipole": {"form": "atomic"}}},
            r"targets\.dipole\.form = 'atomic', but .* has 'charges\+atomic'",
        ),
        ({"targets": {"total_charge": 1}}, r"targets\.total_charge = 1, but .* has 0\.0"),
        ({"terms": {"zbl": True}}, r"terms\.zbl = True, but .* has False"),
    ],
)
def test_what_contradicts_the_file_is_refused_with_both_values(world, tmp_path, section, message):
    with pytest.raises(ValueError, match=message):
        tuned(world, tmp_path / "run", **section)


def test_what_agrees_may_be_said(world):
    values = {"data": {"train": "x.xyz"}, "model": {"name": "painn", "cutoff": 3, "channels": 8}}
    config = api.run_config(values, start=world.painn.model)
    assert config.model == read_document(world.painn.model).potential.model
    assert config.train.precision == "float64"


def test_a_complete_configuration_is_held_against_the_file_too(world, tmp_path):
    values = {
        "data": {"train": str(world.new)},
        "model": MODEL | {"cutoff": 4.0},
        "start": str(world.painn.model),
    }
    with pytest.raises(ValueError, match=r"model\.cutoff = 4\.0, but .* has 3\.0"):
        api.train(parse(RunConfig, values, "x"), tmp_path / "run")


def test_a_start_may_be_short_and_added_to(world):
    model = str(world.painn.model)
    config = api.run_config(
        world.new, [f"start={model}", "start.freeze=[model]", "start.old=old.xyz", "start.old.replay=true"]
    )
    assert config.start is not None and config.start.old is not None
    assert (str(config.start.model), config.start.freeze) == (model, ("model",))
    assert (str(config.start.old.data), config.start.old.replay) == ("old.xyz", True)
    with pytest.raises(ValueError, match=r"no such file"):
        api.run_config(world.new, start="nowhere.equipot")


def test_the_drift_is_measured_on_the_test_part_of_the_parent(world, tmp_path):
    run = tuned(world, tmp_path / "run", start=starting(world, old=str(world.old)))
    old = run.metrics["drift"]["old"]
    assert (
        old["frames"] == 4
        and old["labelled"]
        and old["what"] == "the test part of the parent's data, old.xyz"
    )
    for name, errors in world.painn.metrics["test"].items():
        assert old["rows"][name]["before"]["mae"] == pytest.approx(errors["mae"], rel=1e-12)
    found = api.load(run.model).evaluate(api.read(world.old))
    assert found["forces"].errors.count == 24 * 27  # it predicts what it predicted
    assert read_document(run.model).metrics["drift"]["old"] == old
    assert "old.xyz" in [f.name for f in read_document(run.model).provenance.data]


def test_without_old_data_the_frames_in_the_file_show_the_drift(world, tmp_path):
    run = tuned(world, tmp_path / "run", start=starting(world, references="keep"))
    old = run.metrics["drift"]["old"]
    assert old["frames"] == 3 and not old["labelled"]
    assert set(old["rows"]) == {"energy", "relative energy", "forces", "dipole"}
    # the file keeps the numbers of the float64 model exactly
    assert all(row["before"]["mae"] < 1e-9 < row["after"]["mae"] for row in old["rows"].values())


def test_another_old_file_is_divided_and_that_is_said(world, tmp_path):
    frames = [f.atoms() for f in read(world.old).structures[:15]]
    write(tmp_path / "part.xyz", frames, format="extxyz")
    said: list[str] = []
    run = tuned(
        world, tmp_path / "run", start=starting(world, old=str(tmp_path / "part.xyz")), say=said.append
    )
    assert any("is not the file of the parent's training: 10% are held out" in line for line in said)
    assert run.metrics["drift"]["old"]["frames"] == 2


def test_replayed_frames_are_old_training_frames_and_keep_the_old_errors_low(world, tmp_path):
    recipe = SHORT | {"epochs": 12, "learning_rate": 3e-3}
    old = {"data": str(world.old)}
    runs = {
        replay: tuned(
            world,
            tmp_path / f"run{replay}",
            start=starting(world, references="keep", old={**old, "replay": replay}),
            train=recipe,
        )
        for replay in (False, True)
    }
    after = {k: r.metrics["drift"]["old"]["rows"]["forces"]["after"]["rmse"] for k, r in runs.items()}
    assert after[True] < after[False]
    split = read_document(runs[True].model).provenance.split
    assert (split["train"], split["replayed"]) == (8, 8)


def test_replay_trains_heads_that_the_new_data_has_no_labels_for(world, tmp_path):
    start = starting(world, old={"data": str(world.old), "replay": True})
    run = tuned(world, tmp_path / "run", start=start, targets={"energy": {}})
    log = json.loads((run.folder / "log.jsonl").read_text().splitlines()[-1])
    assert set(log["train"]) == {"loss", "energy", "forces", "dipole"}


@pytest.mark.slow
def test_an_interrupted_fine_tuning_goes_on_bit_equal_also_without_the_parent(world, tmp_path):
    parent = tmp_path / "parent.equipot"
    parent.write_bytes(world.painn.model.read_bytes())
    start = {
        "model": str(parent),
        "freeze": ["model.messages.0"],
        "old": {"data": str(world.old), "replay": True},
    }
    whole = tuned(world, tmp_path / "whole", start=start)

    def stop(step: int, total: int, text: str) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    values = {
        "data": {"train": str(world.new), "valid": 4},
        "train": SHORT,
        "start": start,
    }
    with pytest.raises(Interrupted):
        api.train(values, tmp_path / "parts", observe=stop)
    parent.unlink()
    with pytest.raises(ValueError, match=r"no such file.*start\.model=RUN/parent\.equipot"):
        api.train(values, tmp_path / "parts")
    # the copy in the run folder is that model, wherever the file has gone
    values["start"] = {**start, "model": str(tmp_path / "parts" / "parent.equipot")}
    parts = api.train(values, tmp_path / "parts")
    assert all(torch.equal(value, weights(whole.model)[name]) for name, value in weights(parts.model).items())
    assert parts.metrics == whole.metrics


def test_a_parent_that_changed_meanwhile_is_refused(world, tmp_path):
    parent = tmp_path / "parent.equipot"
    parent.write_bytes(world.painn.model.read_bytes())
    start = {"model": str(parent)}
    first = tuned(world, tmp_path / "run", start=start)
    rewrite(parent, licence="CC-BY-4.0")  # says something else of the same numbers
    assert tuned(world, tmp_path / "run", start=start).metrics == first.metrics
    parent.write_bytes(first.model.read_bytes())
    with pytest.raises(
        ValueError, match=r"parent\.equipot: is not, or not any more, the model that the run in"
    ):
        tuned(world, tmp_path / "run", start=start)


def test_frames_without_a_trained_label_are_left_out(world, tmp_path):
    frames = [f.atoms() for f in read(world.new).structures]
    for atoms in frames[::2]:
        del atoms.calc.results["dipole"]
    write(tmp_path / "half.xyz", frames, format="extxyz")
    said: list[str] = []
    data = {"train": str(tmp_path / "half.xyz"), "split": {"by": "index", "valid": "8:12"}}
    tuned(
        world,
        tmp_path / "run",
        start=starting(world, freeze=["model", "heads.energy"]),
        data=data,
        say=said.append,
    )
    assert any(line.startswith("4 training frames have no label") for line in said)


@pytest.mark.slow
def test_two_processes_equal_one_with_frozen_parts_and_heads_without_labels(tmp_path):
    """A weight that no label reaches would be waited for forever."""
    write(tmp_path / "water.xyz", molecules(16), format="extxyz")
    targets = {"dipole": {}, "total_charge": 0}
    parent = parent_of("painn", tmp_path / "water.xyz", tmp_path / "parent", targets)
    values = {
        "data": {"train": str(tmp_path / "water.xyz"), "valid": 4},
        "train": SHORT,
        "targets": {"energy": {}},
        "start": {"model": str(parent.model), "freeze": ["model.messages.0"]},
    }
    alone = api.train(values, tmp_path / "one")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "equipot",
    ]
    command += ["train", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "two"), "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = weights(alone.model), weights(tmp_path / "two" / "model.equipot")
    # sums are taken in another order: 1e-16 times the steps, amplified by the optimizer's division
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-9
