"""What is asked for: names, budgets, seeds, settings of one and of all; and what is refused."""

import pytest
from ase.io import read, write

from equipot.comparison.config import ARCHITECTURES
from equipot.comparison.prepare import prepare
from equipot.comparison.request import request


def test_all_are_all_and_the_default():
    assert tuple(request("x.xyz", "all", steps=3).models) == ARCHITECTURES
    assert tuple(request("x.xyz", steps=3).models) == ARCHITECTURES
    assert tuple(request("x.xyz", " painn, schnet", steps=3).models) == ("painn", "schnet")


def test_every_architecture_has_its_first_run_before_any_has_its_second():
    jobs = request("x.xyz", "painn,schnet", steps=3, seeds=2).jobs()
    assert [job.name for job in jobs] == ["painn-seed1", "schnet-seed1", "painn-seed2", "schnet-seed2"]
    assert [job.config.train.seed for job in jobs] == [1, 1, 2, 2]
    assert request("x.xyz", "painn", steps=3, seeds=[7, 3]).numbers() == (7, 3)
    assert request("x.xyz", "painn", steps=3, seeds=2, assignments=["train.seed=5"]).numbers() == (5, 6)


def test_settings_are_those_of_one_or_of_all():
    asked = ["model.cutoff=4", "schnet.size=small", "schnet.train.learning_rate=0.002", "train.ema=false"]
    painn, schnet = request("x.xyz", "painn,schnet", steps=3, seeds=1, assignments=asked).jobs()
    assert painn.config.model.cutoff == schnet.config.model.cutoff == 4.0
    assert (painn.config.model.size, schnet.config.model.size) == ("medium", "small")
    assert (painn.config.train.learning_rate, schnet.config.train.learning_rate) == (None, 0.002)
    assert not painn.config.train.ema and not schnet.config.train.ema


def test_two_sizes_of_one_architecture_have_labels():
    models = {"narrow": {"name": "painn", "channels": 8}, "wide": {"name": "painn", "channels": 16}}
    jobs = request({"data": {"train": "x.xyz"}, "models": models}, steps=3, seeds=1).jobs()
    assert [(job.label, job.config.model.name, job.config.model.channels) for job in jobs] == [
        ("narrow", "painn", 8),
        ("wide", "painn", 16),
    ]


def test_a_wall_time_leaves_the_batch_to_each_and_steps_give_all_the_same():
    (timed,) = request("x.xyz", "painn", budget="10min", seeds=1).jobs()
    assert (timed.config.train.budget, timed.config.train.batch) == (600.0, "auto")
    (counted,) = request("x.xyz", "painn", steps=100, seeds=1).jobs()
    assert (counted.config.train.steps, counted.config.train.batch) == (100, 5)
    (given,) = request("x.xyz", "painn", epochs=9, seeds=1, assignments=["train.batch=8"]).jobs()
    assert (given.config.train.epochs, given.config.train.batch) == (9, 8)


def test_frames_are_set_aside_where_no_test_set_is_named():
    assert request("x.xyz", "painn", steps=3).data.test == "10%"
    assert request("x.xyz", "painn", steps=3, assignments=["data.test=40"]).data.test == 40
    listed = {"train": "x.xyz", "split": {"by": "index", "valid": "0:3", "test": "3:6"}}
    assert request({"data": listed}, "painn", steps=3).data.test is None


def test_a_yaml_file_holds_all_of_it_or_all_but_the_data(tmp_path):
    path = tmp_path / "compare.yaml"
    path.write_text("models: {painn: , small: {name: painn, size: small}}\ntrain: {epochs: 7}\nseeds: 2\n")
    beside = request("x.xyz", config=path)
    assert (beside.budget, beside.length, tuple(beside.models)) == ("epochs", "7 epochs", ("painn", "small"))
    # a budget beside the file takes the place of that in the file
    assert request("x.xyz", "small,schnet", config=path, budget="1h").budget == "budget"
    path.write_text("data: {train: y.xyz, valid: 5}\n" + path.read_text())
    assert str(request(path).data.train) == "y.xyz"
    assert str(request("x.xyz", config=path).data.train) == "x.xyz"
    assert request("x.xyz", config=path).data.valid == 5


