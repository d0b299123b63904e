"""The page: what it shows, and that nothing in it comes from or goes to a network."""

import json
import re

from comparison.test_table import row, table
from equipot.comparison.page import write_page
from equipot.comparison.run import write


def test_the_page_of_a_comparison_has_every_part(compared):
    folder, found, _ = compared
    text = (folder / "comparison.html").read_text(encoding="utf-8")
    for anchor in ("verdict", "pareto", "accuracy", "learning", "cost", "runs", "conditions"):
        assert f'<section id="{anchor}">' in text
    for name in ("pareto", "pareto-energy", "pareto-one", "pareto-memory", "seeds-forces", "learning-forces"):
        assert f'data-plot="{name}"' in text
    for run in (run for r in found.rows for run in r.runs):
        assert run.name in text
        assert (f'href="runs/{run.name}/report.html"' in text) == (run.status == "finished")
    assert "gradient was not finite" in text
    assert "3 architectures on ethanol.xyz: 6 runs of 24 steps" in text


def test_it_loads_nothing(compared):
    text = (compared[0] / "comparison.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?!data:)[^"]+', text) == []


def test_learning_curves_are_those_of_the_logs(compared):
    folder, _, _ = compared
    text = (folder / "comparison.html").read_text(encoding="utf-8")
    (block,) = re.findall(r'id="csv-learning-forces">(.*?)</script>', text, re.DOTALL)
    lines = [line.split(",") for line in json.loads(block).splitlines()[1:]]
    log = [json.loads(x) for x in (folder / "runs/schnet-seed2/log.jsonl").read_text().splitlines()]
    shown = [float(line[3]) for line in lines if line[0] == "schnet-seed2"]
    expected = [1000 * r["valid"]["forces"]["mae"] for r in log]
    assert shown == [float(f"{v:.9g}") for v in expected] and len(shown) == 3


def test_names_cannot_break_the_page(tmp_path):
    found = table(row("a", [0.010, 0.012], 90.0), row("b", [], 0.0))
    bad = found.rows[-1].runs[0].model_copy(update={"message": "</script><img src=x onerror=alert(1)>"})
    rows = (found.rows[0], found.rows[1].model_copy(update={"runs": (bad,)}))
    text = write_page(found.model_copy(update={"rows": rows}), tmp_path).read_text(encoding="utf-8")
    assert "<img src=x" not in text and "&lt;img src=x" in text


def test_a_comparison_without_costs_still_has_its_page(tmp_path):
    one = row("a", [0.010, 0.012], 90.0).model_copy(
        update={"cost": None, "message": "not measured: no memory"}
    )
    paths = write(table(one), tmp_path)
    text = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert {p.name for p in paths} == {"comparison.html", "comparison.json", "comparison.csv", "runs.csv"}
    assert "not measured: no memory" in text and '<section id="pareto">' not in text
