"""The loss against its definition, its masks, and its invariances."""

import math

import pytest
import torch

from equipot.batch import AtomicBatch
from equipot.potential.targets import TargetsConfig
from equipot.properties import Properties, from_items
from equipot.statistics import Statistics, TargetStatistics
from equipot.train.loss import Loss, weights

STATISTICS = Statistics(
    elements=(1, 8),
    mean_neighbors=2.0,
    reference_energies=(0.0, 0.0),
    energy_scale=2.0,
    targets={
        "dipole": TargetStatistics(baseline=(0.0, 0.0), scales=(0.5,)),
        "polarizability": TargetStatistics(baseline=(0.0, 0.0), scales=(0.3, 0.7)),
    },
)
TARGETS = TargetsConfig.model_validate({"dipole": {}, "polarizability": {}, "total_charge": 0})


def batch(sizes: list[int]) -> AtomicBatch:
    n, s = sum(sizes), len(sizes)
    empty = torch.zeros(0, dtype=torch.int64)
    return AtomicBatch(
        positions=torch.zeros(n, 3, dtype=torch.float64),
        species=torch.zeros(n, dtype=torch.int64),
        system=torch.repeat_interleave(torch.arange(s), torch.tensor(sizes)),
        cell=8 * torch.eye(3, dtype=torch.float64).repeat(s, 1, 1),
        pbc=torch.ones(s, 3, dtype=torch.bool),
        senders=empty,
        receivers=empty,
        shifts=torch.zeros(0, 3, dtype=torch.int64),
        row_pointer=torch.zeros(n + 1, dtype=torch.int64),
        reverse=empty,
    )


def evaluate(predicted: Properties, labels: Properties, of: AtomicBatch, **options) -> float:
    loss = Loss(
        TARGETS, STATISTICS, weights(options.get("given", "auto"), False, options.get("huber", False), 1)
    )
    counts = {n: float(c) for n, c in loss.counts(labels).items()}
    return float(loss.total(loss.sums(predicted, labels, of, 0.2), counts)[0])


def random(of: AtomicBatch, seed: int) -> Properties:
    g = torch.Generator().manual_seed(seed)
    s, n = of.num_systems, of.num_atoms
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    a = draw(s, 3, 3)
    return Properties(
        energy=draw(s), forces=draw(n, 3), dipole=draw(s, 3), polarizability=a + a.transpose(1, 2)
    )


def test_energy_and_forces_count_every_label_once():
    of = batch([2, 3])
    labels, predicted = random(of, 0), random(of, 1)
    labels, predicted = (Properties(energy=p.energy, forces=p.forces) for p in (labels, predicted))
    de, df = predicted.energy - labels.energy, predicted.forces - labels.forces
    sizes = torch.tensor([2.0, 3.0], dtype=torch.float64)
    expected = ((de / (sizes.sqrt() * 0.2)) ** 2).sum() + (df**2).sum()
    assert evaluate(predicted, labels, of) == pytest.approx(float(expected / (4 * (2 + 15))), rel=1e-12)


def test_stress_enters_with_its_volume_and_six_components():
    of = batch([4])
    delta = torch.tensor([[[1.0, 4, 5], [4, 2, 6], [5, 6, 3]]], dtype=torch.float64) * 1e-3
    found = evaluate(Properties(stress=delta), Properties(stress=0 * delta), of)
    expected = sum(x**2 for x in range(1, 7)) * 1e-6 * (512 / (2 * 2.0)) ** 2 / 6
    assert found == pytest.approx(expected, rel=1e-12)


def test_polarizability_is_weighted_by_irrep():
    of = batch([1])
    one = torch.eye(3, dtype=torch.float64)[None]
    zero = Properties(polarizability=0 * one)
    assert evaluate(Properties(polarizability=0.3 * one), zero, of) == pytest.approx(0.1 * 1 / 6, rel=1e-12)
    anisotropic = torch.diag(torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64))[None] * 0.7
    assert evaluate(Properties(polarizability=anisotropic), zero, of) == pytest.approx(0.1 * 2 / 6, rel=1e-12)


def test_a_missing_label_leaves_numerator_and_count():
    of = batch([2, 3])
    labels, predicted = random(of, 0), random(of, 1)
    masked = from_items({**dict(labels.items()), "dipole": labels.dipole.clone()})
    masked.dipole[1] = math.nan
    masked.energy[0] = math.nan
    masked.forces[:2] = math.nan
    second = batch([3])
    only = Properties(energy=labels.energy[1:], forces=labels.forces[2:])
    guess = Properties(energy=predicted.energy[1:], forces=predicted.forces[2:])
    mechanical = Properties(energy=masked.energy, forces=masked.forces)
    assert evaluate(predicted, mechanical, of) == pytest.approx(evaluate(guess, only, second), rel=1e-12)
    first = batch([2])
    dipole = Properties(dipole=masked.dipole)
    alone = evaluate(Properties(dipole=predicted.dipole[:1]), Properties(dipole=labels.dipole[:1]), first)
    assert evaluate(predicted, dipole, of) == pytest.approx(alone, rel=1e-12)


def test_no_nan_reaches_the_gradient():
    of = batch([2])
    value = torch.full((1, 3, 3), math.nan, dtype=torch.float64)
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    labels = Properties(energy=torch.zeros(1, dtype=torch.float64), stress=torch.full_like(value, math.nan))
    loss = Loss(TARGETS, STATISTICS, weights("auto", False, False, 0))
    periodic = torch.tensor(False)
    stress = torch.where(periodic, weight * torch.ones_like(value), math.nan)
    sums = loss.sums(Properties(energy=weight[None], stress=stress), labels, of, 0.2)
    total, _ = loss.total(sums, {n: float(c) for n, c in loss.counts(labels).items()})
    total.backward()
    assert torch.isfinite(weight.grad)


@pytest.mark.parametrize("huber", [False, True])
def test_the_loss_does_not_change_under_rotation(huber):
    of = batch([2, 3])
    labels, predicted = random(of, 0), random(of, 1)
    q, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))

    def turned(p: Properties) -> Properties:
        return Properties(
            energy=p.energy,
            forces=p.forces @ q.T,
            dipole=p.dipole @ q.T,
            polarizability=q @ p.polarizability @ q.T,
        )

    before = evaluate(predicted, labels, of, huber=huber)
    assert evaluate(turned(predicted), turned(labels), of, huber=huber) == pytest.approx(before, rel=1e-12)


def test_published_weights_are_mean_squared_errors():
    of = batch([2, 3])
    labels, predicted = random(of, 0), random(of, 1)
    labels = Properties(energy=labels.energy, forces=labels.forces)
    expected = 0.05 * ((predicted.energy - labels.energy) ** 2).mean()
    expected = expected + 0.95 * ((predicted.forces - labels.forces) ** 2).mean()
    found = evaluate(predicted, labels, of, given={"energy": 0.05, "forces": 0.95})
    assert found == pytest.approx(float(expected), rel=1e-12)
