"""A run of a few seconds that every command can work with, and commands run inside this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import write

from cli.tiny import BASE, LIMITS, SETTINGS, run_quietly, water


@dataclass(frozen=True)
class Tiny:
    """What the session's run left."""

    data: Path
    start: Path
    run: Path
    model: Path
    dynamics: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, unchecked) -> Tiny:
    """Twenty frames, a model of eight channels, and a third of a picosecond with it."""
    folder = tmp_path_factory.mktemp("cli")
    data, start, run = folder / "water.xyz", folder / "start.xyz", folder / "run"
    write(data, [water(seed) for seed in range(20)], format="extxyz")
    write(start, Atoms("OH2", BASE), format="extxyz")
    model, dynamics = run / "model.equipot", folder / "md"
    options = f"--time 0.3 --equilibrate 0.01 --temperature 50 --out {dynamics} --quiet"
    with unchecked():
        assert run_quietly(f"train {data} {SETTINGS} --out {run} --quiet") == 0
        assert run_quietly(f"md {model} {start} {LIMITS} {options}") == 0
    return Tiny(data, start, run, model, dynamics)


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def equipot(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], Said]:
    """Run a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> Said:
        capsys.readouterr()
        code = run_quietly(line)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Said(code, captured.out, captured.err)

    return run
