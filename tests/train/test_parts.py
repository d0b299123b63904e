"""Schedule, averages, clipping, batches, plan: each against what it is defined to do."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from equipot.config import parse
from equipot.train.averaging import Averages
from equipot.train.batches import epoch_batches, share, steps
from equipot.train.clipping import Clipping
from equipot.train.config import TrainConfig
from equipot.train.optimizer import build_optimizer
from equipot.train.plan import best_batch, plan, planned_epochs, tuning_epochs
from equipot.train.schedule import Patience, Plateau, WarmupStayCooldown


def test_schedule_warms_up_stays_and_cools_down():
    schedule = WarmupStayCooldown(num_steps=10_000, cooldown=0.4)
    factors = [schedule.factor(s) for s in range(10_000)]
    assert factors[0] == pytest.approx(0.01) and factors[99] == 1.0
    assert set(factors[100:6000]) == {1.0}
    assert factors[6000] < 1 and factors[8000] == pytest.approx(1 - math.sqrt(2001 / 4000))
    assert factors[-1] == 1e-3
    assert all(a >= b for a, b in pairwise(factors[100:]))


def test_plateau_drops_after_patience_validations_without_gain():
    plateau = Plateau(0.5, 2)
    for error in (1.0, 0.9, 0.95, 0.91):
        plateau.observe(error)
    assert plateau.value == 0.5
    plateau.observe(0.8)
    plateau.observe(0.81)
    assert plateau.value == 0.5


def test_a_fall_below_the_threshold_is_no_gain():
    plateau = Plateau(0.5, 2, threshold=0.2)
    for error in (1.0, 0.9, 0.81):
        plateau.observe(error)
    assert plateau.value == 0.5
    plateau.observe(0.79)
    assert plateau.best == 0.79 and plateau.value == 0.5


def test_early_stopping_counts_validations_without_gain():
    patience = Patience(limit=2)
    assert [patience.exhausted(e) for e in (1.0, 1.1, 0.9, 0.95, 0.9)] == [False, False, False, False, True]
    assert not any(Patience(limit=None).exhausted(1.0) for _ in range(100))


def test_averages_follow_the_recursion():
    layer = nn.Linear(1, 1, bias=False)
    averages = Averages(layer, num_steps=100_000)
    expected = layer.weight.item()
    for step in range(50):
        with torch.no_grad():
            layer.weight.add_(0.1)
        averages.update(layer, step)
        decay = min(1 - 1 / 100, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * layer.weight.item()
    assert float(averages.tracks["short"][0]) == pytest.approx(expected, rel=1e-5)
    raw = layer.weight.item()
    with averages.applied(layer, "short"):
        assert layer.weight.item() == pytest.approx(expected, rel=1e-5)
    assert layer.weight.item() == raw


def test_clipping_follows_the_median_and_skips_what_is_not_finite():
    weight = nn.Parameter(torch.zeros(3))
    clipping = Clipping("auto")
    for _ in range(20):
        weight.grad = torch.tensor([1.0, 0.0, 0.0])
        assert clipping.apply([weight]) == 1.0
    weight.grad = torch.tensor([0.0, 50.0, 0.0])
    assert clipping.apply([weight]) == 50.0
    assert weight.grad.norm().item() == pytest.approx(3.0)
    weight.grad = torch.tensor([float("nan"), 0.0, 0.0])
    assert clipping.apply([weight]) is None
    assert (clipping.clipped, clipping.skipped) == (1, 1)


def test_an_epoch_takes_every_structure_once_and_respects_the_budget():
    sizes = [5, 9, 2, 7, 30, 4, 4, 6]
    batches = epoch_batches(sizes, budget=14.0, seed=3, epoch=0)
    assert sorted(i for b in batches for i in b) == list(range(8))
    assert all(len(b) == 1 or sum(sizes[i] for i in b) <= 14 for b in batches)
    assert batches != epoch_batches(sizes, budget=14.0, seed=3, epoch=1)
    assert batches == epoch_batches(sizes, budget=14.0, seed=3, epoch=0)


def test_batches_go_on_in_the_middle_of_an_epoch():
    sizes = [3] * 11
    whole, tail = steps(sizes, 6.0, 1, 0), steps(sizes, 6.0, 1, 9)
    expected = [next(whole) for _ in range(20)][9:]
    assert [next(tail) for _ in range(11)] == expected


def test_shares_of_a_batch_are_balanced_and_complete():
    sizes = [10, 1, 1, 8, 9, 2]
    parts = [share(range(6), sizes, rank, 2) for rank in range(2)]
    assert sorted(parts[0] + parts[1]) == list(range(6))
    loads = [sum(sizes[i] for i in p) for p in parts]
    assert abs(loads[0] - loads[1]) <= 3


def test_epochs_follow_the_size_of_the_set():
    assert planned_epochs(450, "best") == 2000
    assert planned_epochs(1000, "best") == 1239
    assert planned_epochs(100_000, "best") == 78
    assert planned_epochs(100_000, "quick") == 20
    assert planned_epochs(450, "standard") == 500


@pytest.mark.parametrize(("start", "slope", "expected"), [(3.0, 0.05, 22), (1.0, 4.0, 1), (3.0, 0.5, 7)])
def test_the_batch_follows_the_measured_curve(start, slope, expected):
    assert best_batch(2000, lambda b: start + slope * b) == expected


def test_a_budget_sets_the_number_of_steps():
    config = TrainConfig(batch=10, budget=100.0)
    found = plan(config, "painn", 950, 1, lambda b: 0.25)
    assert found.num_steps == 400 and found.steps_per_epoch == 95
    assert found.learning_rate == pytest.approx(3e-3 * math.sqrt(2))


@pytest.mark.parametrize(("every", "steps"), [(None, (100 - 43 * 0.5) / 0.25), (50, (100 - 1.5) / 0.26)])
def test_a_budget_pays_for_the_validations(every, steps):
    config = TrainConfig(batch=10, budget=100.0, validate_every=every)
    found = plan(config, "painn", 950, 1, lambda b: 0.25, validation=lambda: 0.5)
    assert found.num_steps == int(steps)


def test_steps_are_taken_as_given_whatever_their_time():
    found = plan(TrainConfig(batch=10, steps=123, budget=100.0), "painn", 950, 1, lambda b: 0.25)
    assert found.num_steps == 123


def test_a_run_has_one_length():
    with pytest.raises(ValueError, match=r"train\.steps=5 and train\.epochs=2: give one of them"):
        plan(TrainConfig(batch=10, steps=5, epochs=2), "painn", 950, 1, lambda b: 0.25)


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(ValueError, match=r"train\.batch=64: the training set has only 20 structures"):
        plan(TrainConfig(batch=64), "painn", 20, 1, lambda b: 1.0)


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10min", 600), ("2h", 7200), ("1d", 86400)])
def test_budgets_have_units(text, seconds):
    assert parse(TrainConfig, {"budget": text}, "x").budget == seconds


def test_a_budget_that_is_no_time_says_what_is():
    with pytest.raises(ValueError, match=r'x: budget = .soon.*"30s", "10min"'):
        parse(TrainConfig, {"budget": "soon"}, "x")


def test_weight_decay_leaves_biases_and_embeddings_alone():
    module = nn.ModuleDict({"linear": nn.Linear(2, 2), "table": nn.Embedding(3, 2)})
    decaying, others = build_optimizer("adamw", module, 1e-3, 0.1).param_groups
    assert decaying["weight_decay"] == 0.1 and [p.shape for p in decaying["params"]] == [(2, 2)]
    assert others["weight_decay"] == 0.0 and len(others["params"]) == 2


@pytest.mark.parametrize("name", ["soap", "adamw", "adam", "amsgrad"])
def test_weights_decay_whatever_the_size_of_their_gradients(name):
    """By the learning rate times the decay; a decay that is added to gradients would be divided by their size."""
    moved = []
    for decay in (0.0, 0.1):
        module = torch.nn.Linear(3, 2, bias=False)
        torch.nn.init.constant_(module.weight, 1.0)
        optimizer = build_optimizer(name, module, 1e-2, decay)
        for _ in range(3):  # the first step of SOAP learns its axes
            module.weight.grad = torch.full((2, 3), 1e-3)
            optimizer.step()
        moved.append(module.weight.detach().clone())
    assert float((moved[1] - moved[0]).abs().max()) == pytest.approx(3 * 1e-2 * 0.1, rel=0.1)


def test_fine_tuning_has_a_recipe_of_its_own():
    config = TrainConfig(batch=5)
    found = plan(config, "painn", 450, 1, lambda b: 1.0, tuning=True)
    assert found.num_steps == 50 * 90 and found.learning_rate == pytest.approx(1e-4) and found.warmup == 0.02
    assert plan(config, "painn", 450, 1, lambda b: 1.0).learning_rate == pytest.approx(3e-3)
    said = TrainConfig(batch=5, learning_rate=3e-4, warmup=0.1, epochs=7)
    found = plan(said, "painn", 450, 1, lambda b: 1.0, tuning=True)
    assert (found.num_steps, found.learning_rate, found.warmup) == (7 * 90, 3e-4, 0.1)


def test_fine_tuning_takes_fewer_epochs_of_more_structures():
    assert [tuning_epochs(n, "standard") for n in (10, 450, 1000, 100_000)] == [50, 50, 31, 20]
    assert tuning_epochs(10, "quick") == 20


@pytest.mark.parametrize(
    ("size", "cost", "batch"), [(2000, lambda b: 1 + 4 * b, 2), (2000, lambda b: 9 + 0.1 * b, 8)]
)
def test_fine_tuning_takes_small_batches(size, cost, batch):
    assert plan(TrainConfig(), "painn", size, 1, cost, tuning=True).batch == batch


def test_a_warm_up_may_be_given():
    schedule = WarmupStayCooldown(num_steps=1000, cooldown=0.4, warmup=0.02)
    factors = [schedule.factor(s) for s in range(30)]
    assert factors[0] == pytest.approx(1 / 20) and factors[18] < 1 and set(factors[19:]) == {1.0}
    assert WarmupStayCooldown(num_steps=1000, cooldown=0.4, warmup=0.0).factor(0) == 1.0


def test_frozen_weights_are_no_concern_of_the_optimizer():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[0].requires_grad_(False)
    groups = build_optimizer("adamw", module, 1e-3, 0.1).param_groups
    assert {id(p) for g in groups for p in g["params"]} == {id(p) for p in module[1].parameters()}
