"""The pages of docs/reference are what the package says today."""

import json
import runpy
from pathlib import Path

import pytest

from equipot.cli.keys import schema

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGES = ("configuration.md", "targets.md", "units.md", "commands.md")


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_up_to_date(name):
    make = runpy.run_path(str(FOLDER / "make.py"))
    assert tuple(make["PAGES"]) == PAGES
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == make["NOTE"] + make["PAGES"][name](), "run: python docs/reference/make.py"


def test_the_schema_is_up_to_date():
    assert json.loads((FOLDER / "configuration.schema.json").read_text(encoding="utf-8")) == json.loads(
        schema()
    )
