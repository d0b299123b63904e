"""Errors of two models on the same frames."""

import numpy as np
import pytest

from equipot.data.collate import graph
from equipot.data.frame import Frame
from equipot.evaluate.drift import RELATIVE, drift
from equipot.evaluate.predict import predict
from equipot.potential import Potential, PotentialConfig, TargetsConfig
from equipot.testing import random_potential
from equipot.testing.systems import molecule

CUTOFF = 3.0


def potential(seed: int, elements: tuple[int, ...] = (1, 8), **targets) -> Potential:
    values = {
        "model": {"name": "schnet", "channels": 4, "num_layers": 1, "num_radial": 4, "cutoff": CUTOFF},
        "targets": TargetsConfig(**targets, total_charge=0.0),
    }
    return random_potential(PotentialConfig(**values), elements, seed)


def energy_of(model: Potential, frame: Frame) -> float:
    return float(predict(model, [graph(frame, CUTOFF)], ["energy"]).energy[0])


def frames(model: Potential, per_hydrogen: float) -> list[Frame]:
    """Molecules of several compositions with the model's energies, moved by so much for each hydrogen."""
    out = []
    for size in (3, 4, 5, 6, 7):
        frame = molecule(model.elements, size, size)
        energy = energy_of(model, frame) + per_hydrogen * np.count_nonzero(frame.numbers == 1)
        out.append(frame.with_labels(energy=np.array(energy)))
    return out


def test_errors_of_both_models_beside_each_other():
    first, second = potential(0), potential(1)
    chosen = frames(first, 0.0)
    rows = drift(first, second, [graph(f, CUTOFF) for f in chosen])
    assert set(rows) == {"energy", RELATIVE}
    expected = np.array([energy_of(second, f) - float(f.labels["energy"]) for f in chosen])
    assert rows["energy"]["before"]["mae"] < 1e-10  # batches of 300 eV
    assert rows["energy"]["after"]["mae"] == pytest.approx(np.abs(expected).mean(), rel=1e-12)
    assert rows["energy"]["count"] == 5 and rows["energy"]["unit"] == "eV"


def test_relative_energies_do_not_see_other_reference_energies():
    model = potential(0)
    rows = drift(model, model, [graph(f, CUTOFF) for f in frames(model, 2.5)])
    assert rows["energy"]["before"]["mae"] > 2
    assert rows[RELATIVE]["before"]["mae"] < 1e-10  # float64 energies of 100 eV, and a fit to them


def test_one_frame_has_no_relative_energy():
    model = potential(0)
    assert RELATIVE not in drift(model, model, [graph(frames(model, 0.0)[0], CUTOFF)])


def test_a_model_without_the_element_or_the_target_has_no_error():
    first, second = potential(0, (1,)), potential(1)
    rows = drift(first, second, [graph(f, CUTOFF) for f in frames(second, 0.0)])
    assert rows["energy"]["before"] is None and rows["energy"]["after"] is not None
