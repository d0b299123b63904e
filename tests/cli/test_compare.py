"""`equipot compare`: what it prints, what it leaves, how it ends."""

import json

import pytest

from cli.tiny import SETTINGS
from equipot import api
from equipot.comparison import course, measure
from equipot.train.loop import Interrupted

SHARED = SETTINGS.replace("train.epochs=20", "train.validate_every=5").replace("model.num_layers=1 ", "")
MODELS = "--models painn,schnet --steps 10 --seeds 1 model.num_layers=1"


@pytest.fixture
def quick(monkeypatch):
    """A moment of measuring, and no reports: tests of their own write them."""
    monkeypatch.setattr(measure, "SECONDS", 0.02)
    monkeypatch.setattr(course, "write_report", lambda place: place)


@pytest.mark.slow
def test_it_prints_the_table_and_says_where_everything_is(equipot, tiny, tmp_path, quick):
    line = f"compare {tiny.data} {MODELS} {SHARED} --out out"
    said = equipot(line)
    assert said.code == 0, said.err
    assert "Python: equipot.compare(" in said.out and "steps=10" in said.out
    assert "painn-seed1 (1 of 2)" in said.out and "schnet-seed1 (2 of 2)" in said.out
    for word in (
        "forces MAE",
        "meV/Å",
        "dipole MAE",
        "µs/atom",
        "front",
        "Most accurate forces:",
        "Fastest:",
    ):
        assert word in said.out, said.out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *(
            "compare.yaml",
            "comparison.csv",
            "comparison.html",
            "comparison.json",
            "runs",
            "runs.csv",
            "split.json",
        )
    }
    again = equipot(f"{line} --json")
    assert again.code == 0
    found = json.loads(again.out)
    assert [r["label"] for r in found["rows"]] and found["conditions"]["budget"] == "10 steps"
    silent = equipot(f"{line} --quiet")
    assert (silent.code, silent.out) == (0, "")


@pytest.mark.slow
def test_a_failure_beside_a_success_ends_well_and_alone_does_not(equipot, tiny, quick):
    broken = "painn.train.learning_rate=1e30 painn.train.weight_decay=0"
    line = f"compare {tiny.data} {MODELS} {SHARED} {broken} --out out".replace("--steps 10", "--steps 24")
    said = equipot(line)
    assert said.code == 0, said.err
    assert "painn-seed1 failed: step " in said.out and "Failed: painn-seed1." in said.out
    alone = equipot(line.replace("--models painn,schnet", "--models painn"))
    assert alone.code == 2
    assert "the gradient was not finite" in alone.err
    assert "No run has worked" in alone.out


def test_a_dry_run_times_a_step_and_leaves_nothing(equipot, tiny, tmp_path):
    line = f"compare {tiny.data} {MODELS} {SHARED} --dry-run".replace("--seeds 1", "--seeds 3")
    said = equipot(line)
    assert said.code == 0, said.err
    assert "12 to train on, 4 to validate, 4 to test" in said.out
    assert "6 of 6 runs to do: about" in said.out
    found = json.loads(equipot(f"{line} --json").out)
    assert (found["runs"], found["waiting"]) == (6, 6)
    painn, schnet = found["models"]
    assert painn["steps"] == 10 and painn["parameters"] > 0 and schnet["step_seconds"] > 0
    assert found["seconds"] == pytest.approx(3 * (painn["seconds"] + schnet["seconds"]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("compare {data} --models painn", ("no budget", "--budget 10min")),
        ("compare {data} --models pain --steps 3", ("'pain' does not exist", "Did you mean 'painn'?")),
        ("compare {data} --models painn --steps 3 --epochs 2", ("train.steps=3 and train.epochs=2",)),
        ("compare {data} --models painn --steps 3 nequip.size=small", ("nequip is not compared here",)),
        ("compare {data} --models painn --budget 10parsec", ("'10parsec'", '"10min"')),
        ("compare nothing.xyz --steps 3", ("nothing.xyz: no such file",)),
        ("compare {data} --config nothing.yaml --steps 3", ("nothing.yaml: no such file",)),
        ("compare {data} --models painn --steps 3 data.valid=10 data.test=10", ("20 frames cannot give",)),
        ("compare {data} --models painn --steps 3 targets.dipole={{}}", ("frame 0: no total charge",)),
    ],
)
def test_mistakes_end_in_a_message(equipot, tiny, tmp_path, line, words):
    said = equipot(line.format(data=tiny.data))
    assert said.code == 2
    for word in words:
        assert word in said.err, said.err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_says_how_to_go_on(equipot, tiny, monkeypatch):
    def stop(*_, **__):
        raise Interrupted

    monkeypatch.setattr(api, "compare", stop)
    said = equipot(f"compare {tiny.data} --models painn --steps 3 --out here")
    assert said.code == 130
    assert "The same command goes on" in said.out and "here" in said.out
