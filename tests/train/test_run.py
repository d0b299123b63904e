"""Whole runs: learning, stopping, going on, several processes, and what is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ase.io import read, write

from equipot import api
from equipot.deploy.checkpoints import latest_valid
from equipot.deploy.model_file import load, read_document
from equipot.train.loop import Interrupted


def weights(run) -> dict[str, torch.Tensor]:
    potential, _ = load(run.model)
    return dict(potential.named_parameters())


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], tolerance: float = 0.0) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert (a[name] - b[name]).abs().max() <= tolerance, name


@pytest.mark.slow
def test_a_run_learns_and_leaves_a_model_with_its_history(settings, tmp_path):
    settings["train"] |= {"epochs": 25, "learning_rate": 1e-2}
    run = api.train(settings, tmp_path / "run")
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert log[-1]["train"]["loss"] < 0.2 * log[0]["train"]["loss"]
    assert log[-1]["valid"]["forces"]["mae"] < 0.5 * log[0]["valid"]["forces"]["mae"]
    document = read_document(run.model)
    assert document.provenance.split == {"train": 30, "valid": 6, "test": 4}
    assert document.metrics["test"]["forces"]["count"] == 4 * 9
    assert document.run["model"]["channels"] == 8
    assert yaml.safe_load((run.folder / "config.yaml").read_text())["targets"]["energy"]["stress"] is False


def test_an_interrupted_run_goes_on_bit_equal(settings, tmp_path):
    whole = api.train(settings, tmp_path / "whole")

    def stop(step: int, total: int, text: str) -> None:
        if step == 17:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        api.train(settings, tmp_path / "parts", observe=stop)
    assert not (tmp_path / "parts" / "model.equipot").exists()
    said: list[str] = []
    parts = api.train(settings, tmp_path / "parts", say=said.append)
    assert any("Continuing from step 17 of 48" in line for line in said)
    assert_equal(weights(whole), weights(parts))
    logs = [
        [json.loads(x)["train"] for x in (r.folder / "log.jsonl").read_text().splitlines()][3:]
        for r in (whole, parts)
    ]
    assert logs[0] == logs[1]
    assert whole.metrics == parts.metrics


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_equal(settings, tmp_path):
    settings["train"] |= {"epochs": 20}
    whole = api.train(settings, tmp_path / "whole")
    settings["train"] |= {"checkpoint_seconds": 0.3}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    command = [
        sys.executable,
        "-m",
        "equipot",
        "train",
        str(config),
        "--out",
        str(tmp_path / "parts"),
        "--quiet",
    ]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    place = tmp_path / "parts" / "checkpoints"
    deadline = time.monotonic() + 120
    while not list(place.glob("*.safetensors")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert latest_valid(place, "step-*.safetensors")[0] is not None
    parts = api.train(settings, tmp_path / "parts")
    assert_equal(weights(whole), weights(parts))


@pytest.mark.slow
def test_a_truncated_checkpoint_is_passed_over(settings, tmp_path):
    settings["train"] |= {"epochs": 2, "checkpoint_seconds": 1e-6, "keep_checkpoints": 3}
    whole = api.train(settings, tmp_path / "run")
    (tmp_path / "run" / "model.equipot").unlink()
    newest = sorted((tmp_path / "run" / "checkpoints").glob("*.safetensors"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    said: list[str] = []
    again = api.train(settings, tmp_path / "run", say=said.append)
    assert any("Passed over" in line and newest.name in line for line in said)
    assert_equal(weights(whole), weights(again))


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["inf", "0.0003"])  # GB of a process: a step in one part, or in several
def test_two_processes_equal_one(settings, tmp_path, memory):
    # not SOAP: where there was no gradient yet, rounding errors choose its axes
    settings["train"] |= {"epochs": 3, "optimizer": "adamw"}
    alone = api.train(settings, tmp_path / "one")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    command = [
        *(
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            "-m",
            "equipot",
        ),
        *("train", str(config), "--out", str(tmp_path / "two"), "--quiet"),
    ]
    done = subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1", "EQUIPOT_MEMORY": memory},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    potential, _ = load(tmp_path / "two" / "model.equipot")
    # sums are taken in another order: 1e-16 times the steps, amplified by the optimizer's division
    assert_equal(weights(alone), dict(potential.named_parameters()), tolerance=1e-9)


def test_another_configuration_in_the_same_folder_is_refused(settings, tmp_path):
    api.train(settings, tmp_path / "run")
    settings["train"]["epochs"] = 7
    with pytest.raises(ValueError, match=r"train\.epochs: 6 there, 7 now"):
        api.train(settings, tmp_path / "run")


def test_a_finished_run_is_not_trained_again(settings, tmp_path):
    first = api.train(settings, tmp_path / "run")
    steps: list[int] = []
    second = api.train(settings, tmp_path / "run", observe=lambda s, t, x: steps.append(s))
    assert steps == []
    assert first.metrics == second.metrics


def test_published_recipes_can_be_written_down(settings, tmp_path):
    settings["train"] |= {
        "optimizer": "amsgrad",
        "learning_rate": 1e-3,
        "weight_decay": 0,
        "schedule": "plateau",
        "plateau": {"factor": 0.5, "patience": 2, "stop_below": 1e-6},
        "weights": {"energy": 0.05, "forces": 0.95, "dipole": 0.01},
        "clip": None,
        "patience": 50,
    }
    run = api.train(settings, tmp_path / "run")
    assert run.model.exists()


def test_early_stopping_ends_a_run(settings, tmp_path):
    settings["train"] |= {"patience": 1, "learning_rate": 1e-12, "epochs": 50, "ema": False, "clip": None}
    run = api.train(settings, tmp_path / "run")
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] < 50 * 8


def test_stress_is_trained_when_the_file_has_it(tmp_path):
    rng = np.random.default_rng(0)
    frames = []
    from ase.build import bulk
    from ase.calculators.lj import LennardJones

    for _ in range(12):
        atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
        atoms.rattle(0.1, rng=rng)
        atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=5.0, smooth=True)
        atoms.get_stress(), atoms.get_forces()
        frames.append(atoms)
    write(tmp_path / "argon.xyz", frames, format="extxyz")
    assert len(read(tmp_path / "argon.xyz", ":")) == 12
    settings = {
        "data": {"train": str(tmp_path / "argon.xyz"), "valid": 2},
        "model": {"name": "schnet", "channels": 8, "num_layers": 1, "num_radial": 6, "cutoff": 4.5},
        "train": {"batch": 2, "epochs": 3},
    }
    run = api.train(settings, tmp_path / "run")
    assert run.metrics["valid"]["stress"]["count"] == 2 * 9
    assert Path(run.folder / "config.yaml").read_text().count("stress: true") == 1


def test_frames_with_overlapping_atoms_are_left_out_and_kept_in_a_file(settings, water_file, tmp_path):
    frames = read(water_file, ":")
    frames[0].positions[1] = frames[0].positions[0] + 0.05
    write(tmp_path / "broken.xyz", frames, format="extxyz")
    settings["data"] |= {
        "train": str(tmp_path / "broken.xyz"),
        "split": {"by": "index", "valid": "30:36", "test": "36:40"},
    }
    said: list[str] = []
    run = api.train(settings, tmp_path / "run", say=said.append)
    assert any("1 training frames with atoms on top of each other" in line for line in said)
    assert len(read(run.folder / "excluded.xyz", ":")) == 1
    assert len(run.splits.train) == 29


def test_a_force_limit_leaves_frames_out(settings, tmp_path):
    settings["data"]["max_force"] = 3.0
    run = api.train(settings, tmp_path / "run")
    assert all(np.abs(f.labels["forces"]).max() <= 3.0 for f in run.splits.train)
    assert all(np.abs(f.labels["forces"]).max() > 3.0 for f in run.splits.excluded)
    assert run.splits.excluded


def test_a_mistake_leaves_no_folder_behind_so_that_it_can_be_mended(settings, tmp_path):
    """A claimed folder would refuse the corrected configuration as that of another run."""
    folder = tmp_path / "run"
    settings["targets"] = {"energy": {}, "dipole": {}}
    with pytest.raises(ValueError, match=r"frame \d+: no total charge.*\nPaste targets\.total_charge=0"):
        api.train(settings, folder)
    assert not folder.exists()


def test_an_element_that_only_the_validation_set_has_is_refused_before_the_first_step(
    settings, water_file, tmp_path
):
    other = tmp_path / "valid.xyz"
    other.write_text("1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.0 charge=1\nCl 0 0 0 0 0 0\n")
    settings["data"] = {"train": str(water_file), "valid": str(other)}
    with pytest.raises(ValueError, match=r"valid\.xyz, frame 0: no parameters for Cl"):
        api.train(settings, tmp_path / "run")
