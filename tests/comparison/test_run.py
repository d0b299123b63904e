"""Whole comparisons: what they leave, what they say of failures, and how they go on."""

import json
import shutil
import signal
import statistics

import pytest
from ase.io import write

import equipot
from comparison.conftest import settings, stamps
from equipot.comparison.table import ModelTable
from equipot.config import read_yaml
from equipot.data.frame import Frame
from equipot.deploy.model_file import read_document
from equipot.train.loop import Interrupted


def test_the_table_says_what_the_stored_models_say(compared, frames):
    folder, table, _ = compared
    chosen = json.loads((folder / "split.json").read_text())["test"]["ethanol.xyz"]
    found = equipot.read(frames)
    by_number = {frame.index: frame for frame in found.structures}
    test: list[Frame] = [by_number[k] for k in chosen]
    path = folder / "test.xyz"
    write(path, [frame.atoms() for frame in test], format="extxyz")
    for row in (table["painn"], table["schnet"]):
        errors = [equipot.load(folder / run.folder / "model.equipot").evaluate(path) for run in row.finished]
        for target in ("energy", "forces"):
            mae, rmse = ([getattr(e[target].errors, m) for e in errors] for m in ("mae", "rmse"))
            # float32 sums in other batches
            assert row.scores[target].mae.mean == pytest.approx(statistics.fmean(mae), rel=1e-4)
            assert row.scores[target].mae.deviation == pytest.approx(statistics.stdev(mae), rel=1e-2)
            assert row.scores[target].rmse.mean == pytest.approx(statistics.fmean(rmse), rel=1e-4)
    assert table["painn"].scores["forces"].mae.deviation > 0


def test_costs_are_those_of_the_models(compared):
    folder, table, _ = compared
    for label in ("painn", "schnet"):
        cost = table[label].cost
        model = equipot.load(folder / "runs" / f"{label}-seed1" / "model.equipot")
        assert cost.parameters == sum(p.numel() for p in model.potential.parameters())
        assert [s.structures for s in cost.inference] == [1, 16]
        assert cost.inference[1].atoms == 16 * 9
        assert 0 < cost.inference[1].timing.fastest <= cost.inference[1].timing.median
        # float32 weights, their two averages and two moments of Adam, at least
        assert cost.training_bytes > 5 * 4 * cost.parameters
        assert cost.inference_bytes > 4 * cost.parameters
        assert cost.batch == 2
    assert table["schnet"].cost.inference[1].per_atom() < table["painn"].cost.inference[1].per_atom()


def test_every_run_is_an_ordinary_one_on_the_same_frames(compared):
    folder, table, _ = compared
    runs = [run for row in table.rows for run in row.finished]
    assert {run.name for run in runs} == {f"{m}-seed{s}" for m in ("painn", "schnet") for s in (1, 2)}
    for run in runs:
        place = folder / run.folder
        assert {p.name for p in place.iterdir()} >= {
            "model.equipot",
            "report.html",
            "log.jsonl",
            "config.yaml",
        }
        assert read_document(place / "model.equipot").provenance.split == {"train": 18, "valid": 4, "test": 8}
        assert (run.steps, run.batch) == (24, 2)
    data = [read_yaml(folder / run.folder / "config.yaml")["data"] for run in runs]
    assert all(d == data[0] for d in data)
    said: list[str] = []
    equipot.train(
        folder / "runs" / "painn-seed1" / "config.yaml", folder / "runs" / "painn-seed1", say=said.append
    )
    assert any("this training is finished" in line for line in said)


def test_the_split_is_written_down(compared, frames):
    parts = json.loads((compared[0] / "split.json").read_text())
    numbers = [parts[p]["ethanol.xyz"] for p in ("train", "valid", "test")]
    assert [len(n) for n in numbers] == [18, 4, 8]
    assert len({k for part in numbers for k in part}) == 30
    assert parts["files"][0]["name"] == frames.name and len(parts["files"][0]["sha256"]) == 64


