"""The arithmetic of the table: means, spreads, the front, and what is said of them."""

import csv
import io
import math

import pytest

from equipot.comparison.columns import runs_csv, shown, table_csv
from equipot.comparison.table import (
    Conditions,
    Cost,
    ModelTable,
    Row,
    RunRecord,
    Speed,
    Spread,
    Timing,
    front,
    scores,
)
from equipot.comparison.verdict import clear, sentences
from equipot.evaluate.readable import Readable

WHERE = Conditions(
    data={"x.xyz": "0" * 64}, split={"train": 80, "valid": 10, "test": 10}, budget="10.0 min", seeds=(1, 2),
    device="cpu", processor="one", threads=1, versions={}, created="2026-01-01",
)  # fmt: skip


def row(label: str, errors: list[float], microseconds: float) -> Row:
    """An architecture with a force error, eV/Å, for each seed, and its time per atom; no time: all runs failed."""
    runs = tuple(
        RunRecord(
            name=f"{label}-seed{k}", label=label, seed=k, folder=f"runs/{label}-seed{k}", status="finished",
            seconds=100.0, steps=1000, batch=4,
            errors={"forces": {"mae": e, "rmse": 2 * e, "count": 90, "unit": "eV/Å"}},
        )
        for k, e in enumerate(errors, 1)
    )  # fmt: skip
    if not runs:
        lost = RunRecord(
            name=f"{label}-seed1", label=label, seed=1, folder="", status="failed", message='no, "it"\nfell'
        )
        return Row(label=label, architecture="painn", settings={"cutoff": 5.0, "size": "small"}, runs=(lost,))
    timing = Timing.of([9 * microseconds * k * 1e-6 for k in (1.0, 1.5, 2.0)])
    cost = Cost(
        parameters=1000, inference=(Speed(structures=1, atoms=9, edges=72, timing=timing),), step=timing,
        batch=4, inference_bytes=2_000_000, training_bytes=3_000_000,
    )  # fmt: skip
    return Row(
        label=label, architecture="painn", settings={"cutoff": 5.0, "size": "small"}, runs=runs,
        scores=scores(runs), cost=cost,
    )  # fmt: skip


def table(*rows: Row) -> ModelTable:
    return ModelTable.of(rows, WHERE, {})


def test_a_spread_is_the_sample_deviation():
    found = Spread.of([1.0, 2.0, 3.0])
    assert (found.mean, found.deviation, found.count) == (2.0, 1.0, 3)
    assert Spread.of([4.0]) == Spread(mean=4.0, deviation=None, count=1)


def test_timings_are_quantiles():
    found = Timing.of([float(k) for k in range(11, 0, -1)])
    assert (found.fastest, found.median, found.slow, found.repetitions) == (1.0, 6.0, 10.0, 11)


def test_the_front_is_what_nothing_else_beats_in_both():
    points = {"a": (1.0, 5.0), "b": (2.0, 2.0), "c": (3.0, 3.0), "d": (4.0, 1.0), "e": (1.0, 6.0)}
    assert front(points) == {"a", "b", "d"}
    assert front({"a": (1.0, 1.0), "b": (1.0, 1.0)}) == {"a", "b"}
    assert front({}) == set()


def test_rows_are_sorted_by_error_and_failures_come_last():
    found = table(row("slow", [0.02, 0.03], 50.0), row("lost", [], 0.0), row("best", [0.01, 0.012], 80.0),
                  row("fast", [0.05, 0.05], 5.0), row("behind", [0.06, 0.06], 60.0))  # fmt: skip
    assert found.target == "forces"
    assert [r.label for r in found.rows] == ["best", "slow", "fast", "behind", "lost"]
    assert [r.label for r in found.rows if r.front] == ["best", "slow", "fast"]
    assert found["best"].scores["forces"].mae.mean == pytest.approx(0.011)
    assert found["best"].cost.inference[0].per_atom() == pytest.approx(80.0)


def test_an_error_that_is_no_number_is_on_no_front():
    assert not table(row("a", [math.nan], 1.0), row("b", [0.1], 2.0))["a"].front


