"""What the documents tell a reader to type exists: commands, options, configuration keys, names in Python."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

import equipot
from equipot.cli.main import app
from equipot.comparison.request import request
from equipot.config import parse
from equipot.train.config import RunConfig

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def blocks(language: str) -> list:
    """Fenced blocks in a language, each with its document."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        pattern = rf"^ *```{language}\n(.*?)^ *```"
        parts = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
        found += [pytest.param(part, id=f"{path.relative_to(ROOT)}-{i}") for i, part in enumerate(parts)]
    return found


@pytest.mark.parametrize("text", blocks("yaml"))
def test_configurations_are_valid(text):
    values = yaml.safe_load(text)
    if "models" in values:
        assert request(values).jobs()
    elif "data" in values:
        parse(RunConfig, values, "document")


@pytest.mark.parametrize("text", blocks("python"))
def test_python_names_exist(text):
    used = [
        node.attr
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "equipot"
    ]
    assert [name for name in used if not hasattr(equipot, name)] == []


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands_and_options_exist(text):
    for line in text.splitlines():
        words = [
            Path(word).name if word.endswith("/equipot") else word
            for word in shlex.split(line, comments=True)
        ]
        if words[:1] == ["make"]:
            assert {w for w in words[1:] if "=" not in w} <= TARGETS, line
        if "equipot" in words[:-1]:
            command, *rest = words[words.index("equipot") + 1 :]
            known = {o for p in COMMANDS[command].params for o in (*p.opts, *p.secondary_opts)}
            assert {w.split("=")[0] for w in rest if w.startswith("--")} <= {*known, "--help"}, line
