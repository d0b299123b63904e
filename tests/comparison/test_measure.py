"""Measuring in turns, and the memory of a call."""

import time

import torch

from equipot.comparison import measure
from equipot.comparison.measure import _in_turns, peak_bytes

CPU = torch.device("cpu")


def test_the_peak_is_the_most_that_lives_at_once():
    x = torch.ones(1000, 250)  # a megabyte that was there before

    def call() -> None:
        y = x + 1
        z = y * 2
        del y
        (z + z).sum()

    # at most two of the three temporaries live together; sums take some bytes
    assert 2_000_000 <= peak_bytes(call, CPU) <= 2_001_000


def test_gradients_count():
    x = torch.ones(1000, 250, requires_grad=True)

    def call() -> None:
        torch.autograd.grad((x.sin() * x).sum(), x)

    assert peak_bytes(call, CPU) >= 2_000_000


def test_models_take_turns_and_a_broken_one_is_left_out(monkeypatch):
    monkeypatch.setattr(measure, "ROUNDS", (4, 4))
    order: list[str] = []

    def broken() -> None:
        raise RuntimeError("out of memory")

    def slow() -> None:
        order.append("slow")
        time.sleep(0.01)

    failed: dict[str, str] = {}
    calls = {"fast": lambda: order.append("fast"), "broken": broken, "slow": slow}
    found = _in_turns(calls, CPU, 0.0, failed)
    assert failed == {"broken": "not measured: RuntimeError: out of memory"}
    assert order[:4] == ["fast", "fast", "slow", "slow"]  # warm up
    assert order[4:] == ["fast", "slow", "slow", "fast"] * 2
    assert found["slow"].fastest >= 0.01 > found["fast"].fastest
    assert found["fast"].repetitions == 4
