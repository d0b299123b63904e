"""Memory that there is, evaluations cut to it, and what is refused."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from equipot.config import parse
from equipot.data.collate import collate, graph
from equipot.evaluate import batches as cutting
from equipot.evaluate import free_memory
from equipot.evaluate.batches import batches
from equipot.evaluate.cost import peak_bytes
from equipot.evaluate.free_memory import free_bytes, usable
from equipot.evaluate.metrics import evaluate
from equipot.evaluate.predict import predict
from equipot.potential import PotentialConfig
from equipot.testing import random_potential
from equipot.testing.systems import liquid, molecule

CPU = torch.device("cpu")
ELEMENTS, NAMES = (1, 6, 8), ("energy", "forces")


def potential(name="painn"):
    model = {"name": name, "size": "small", "cutoff": 4.0}
    return random_potential(parse(PotentialConfig, {"model": model}, "test"), ELEMENTS, dtype=torch.float64)


def graphs(count=24):
    rng = np.random.default_rng(0)
    frames = [molecule(ELEMENTS, 6 + k % 5, seed=k) for k in range(count)]
    labels = [{"energy": rng.normal(size=()), "forces": rng.normal(size=(f.num_atoms, 3))} for f in frames]
    return [graph(replace(f, labels=one), 4.0) for f, one in zip(frames, labels, strict=True)]


@pytest.mark.slow
def test_an_evaluation_in_parts_is_the_same(monkeypatch):
    own, structures = potential(), graphs()
    whole = evaluate(own, structures, NAMES)
    assert len(batches(own, structures, NAMES)) == 1
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.003")
    parts = batches(own, structures, NAMES)
    assert len(parts) > 3 and [g for p in parts for g in p] == structures
    for part in parts:  # what was promised
        assert peak_bytes(lambda part=part: predict(own, part, NAMES), CPU) < 1.05 * 3e6
    found = evaluate(own, structures, NAMES)
    for name in NAMES:
        np.testing.assert_allclose(found[name].predicted, whole[name].predicted, rtol=1e-11, atol=1e-11)
        np.testing.assert_array_equal(found[name].label, whole[name].label)
        np.testing.assert_array_equal(found[name].frame, whole[name].frame)


def test_batches_have_as_many_edges():
    own, structures = potential(), graphs()
    parts = batches(own, structures, NAMES, 150.0)
    edges = [sum(g.num_edges for g in p) for p in parts]
    assert max(edges) <= 150 and len(parts) > 3
    assert all(a + p[0].num_edges > 150 for a, p in pairwise_heads(edges, parts))
    assert len(batches(own, structures, NAMES, 1.0)) == len(structures)
    assert batches(own, [], NAMES) == []


def pairwise_heads(edges, parts):
    """Edges of a part, and the part after it."""
    return [(edges[k], b) for k, (_, b) in enumerate(pairwise(parts))]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["painn", "mace"])
def test_one_that_does_not_fit_is_refused_before_it_is_evaluated(name, monkeypatch):
    own = potential(name)
    large = graph(liquid(ELEMENTS, 10, 12.0), 4.0)
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.004")
    monkeypatch.setattr(cutting, "_ROOMS", type(cutting._ROOMS)())
    space = cutting._room(own, [large], NAMES, 1.0)
    held = peak_bytes(lambda: predict(own, [large], NAMES), CPU)
    assert space.takes([large]) == pytest.approx(held, rel=0.15)
    with pytest.raises(ValueError, match=r"1,000 atoms with .* for energy and forces, and 4 MB can be taken"):
        evaluate(own, [*graphs(3), large], NAMES)
    monkeypatch.setenv("EQUIPOT_MEMORY", "inf")
    assert len(batches(own, [large], NAMES)) == 1


@pytest.mark.slow
def test_the_measurement_is_made_once(monkeypatch):
    own, calls = potential(), []
    monkeypatch.setattr(cutting, "predict", lambda *a: calls.append(a) or predict(*a))
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.003")
    first = batches(own, graphs(), NAMES)
    count = len(calls)
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.002")
    assert len(batches(own, graphs(), NAMES)) > len(first) > 1
    assert 0 < len(calls) == count


@pytest.mark.parametrize(("text", "number"), [("20", 2e10), ("0.5", 5e8), ("inf", float("inf"))])
def test_what_the_user_says_counts(text, number, monkeypatch):
    monkeypatch.setenv("EQUIPOT_MEMORY", text)
    assert usable(CPU) == free_bytes(CPU) == number


@pytest.mark.parametrize("text", ["20 GB", "nan", "0", "-3"])
def test_what_is_no_amount_is_refused(text, monkeypatch):
    monkeypatch.setenv("EQUIPOT_MEMORY", text)
    with pytest.raises(ValueError, match=r"EQUIPOT_MEMORY=.*expected the memory that may be taken in GB"):
        usable(CPU)


def test_the_memory_of_this_machine(monkeypatch):
    monkeypatch.delenv("EQUIPOT_MEMORY", raising=False)
    free = free_bytes(CPU)
    if free is None:
        pytest.skip("this system does not say")
    assert 1e7 < free < 1e14
    assert usable(CPU) < free
    monkeypatch.setattr(free_memory, "_machine", lambda: 8e9)
    monkeypatch.setattr(free_memory, "_group", lambda: 6e9)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert free_bytes(CPU) == 2e9
    assert free_bytes(torch.device("meta")) is None


def test_the_control_group_leaves_what_the_tightest_does(tmp_path):
    for path, most, taken in (("", "max", 9), ("job", "500", 100), ("job/step", "max", 50)):
        group = tmp_path / path
        group.mkdir(exist_ok=True)
        (group / "memory.max").write_text(f"{most}\n")
        (group / "memory.current").write_text(f"{taken}\n")
        (group / "memory.stat").write_text("anon 20\ninactive_file 30\n")
    names = "memory.max", "memory.current", "inactive_file"
    assert free_memory._left(tmp_path, "/job/step", *names) == [430.0]
    assert free_memory._left(tmp_path, "/elsewhere", *names) == []


def test_a_batch_of_the_specimen_is_like_the_structure(monkeypatch):
    """A large structure is measured on a small one with as many neighbors, its labels of the same shapes."""
    from equipot.evaluate.memory import specimen

    frame = liquid(ELEMENTS, 9, 12.0)
    labels = {"energy": np.ones(()), "forces": np.ones((729, 3)), "stress": np.ones((3, 3))}
    large = graph(replace(frame, labels=labels), 4.0)
    small = specimen(large)
    assert small.num_edges / small.num_atoms == pytest.approx(large.num_edges / large.num_atoms, rel=0.1)
    assert {n: tuple(v.shape) for n, v in small.labels.items()} == {
        "energy": (), "forces": (216, 3), "stress": (3, 3)
    }  # fmt: skip
    assert collate([small], ELEMENTS).pbc.all()
