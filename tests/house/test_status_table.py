"""The status table of the README names every system once and claims no model that is missing."""

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from equipot.models import ModelConfig

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
WORDS = {"works", "in progress", "planned"}
ARCHITECTURES = [
    *("SchNet", "NMP", "DimeNet++", "SphereNet", "LieConv", "EGNN", "TFN", "L1Net", "Cormorant"),
    *("SE(3)-Transformer", "ET", "PaiNN", "SEGNN", "UNiTE", "NequIP", "Allegro", "MACE", "ICTP", "TensorNet"),
]
OTHERS = [
    *("energy and forces", "stress", "partial charges", "dipole", "polarizability", "tensors of any order"),
    *("Born effective charges", "spherical basis", "irreducible Cartesian basis", "generated C++", "Triton"),
    *("inspect", "training", "torchrun", "fine-tuning", "compare", "evaluate", "verify", "report", "demo"),
    *("uncertainty", "active learning", "ASE", "TorchSim", "LAMMPS", "i-PI", "OpenMM"),
    *("power", "infrared", "Raman", "harmonic lines", "quantum nuclei", "periodic systems"),
]


def rows() -> list[tuple[str, str]]:
    """Name and status of every line of the tables between the markers."""
    table = README.split("<!-- status -->")[1].split("<!-- /status -->")[0]
    cells = [
        [c.strip() for c in line.strip("| ").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    return [(c[0], c[-1]) for c in cells if c[-1] != "status" and not set(c[0]) <= set("-: ")]


def plain(name: str) -> str:
    """A name as the configuration spells it: DimeNet++ is dimenetpp, SE(3)-Transformer se3transformer."""
    return re.sub("[^a-z0-9]", "", name.lower().replace("+", "p"))


def models() -> set[str]:
    """Names of the architectures that can be built."""
    return {plain(kind.model_fields["name"].default) for kind in get_args(get_args(ModelConfig)[0])}


def test_only_three_words():
    assert {status for _, status in rows()} <= WORDS


def test_no_system_twice():
    assert [name for name, count in Counter(name for name, _ in rows()).items() if count > 1] == []


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_named(name):
    assert name in dict(rows())


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_system_is_named(name):
    assert [row for row, _ in rows() if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", row)]


def test_what_works_can_be_built():
    working = {plain(name) for name, status in rows() if name in ARCHITECTURES and status == "works"}
    assert working <= models()


def test_what_can_be_built_is_not_called_planned():
    planned = {plain(name) for name, status in rows() if status == "planned"}
    assert models() & planned == set()
    assert models() <= {plain(name) for name in ARCHITECTURES}