def test_a_difference_counts_when_it_is_beyond_the_scatter():
    close, far = Spread(mean=1.1, deviation=0.1, count=3), Spread(mean=1.3, deviation=0.1, count=3)
    one = Spread(mean=1.0, deviation=0.1, count=3)
    assert clear(one, far) is True  # 0.3 against 2 · 0.1 √(2/3) = 0.16
    assert clear(one, close) is False
    assert clear(one, Spread(mean=9.0)) is None


def test_what_is_said():
    said = " ".join(
        sentences(
            table(row("a", [0.010, 0.012], 90.0), row("b", [0.011, 0.013], 30.0), row("c", [0.05, 0.05], 60.0),
                  row("d", [], 0.0))
        )
    )  # fmt: skip
    assert "Most accurate forces: a, MAE 11.0 ± 1.4 meV/Å; then b, 12.0 ± 1.4 meV/Å." in said
    assert "within the scatter of the seeds" in said
    assert "Fastest: b, 30.0 µs per atom and step, 3.0 times as fast as a." in said
    assert "between accuracy and speed: a, b. Beaten in both by another: c." in said
    assert "Failed: d-seed1." in said
    one = " ".join(sentences(table(row("a", [0.01], 3.0), row("b", [0.02], 9.0))))
    assert "a is the best in both" in one
    assert "chance" in " ".join(sentences(table(row("a", [0.01], 9.0), row("b", [0.02], 3.0))))


def test_runs_that_took_longer_than_their_budget_are_named():
    rows = (row("a", [0.01], 9.0), row("b", [0.02], 3.0))  # 100 s each
    for budget, late in ((70.0, True), (90.0, False), (None, False)):
        found = ModelTable.of(rows, WHERE, {"train": {"budget": budget}})
        assert ("Longer than the budget: a 1.4 times, b 1.4 times" in " ".join(sentences(found))) == late


def test_a_notebook_shows_names_and_errors():
    found = table(row("a", [0.010, 0.012], 90.0), row("d", [], 0.0))
    assert repr(found) == str(found) == "ModelTable(forces MAE, eV/Å: a 0.011, d failed)"


def test_numbers_have_their_scatter_and_their_unit():
    assert shown(Spread(mean=0.0213, deviation=0.00041, count=3), Readable(1e3, "meV/Å")) == "21.3 ± 0.41"
    assert shown(Spread(mean=0.0213), Readable(1e3, "meV/Å")) == "21.3"


def test_csv_files_can_be_read_and_hold_the_numbers():
    found = table(row("a", [0.010, 0.012], 90.0), row("d", [], 0.0))
    rows = {r["model"]: r for r in csv.DictReader(io.StringIO(table_csv(found)))}
    assert float(rows["a"]["forces MAE (meV/Å)"]) == pytest.approx(11.0)
    assert float(rows["a"]["forces MAE, standard deviation"]) == pytest.approx(math.sqrt(2))
    assert float(rows["a"]["forces RMSE (meV/Å)"]) == pytest.approx(22.0)
    assert float(rows["a"]["µs per atom and step, 1 structure"]) == pytest.approx(90.0)
    assert float(rows["a"]["µs per atom and step, 1 structure, median"]) == pytest.approx(135.0)
    assert float(rows["a"]["training memory (MB)"]) == pytest.approx(3.0)
    assert (rows["a"]["front"], rows["d"]["finished"]) == ("yes", "0")
    assert rows["d"]["message"] == 'd-seed1: no, "it"\nfell' and rows["d"]["forces MAE (meV/Å)"] == ""
    runs = list(csv.DictReader(io.StringIO(runs_csv(found))))
    assert [r["run"] for r in runs] == ["a-seed1", "a-seed2", "d-seed1"]
    assert float(runs[1]["forces MAE (meV/Å)"]) == pytest.approx(12.0)


def test_a_table_survives_json():
    found = table(row("a", [0.010, 0.012], 90.0), row("d", [], 0.0))
    assert ModelTable.model_validate(found.as_dict()) == found
