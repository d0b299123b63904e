"""Steps that do not fit the memory: the same gradient in parts, said; what cannot be cut is refused."""

import json
import math
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from equipot import api
from equipot.config import parse
from equipot.data.collate import graph
from equipot.data.frame import Frame
from equipot.deploy.model_file import load
from equipot.evaluate.cost import peak_bytes
from equipot.evaluate.memory import Room
from equipot.potential import PotentialConfig
from equipot.testing import random_potential
from equipot.testing.systems import crystal, liquid, molecule
from equipot.train import memory
from equipot.train.config import TrainConfig
from equipot.train.distributed import Process
from equipot.train.loop import Interrupted
from equipot.train.memory import training_room
from equipot.train.trial import trial

CPU = torch.device("cpu")
ELEMENTS = (1, 6, 8)


def potential(**targets):
    model = {"name": "painn", "channels": 8, "num_layers": 2, "num_radial": 6, "cutoff": 3.0}
    config = parse(PotentialConfig, {"model": model, "targets": targets}, "test")
    return random_potential(config, ELEMENTS, dtype=torch.float64)


def labelled(frame: Frame, seed: int, *names: str) -> Frame:
    rng = np.random.default_rng(seed)
    shapes = {"energy": (), "forces": (frame.num_atoms, 3), "stress": (3, 3)}
    labels = {n: rng.normal(size=shapes[n]) for n in names}
    if "stress" in labels:
        labels["stress"] = labels["stress"] + labels["stress"].T
    return replace(frame, labels=labels)


def mixed():
    """Molecules and crystals, not all of which have forces, and only crystals a stress."""
    frames = [
        labelled(molecule(ELEMENTS, 5 + k, seed=k), k, "energy", *["forces"] * (k % 3 > 0)) for k in range(6)
    ]
    frames += [labelled(crystal(ELEMENTS, seed=k), k, "energy", "forces", "stress") for k in range(3)]
    return [graph(f, 3.0) for f in frames]


def stepped(room: Room | None, loss: str):
    """Loss, gradients and weights of one step on the whole set."""
    graphs, config = mixed(), TrainConfig(optimizer="adam", loss=loss, clip=None, ema=False)
    own = potential(energy={"forces": True, "stress": True})
    trainer = trial(own, graphs, ("energy", "forces", "stress"), config, CPU, len(graphs), room=room)
    found = trainer.take(list(range(len(graphs))))
    gradients = torch.cat([p.grad.flatten() for p in trainer.potential.parameters() if p.grad is not None])
    return found, gradients


@pytest.mark.parametrize("loss", ["squared", "huber"])
@pytest.mark.parametrize("atoms", [12, 1])
def test_a_step_in_parts_equals_the_whole_one(loss, atoms):
    room = Room(fixed=0, atom=1.0, edge=0, bytes=atoms)
    parts = room.cut(mixed())
    assert len(parts) > 3 and any(all("stress" not in g.labels for g in p) for p in parts)
    whole, expected = stepped(None, loss)
    found, gradients = stepped(room, loss)
    assert found == pytest.approx(whole, rel=1e-12)
    assert expected.abs().max() > 1e-2
    assert (gradients - expected).abs().max() < 1e-10 * expected.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("periodic", [False, True])
def test_the_prediction_is_what_a_step_takes(periodic, monkeypatch):
    """Of another number of structures, some of them smaller than the one that was measured."""
    own, names, config = potential(), ("energy", "forces"), TrainConfig(optimizer="adamw")
    make = (lambda k: liquid(ELEMENTS, 3 + k % 2, 12.0, seed=k)) if periodic else (
        lambda k: molecule(ELEMENTS, 8 + 8 * (k % 2), seed=k)
    )  # fmt: skip
    graphs = [graph(labelled(make(k), k, *names), 3.0) for k in range(40)]
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.5")
    monkeypatch.setattr(memory, "GENEROUS_TRAINING", 1e9)
    room = training_room(own, graphs, names, config, Process())
    assert room is not None and room.bytes == 5e8

    def steps():
        one = trial(own, graphs, names, config, CPU, len(graphs))
        for _ in range(2):
            one.take(list(range(len(graphs))))

    assert room.takes(graphs) == pytest.approx(peak_bytes(steps, CPU), rel=0.1)


