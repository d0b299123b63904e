"""How long it will take."""

import pytest

from equipot.comparison.forecast import Clock, estimates
from equipot.comparison.prepare import prepare
from equipot.comparison.request import request


def jobs(seeds: int = 2):
    return request("x.xyz", "painn,schnet", steps=3, seeds=seeds).jobs()


def test_a_budget_is_taken_at_its_word_until_runs_tell_more():
    now = [0.0]
    todo = jobs()
    clock = Clock(todo, 100.0, lambda: now[0])
    clock.start(todo[0])
    assert clock.left(0.0) == pytest.approx(400.0)
    now[0] = 60.0
    assert clock.left(0.5) == pytest.approx(
        60 + 120 + 200
    )  # half in 60 s: 120 s a run of painn, 100 s one of schnet
    now[0] = 120.0
    clock.end()
    clock.start(todo[1])
    now[0] = 140.0
    assert clock.left(0.0) == pytest.approx(100 + 120 + 100)


def test_without_a_budget_one_run_speaks_for_those_that_are_not_known():
    now = [0.0]
    todo = jobs()
    clock = Clock(todo, None, lambda: now[0])
    clock.start(todo[0])
    assert clock.left(0.0) is None
    now[0] = 30.0
    assert clock.left(0.5) == pytest.approx(30 + 3 * 60)


def test_a_run_that_goes_on_does_not_begin_at_zero():
    now = [0.0]
    todo = jobs(seeds=1)[:1]
    clock = Clock(todo, None, lambda: now[0])
    clock.start(todo[0])
    assert clock.left(0.5) is None
    now[0] = 10.0
    assert clock.left(0.75) == pytest.approx(10.0)


def test_every_architecture_is_tried_and_one_that_cannot_be_built_is_said(frames, tmp_path):
    models = {"painn": {}, "vast": {"name": "painn", "channels": 10**10}}
    values = {"data": {"train": str(frames), "valid": 4, "test": 8}, "models": models}
    small = ["painn.channels=4", "model.num_layers=1", "model.cutoff=3", "train.batch=2"]
    prepared = prepare(request(values, steps=50, seeds=3, assignments=small), tmp_path / "out")
    painn, vast = estimates(prepared)
    assert (painn.runs, painn.batch, painn.steps) == (3, 2, 50)
    assert painn.step_seconds is not None and painn.seconds == pytest.approx(50 * painn.step_seconds)
    assert vast.seconds is None and vast.message
    assert not (tmp_path / "out").exists()
