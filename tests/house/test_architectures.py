"""Every architecture has a page, whose numbers, options and citation are those of the code."""

import runpy
from pathlib import Path

import pytest

MAKE = Path(__file__).parents[2] / "docs" / "architectures" / "make.py"
MADE = runpy.run_path(str(MAKE))


@pytest.mark.parametrize("name", MADE["kinds"]())
def test_every_architecture_has_a_page_in_the_index(name):
    assert (MAKE.parent / f"{name}.md").exists()
    assert f"]({name}.md)" in (MAKE.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_pages_are_up_to_date():
    stale = [path.name for path, text in MADE["pages"]() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run: python docs/architectures/make.py"


def test_a_page_without_a_place_for_its_numbers_is_refused():
    assert (
        MADE["filled"]("a <!-- x -->\nold\n<!-- /x --> b", "x", ["new"])
        == "a <!-- x -->\n\nnew\n\n<!-- /x --> b"
    )
    with pytest.raises(ValueError, match="<!-- x -->"):
        MADE["filled"]("a", "x", ["new"])
