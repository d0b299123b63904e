"""The benchmark for a machine with a GPU, as far as it goes without one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from equipot.kernels.gpu.build import installed

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed" / "gpu.py"


def run(*options):
    command = [sys.executable, str(SCRIPT), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_it_says_what_is_missing():
    done = run()
    assert done.returncode == 2
    assert "PyTorch sees no GPU here" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason="Triton is not installed")
def test_tiny_models_in_the_interpreter():
    """The comparison that a GPU would run, chooser included."""
    done = run("--interpret", "--models", "painn")
    assert done.returncode == 0, done.stderr[-2000:]
    (found,) = json.loads(done.stdout).values()
    assert set(found) == {"painn"}
    for entry in found.values():
        assert entry["agrees"]
        assert entry["programs"] >= 1
        assert not entry["refused"]
        assert all(0 <= error < 1e-10 for error in entry["errors"].values())


@pytest.mark.slow
def test_the_table_of_a_result(tmp_path):
    times = {
        "reference": {"milliseconds": 2.0, "megabytes": 10.0},
        "auto": {"milliseconds": 0.5, "megabytes": 4.0},
    }
    runs = {
        "painn, aspirin": {
            **times,
            "times_faster": 4.0,
            "graphs": {"milliseconds": 0.125, "megabytes": 6.0},
        },
        "painn, float64": {"agrees": True},
        "painn, water1536": {**times, "reference": "out of memory"},
    }
    (tmp_path / "r.json").write_text(json.dumps({"runs": runs}))
    lines = run("--table", "--result", str(tmp_path / "r.json")).stdout.splitlines()
    assert lines[2:] == [
        "| painn, aspirin | 2.00 | 0.50 | 4.0 | 0.12 | 10 / 4 / 6 |",
        "| painn, water1536 | out of memory | 0.50 | - |  | - / 4 |",
    ]