def test_a_failure_is_shown_and_stops_nothing_else(compared):
    folder, table, said = compared
    row = table["broken"]
    assert [run.status for run in row.runs] == ["failed", "failed"]
    assert row.cost is None and row.scores == {} and not row.front
    assert all("gradient was not finite" in message for message in row.messages)
    assert table.rows[-1].label == "broken"
    assert any(line.startswith("broken-seed1 failed: ") for line in said)
    assert "Traceback" in (folder / "runs" / "broken-seed2" / "error.log").read_text()


@pytest.mark.slow
def test_started_again_only_what_is_missing_is_trained(compared, frames, quick):
    folder, table, _ = compared
    before, trained = stamps(folder), set()
    again = equipot.compare(settings(frames), out=folder, observe=lambda m: trained.add(m.job))
    assert trained == {"broken-seed1", "broken-seed2"}
    assert stamps(folder) == before
    assert [r.scores for r in again.rows] == [r.scores for r in table.rows]


@pytest.mark.slow
def test_an_interrupted_comparison_goes_on_in_the_middle_of_a_run(frames, tmp_path, quick):
    values = settings(frames) | {"models": "schnet", "seeds": 2}
    values["train"] |= {"steps": 10}
    whole = equipot.compare(values | {"seeds": [2]}, out=tmp_path / "whole")

    def stop(moment) -> None:
        if moment.job == "schnet-seed2" and moment.step == 7:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        equipot.compare(values, out=tmp_path / "parts", observe=stop)
    before, said, steps = stamps(tmp_path / "parts"), [], []
    assert set(before) == {"schnet-seed1"}
    parts = equipot.compare(
        values, out=tmp_path / "parts", say=said.append, observe=lambda m: steps.append(m.step)
    )
    assert any("Continuing from step 7 of 10" in line for line in said)
    assert steps[0] == 8
    assert stamps(tmp_path / "parts")["schnet-seed1"] == before["schnet-seed1"]
    errors = [table["schnet"].runs[-1].errors for table in (whole, parts)]
    assert errors[0] == errors[1]  # bit-equal on one device


@pytest.mark.slow
def test_architectures_and_seeds_may_be_added(compared, frames, quick):
    folder, _, _ = compared
    values = settings(frames)
    trained: set[str] = set()
    models = {"schnet": values["models"]["schnet"], "wide": {"name": "schnet", "channels": 6}}
    table = equipot.compare(
        values | {"models": models, "seeds": [1]}, out=folder, observe=lambda m: trained.add(m.job)
    )
    assert trained == {"wide-seed1"}
    assert table["wide"].cost.parameters > table["schnet"].cost.parameters / 2
    assert table["wide"].scores["forces"].mae.deviation is None


def test_another_budget_in_the_same_folder_is_refused(compared, frames):
    with pytest.raises(
        ValueError, match=r"holds a comparison with another configuration:\n  train\.steps: 24"
    ):
        equipot.compare(settings(frames), steps=31, out=compared[0])


def test_another_architecture_under_the_same_label_is_refused(compared, frames):
    with pytest.raises(ValueError, match=r"(?s)schnet-seed1: holds a run.*model\.num_layers: 2 there, 1 now"):
        equipot.compare(settings(frames), out=compared[0], assignments=["schnet.num_layers=1"])


def test_data_that_has_changed_is_refused(compared, frames, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(compared[0], folder, ignore=shutil.ignore_patterns("runs", "compare.yaml"))
    other = tmp_path / "ethanol.xyz"
    other.write_text(frames.read_text().replace("C  ", "C ", 1))
    with pytest.raises(ValueError, match=r"ethanol\.xyz has changed since this comparison began"):
        equipot.compare(settings(other), out=folder)


def test_when_nothing_works_the_first_error_is_raised(frames, tmp_path, quick):
    with pytest.raises(Exception, match="gradient was not finite"):
        equipot.compare(settings(frames), "broken", seeds=1, out=tmp_path / "out")
    assert not (tmp_path / "out" / "comparison.json").exists()


def test_the_table_can_be_read_again(compared):
    folder, _, _ = compared
    stored = json.loads((folder / "comparison.json").read_text())
    assert ModelTable.read(folder).as_dict() == stored
    with pytest.raises(ValueError, match=r"comparison\.json: no such file"):
        ModelTable.read(folder / "runs")


def test_several_processes_are_refused(frames, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="runs in one process"):
        equipot.compare(settings(frames), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
