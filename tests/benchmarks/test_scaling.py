"""The model of the time of a step: its halo is that of atoms counted, and it follows the published curve."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "scaling"))

import model as scaling

FAST = {"bandwidth": 25e9, "latency": 5e-6}


def test_the_halo_is_what_lies_around_a_cube():
    matter = scaling.Matter(volume=1.0, reach=3.0)
    sites = np.argwhere(np.ones((22, 22, 22))) + 0.5
    inside = ((sites > 6) & (sites < 16)).all(1)
    near = ((sites > 3) & (sites < 19)).all(1)
    counted = int((near & ~inside).sum())
    sent = 2 * sum(scaling.halo(float(inside.sum()), matter))
    assert sent == pytest.approx(counted)


def test_the_published_curve_follows_from_one_gpu():
    rows = scaling.against_the_published(**FAST)
    assert len(rows) == len(scaling.PUBLISHED)
    assert all(abs(row["ratio"] - 1) < 0.08 for row in rows)


def test_a_slower_network_costs_and_one_process_needs_none():
    fast = scaling.Machine(start=1e-3, per_atom=1e-6, **FAST)
    slow = scaling.Machine(start=1e-3, per_atom=1e-6, bandwidth=1e6, latency=5e-6)
    matter = scaling.Matter()
    assert scaling.step(1e6, 1, fast, matter) == scaling.step(1e6, 1, slow, matter)
    assert scaling.step(1e6, 64, slow, matter) > scaling.step(1e6, 64, fast, matter)
    times = [scaling.step(1e6, p, fast, matter) for p in (1, 2, 4, 8, 16, 64)]
    assert all(a > b for a, b in pairwise(times))


def test_a_machine_from_two_times():
    machine = scaling.fitted([(100, 2e-3), (1000, 11e-3), (500, 6e-3)], **FAST)
    assert machine.per_atom == pytest.approx(1e-5) and machine.start == pytest.approx(1e-3)