def test_nothing_is_measured_where_memory_is_no_question(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a step was tried")

    monkeypatch.setattr(memory, "trial", refuse)
    for there in ("100", "inf"):
        monkeypatch.setenv("EQUIPOT_MEMORY", there)
        assert training_room(potential(), mixed(), ("energy",), TrainConfig(), Process()) is None


def test_a_structure_that_cannot_be_trained_on_is_refused_with_numbers(monkeypatch):
    frame = labelled(liquid(ELEMENTS, 9, 10.0), 0, "energy", "forces")
    graphs = [graph(f, 3.0) for f in (frame, labelled(molecule(ELEMENTS), 1, "energy"))]
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.01")
    said = (
        r"built for the contract, frame 0: 729 atoms with [\d,]+ neighbors would need [\d.]+ MB for a training step,"
        r" and 10 MB can be taken\.\nTake fewer atoms.*EQUIPOT_MEMORY=inf tries it all the same"
    )
    with pytest.raises(ValueError, match=said):
        training_room(potential(), graphs, ("energy", "forces"), TrainConfig(batch=2), Process())


def weights(run):
    return {n: p.detach() for n, p in load(run.model)[0].named_parameters()}


def difference(a, b):
    return max(
        float((x - y).abs().max()) for x, y in zip(weights(a).values(), weights(b).values(), strict=True)
    )


@pytest.mark.slow
def test_a_run_in_parts_says_so_goes_on_bit_equal_and_learns_the_same(settings, tmp_path, monkeypatch):
    # not SOAP: where there was no gradient yet, rounding errors choose its axes
    settings["train"] |= {"epochs": 3, "batch": 8, "optimizer": "adamw", "validate_every": 4}
    roomy = api.train(settings, tmp_path / "roomy")
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.0004")
    said: list[str] = []
    whole = api.train(settings, tmp_path / "whole", say=said.append)
    pattern = r"The batch of 8 is computed in 2 parts, it would need 0\.5\d+ MB of 0\.4 MB\. The gradient is the same\."
    assert sum(re.fullmatch(pattern, x) is not None for x in said) == 1
    assert 0 < difference(roomy, whole) < 1e-9

    def stop(step: int, total: int, text: str) -> None:
        if step == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        api.train(settings, tmp_path / "parts", observe=stop)
    monkeypatch.setenv(
        "EQUIPOT_MEMORY", "0.0008"
    )  # there is more now: the parts stay, for the sake of the last bit
    parts = api.train(settings, tmp_path / "parts")
    assert difference(whole, parts) == 0.0
    lines = [(r.folder / "log.jsonl").read_text().splitlines() for r in (roomy, whole)]
    losses = [[json.loads(x)["valid_loss"] for x in one] for one in lines]
    np.testing.assert_allclose(*losses, rtol=1e-9)


@pytest.mark.slow
def test_a_run_that_goes_on_with_less_memory_says_what_that_means(settings, tmp_path, monkeypatch):
    settings["train"] |= {"epochs": 1, "batch": 8, "optimizer": "adamw"}
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.0005")
    api.train(settings, tmp_path / "run")
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.0004")
    said: list[str] = []
    api.train(settings, tmp_path / "run", say=said.append)
    assert any("less memory than at the start" in x for x in said)


@pytest.mark.slow
def test_a_run_that_cannot_be_leaves_no_folder(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIPOT_MEMORY", "0.00001")
    with pytest.raises(
        ValueError, match=r"3 atoms with 6 neighbors \(\d+ structures are too large\) would need"
    ):
        api.train(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_parts_keep_the_order_and_the_limit():
    graphs = mixed()
    room = Room(fixed=5.0, atom=1.0, edge=0.0, bytes=20.0)
    parts = room.cut(graphs)
    assert [g for p in parts for g in p] == graphs
    assert all(room.takes(p) <= 20 or len(p) == 1 for p in parts)
    assert [len(p) for p in Room(fixed=0, atom=1.0, edge=0, bytes=math.inf).cut(graphs)] == [len(graphs)]
