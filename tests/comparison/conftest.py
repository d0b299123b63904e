"""A small comparison on thirty frames of the shipped ethanol set, with an architecture that must fail."""

import os
from pathlib import Path

import pytest
from ase.io import write

import equipot
from equipot.comparison import course, measure
from equipot.comparison.table import ModelTable
from equipot.data.shipped import ethanol
from equipot.evaluate.report import cost, write_report

#: at this rate the first step leaves weights that no gradient is finite for
HOPELESS = "1e30"
SMALL = {"channels": 4, "num_layers": 1, "num_radial": 6, "cutoff": 3.0}


def settings(data: Path) -> dict:
    """Two architectures that learn and one that cannot, 24 steps each: it gives up after 21 without a gradient."""
    return {
        "data": {"train": str(data), "valid": 4, "test": 8},
        "models": {
            "painn": {},
            "broken": {"name": "painn", "train": {"learning_rate": float(HOPELESS), "weight_decay": 0.0}},
            "schnet": {"num_layers": 2},
        },
        "model": SMALL,
        "train": {"steps": 24, "batch": 2, "validate_every": 8},
        "seeds": 2,
    }


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty frames and the isolated atoms."""
    found = equipot.read(ethanol())
    path = tmp_path_factory.mktemp("data") / "ethanol.xyz"
    chosen = [*found.structures[:: len(found.structures) // 30][:30], *found.isolated]
    write(path, [frame.atoms() for frame in chosen], format="extxyz")
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed is measured for a moment only, and of all reports one is written."""
    hurry(monkeypatch)


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Speed is measured for a moment only, and of all reports one is written."""
    patch.setattr(measure, "SECONDS", 0.02)
    patch.setattr(cost, "SECONDS", 0.02)
    patch.setattr(course, "write_report", _report)


def _report(place: Path) -> Path:
    if place.name == "painn-seed1":
        return write_report(place)
    (place / "report.html").write_text("left out for the sake of time")
    return place / "report.html"


@pytest.fixture(scope="session")
def compared(frames: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelTable, list[str]]:
    """The folder of a comparison, its table, and what was said on the way."""
    folder = tmp_path_factory.mktemp("comparison") / "out"
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        table = equipot.compare(settings(frames), out=folder, say=said.append)
    return folder, table, said


def stamps(folder: Path) -> dict[str, int]:
    """When each model file was written."""
    return {p.parent.name: os.stat(p).st_mtime_ns for p in folder.glob("runs/*/model.equipot")}
