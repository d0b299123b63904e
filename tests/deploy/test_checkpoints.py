"""The state of a training run comes back exactly, or the one before it does."""

import math

import pytest
import torch

from equipot.deploy import latest_valid, load_state, save, save_state


def state(step: int):
    tensors = {
        "weights": torch.randn(3, 4),
        "moments": torch.randn(5, dtype=torch.float64),
        "step": torch.tensor(float(step)),
        "generator": torch.random.get_rng_state(),
        "order": torch.arange(7),
        "empty": torch.zeros(0, 3),
    }
    return tensors, {"step": step, "rate": 0.1 + 0.2, "best": math.inf, "names": ["a", "b"]}


def test_tensors_and_numbers_come_back_bit_equal(tmp_path):
    tensors, record = state(3)
    save_state(tmp_path / "s.safetensors", tensors, record)
    found, numbers = load_state(tmp_path / "s.safetensors")
    assert numbers == record
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        assert torch.equal(found[name], tensor)


def test_views_of_one_memory_are_saved_apart(tmp_path):
    whole = torch.arange(6.0)
    save_state(tmp_path / "s.safetensors", {"a": whole, "b": whole[2:4], "c": whole.view(2, 3).T}, {})
    found, _ = load_state(tmp_path / "s.safetensors")
    assert torch.equal(found["b"], whole[2:4]) and torch.equal(found["c"], whole.view(2, 3).T)


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_state_is_refused(tmp_path, keep):
    path = tmp_path / "s.safetensors"
    save_state(path, *state(1))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ValueError, match=r"s\.safetensors: found"):
        load_state(path)


def test_the_latest_valid_state_is_the_one_before_the_damaged(tmp_path):
    for step in (9, 10, 100):
        save_state(tmp_path / f"state-{step}.safetensors", *state(step))
    damaged = tmp_path / "state-100.safetensors"
    data = bytearray(damaged.read_bytes())
    data[-3] ^= 1
    damaged.write_bytes(data)
    path, skipped = latest_valid(tmp_path, "state-*.safetensors")
    assert path == tmp_path / "state-10.safetensors"
    assert [s.path for s in skipped] == [damaged]
    assert "checksum" in skipped[0].reason


def test_an_empty_folder_has_no_state(tmp_path):
    assert latest_valid(tmp_path, "*.safetensors") == (None, [])


def test_a_model_is_no_state(build, tmp_path):
    save(tmp_path / "a.equipot", build())
    with pytest.raises(ValueError, match="found a model file; expected the state of a training run"):
        load_state(tmp_path / "a.equipot")