def test_what_was_resolved_resolves_to_itself():
    first = request("x.xyz", "painn,schnet", budget="2h", assignments=["schnet.size=small"])
    assert request(first.model_dump(mode="json")) == first


@pytest.mark.parametrize(
    ("models", "options", "words"),
    [
        ("painn", {}, r"no budget.*\nPaste --budget 10min"),
        ("painn", {"steps": 3, "epochs": 2}, r"train\.steps=3 and train\.epochs=2: give one"),
        ("painn", {"budget": "soon"}, r"'soon'.*\"10min\""),
        ("pain", {"steps": 3}, "'pain' does not exist. Did you mean 'painn'"),
        ("", {"steps": 3}, "none is named. Known: schnet"),
        ("painn", {"steps": 3, "seeds": 0}, "seeds = 0: Input should be greater than 0"),
        ("painn", {"steps": 3, "seeds": [1, 1]}, r"seeds = \[1, 1\]: expected different numbers"),
        ("painn", {"steps": 3, "assignments": ["painn.sise=small"]}, r"models\.painn: .*Did you mean 'size'"),
        ("painn", {"steps": 3, "assignments": ["model.sise=small"]}, r"models\.painn: .*Did you mean 'size'"),
        ("painn", {"steps": 3, "assignments": ["schnet.size=small"]}, r"not compared here \(painn\)"),
        ("painn", {"steps": 3, "assignments": ["schnt.size=small"]}, "Did you mean 'schnet'"),
        ("painn", {"steps": 3, "assignments": ["train.epoch=3"]}, r"'train\.epoch'.*Did you mean 'epochs'"),
        ("painn", {"steps": 3, "assignments": ["painn.train.steps=9"]}, r"must be the same for every run"),
        ("painn", {"steps": 3, "assignments": ["painn.train.epoch=9"]}, r"models\.painn: .*'epochs'"),
        ("painn", {"steps": 3, "assignments": ["painn.train=9"]}, "expected a table of keys"),
        ("painn", {"steps": 3, "config": "nothing.yaml"}, r"nothing\.yaml: no such file"),
    ],
)
def test_mistakes_are_explained(models, options, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        request("x.xyz", models, **options).jobs()


@pytest.mark.parametrize("label", ["data", "a/b", "a.b", ""])
def test_labels_name_folders_and_keys(label):
    models = {label: {"name": "painn"}}
    with pytest.raises(ValueError, match="cannot label an architecture"):
        request({"data": {"train": "x.xyz"}, "models": models}, steps=3).jobs()


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        (["data.valid=20", "data.test=10"], "30 frames cannot give 20 to validation and 10 to test"),
        (["data.split={by: index, valid: '0:4'}"], r"no test frames.*\nPaste data\.test=10%"),
        (["data.valid=12", "data.test=14"], r"train\.batch=5: the training set has only 4 structures"),
        (
            ["targets.dipole={}", "targets.total_charge=0", "data.test={few}"],
            "no dipole in the 5 test frames",
        ),
    ],
)
def test_too_few_frames_are_refused_before_anything_is_written(frames, tmp_path, assignments, words):
    few = [atoms for atoms in read(frames, ":") if len(atoms) > 1][:5]
    for atoms in few:
        atoms.calc.results.pop("dipole")
    write(tmp_path / "few.xyz", few, format="extxyz")
    given = [text.replace("{few}", str(tmp_path / "few.xyz")) for text in assignments]
    with pytest.raises(ValueError, match=f"(?s){words}"):
        prepare(request(frames, "painn", steps=3, assignments=given), tmp_path / "out")
    assert not (tmp_path / "out").exists()
