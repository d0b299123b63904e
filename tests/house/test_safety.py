"""No line of the package runs what a file says."""

import ast
from pathlib import Path

import pytest

import equipot

SOURCES = sorted(Path(equipot.__file__).parent.rglob("*.py"))
MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    ("torch", "load"),
    ("torch", "save"),
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("importlib", "import_module"),
}
NAMELESS = {"utils", "util", "common", "helpers", "misc", "tools", "core"}


def findings(tree: ast.AST) -> list[str]:
    """What the tree imports or calls that could run foreign code."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(node.module or "")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            found.append(node.func.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and (owner.id, node.func.attr) in ATTRIBUTES:
                found.append(f"{owner.id}.{node.func.attr}")
            found += [k.arg for k in node.keywords if k.arg == "allow_pickle" and not _is_false(k.value)]
    return found


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(SOURCES[0].parent)))
def test_no_code_out_of_files(path):
    assert findings(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_no_file_without_a_subject():
    assert [p for p in SOURCES if NAMELESS & {p.stem, *p.relative_to(SOURCES[0].parent).parts[:-1]}] == []
