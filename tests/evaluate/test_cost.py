"""Time and memory of a system before it is run."""

import pytest
import torch

from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.evaluate.cost import bytes_of, forecast, peak_bytes
from equipot.potential import PotentialConfig, frozen
from equipot.testing import random_potential
from equipot.testing.evaluation import usual_state
from equipot.testing.systems import liquid


def potential_of(name):
    model = {"name": name, "size": "small", "cutoff": 4.0}
    return random_potential(parse(PotentialConfig, {"model": model}, "test"), (1, 8), dtype=torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["painn", "mace"])
def test_memory_at_another_size(name):
    """Ten thousand atoms hold what two small systems promised; neighbors are those of a liquid of that density."""
    potential = potential_of(name)
    promised = forecast(potential, 20**3, neighbors=20.0)
    volume = 4 / 3 * torch.pi * 4.0**3 / 20.0
    frame = liquid(potential.elements, 20, volume, **usual_state(potential))
    batch, ready = batch_of([frame], potential.elements, 4.0), frozen(potential)
    assert len(batch.senders) / batch.num_atoms == pytest.approx(20.0, rel=0.1)
    held = peak_bytes(lambda: ready(batch, forces=True), torch.device("cpu"))
    assert held < promised.bytes < 2.0 * held  # what it holds besides: the structure
    assert [size for size, _, _ in promised.measured] == [512, 1728]


@pytest.mark.slow
def test_memory_in_blocks():
    """A strictly local model is foreseen as it is evaluated: in blocks where there are more edges than one has."""
    potential = potential_of("allegro")
    volume, whole, parts = 4 / 3 * torch.pi * 4.0**3 / 20.0, frozen(potential), frozen(potential)
    whole.block, parts.block = None, 3000
    assert bytes_of(parts, 100, 20.0) == pytest.approx(bytes_of(whole, 100, 20.0), rel=0.05)
    frame = liquid(potential.elements, 14, volume, **usual_state(potential))
    batch = batch_of([frame], potential.elements, 4.0)
    structure = sum(t.nbytes for t in vars(batch).values() if isinstance(t, torch.Tensor))
    held = structure + peak_bytes(lambda: parts(batch, forces=True), torch.device("cpu"))
    assert bytes_of(parts, frame.num_atoms, 20.0) == pytest.approx(held, rel=0.25)
    assert bytes_of(whole, frame.num_atoms, 20.0) > 3 * held


def test_refusals():
    potential = potential_of("schnet")
    with pytest.raises(ValueError, match="at least one"):
        forecast(potential, 0)
    with pytest.raises(ValueError, match="more than none"):
        forecast(potential, 10, neighbors=0.0)
