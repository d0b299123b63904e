"""Recordings of evaluations: filled batches give the same numbers, nothing in them waits, what is wrong is refused.

Those of a CPU are the real ones. In place of a CUDA graph, the call is run again; with a GPU, `benchmarks/speed/gpu.py`
compares graphs.
"""

import copy
import logging
import pickle
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from contract.every_model import BASES, SYSTEMS, small
from equipot.config import parse
from equipot.potential import PotentialConfig, Replayed, frozen, replay
from equipot.potential.replay import MOST_ATOMS, edges_for, filled, on_cpu, on_cuda
from equipot.testing import crystal, far_atoms, molecule, random_potential
from equipot.testing.evaluation import batch, defined

ARCHITECTURES = ["schnet", "painn", *BASES]
ELEMENTS = (1, 6, 8)


def run_again(call, place):
    """As a graph does: the call is made on the batch that stays in its place, and its outputs stay in theirs."""
    found = call(place)

    def replay():
        for (_, old), (_, new) in zip(found.items(), call(place).items(), strict=True):
            old.copy_(new)

    return found, replay


def asked(potential, given):
    periodic = bool(given.pbc.any())
    return {
        "forces": True,
        "virials": True,
        "stress": bool(given.pbc.all()),
        "targets": tuple(defined(potential, periodic=periodic)),
    }


def assert_alike(found, expected, tolerance=1e-11):
    found, expected = dict(found.items()), dict(expected.items())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        size = max(float(value.abs().max()), 1.0)
        assert float((found[name] - value).abs().max()) < tolerance * size, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "record"), [*((name, on_cpu) for name in ARCHITECTURES), ("mace", run_again)]
)
def test_a_recording_of_a_filled_batch_gives_the_same_numbers(architecture, record):
    potential = small(architecture, "everything", torch.float64)
    recorded = Replayed(potential, record)
    for frame in SYSTEMS.values():
        given = batch(potential, [frame])
        options = asked(potential, given)
        assert_alike(recorded(given, **options), potential(given, **options).detach(), 1e-9)
    assert recorded.refused is None and len(recorded._recordings) == len(SYSTEMS)


class OneDevice(TorchDispatchMode):
    """Refuses to bring numbers to a device: a recording would have to wait for them."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        devices = {t.device.type for t in (*given, *(t for t in tree_leaves(found) if isinstance(t, Tensor)))}
        assert len(devices) < 2 or all(t.ndim == 0 for t in given if t.device.type == "cpu"), func
        return found


@pytest.mark.parametrize("system", ["molecule", "bulk"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nothing_that_is_recorded_waits_for_numbers(architecture, system):
    """Tensors without numbers cannot be looked at, and none come from another device."""
    potential = copy.deepcopy(small(architecture, "everything", torch.float64))
    given = filled(batch(potential, [SYSTEMS[system]]), 512, potential.cutoff)
    options = asked(potential, given) | {"stress": system == "bulk"}
    potential, there = potential.to("meta"), given.to("meta")
    potential(there, **options)  # tables are made, as in evaluations before a recording
    with OneDevice():
        found = potential(there, **options)
    assert found.forces is not None and found.forces.shape == (given.num_atoms, 3)


def test_what_looks_at_numbers_or_brings_them_is_found():
    there = torch.ones(3, device="meta")
    with pytest.raises(RuntimeError, match="meta"):
        bool(there.any())
    with OneDevice(), pytest.raises(AssertionError):
        torch.eye(3).to(there)


def test_a_path_is_followed_by_a_few_recordings():
    potential = frozen(small("painn", "scalars only", torch.float64))
    recorded = Replayed(potential, run_again)
    sizes = set()
    for step in range(40):
        given = batch(potential, [molecule(ELEMENTS, 12, seed=step)])
        assert_alike(recorded(given, forces=True), potential(given, forces=True))
        sizes.add(edges_for(len(given.senders)))
    assert len(recorded._recordings) == len(sizes) < 10


def test_a_value_that_is_refused_is_refused_by_a_recording_too():
    model = {"name": "painn", "channels": 4, "num_layers": 1, "num_radial": 4, "cutoff": 3.0}
    config = parse(PotentialConfig, {"model": model, "targets": {"dipole": {}, "total_charge": 0}}, "test")
    potential = random_potential(config, ELEMENTS)
    recorded = Replayed(potential, run_again)
    given = batch(potential, [SYSTEMS["molecule"]])
    recorded(given, targets=("dipole",))
    assert given.charge is not None
    with pytest.raises(ValueError, match="declared for systems of charge 0; found"):
        recorded(replace(given, charge=given.charge + 1), targets=("dipole",))
    with pytest.raises(ValueError, match="periodic"):
        recorded(given, stress=True)
    assert recorded.refused is None


def test_results_stay_what_they_were():
    potential = small("schnet", "scalars only", torch.float64)
    recorded = Replayed(potential, run_again)
    first, second = (batch(potential, [molecule(ELEMENTS, 6, seed=k)]) for k in (1, 1))
    kept = recorded(first, forces=True)
    before = kept.forces.clone()
    recorded(second.with_positions(1.01 * second.positions), forces=True)
    assert torch.equal(kept.forces, before)


def test_a_recording_that_computes_something_else_is_refused(caplog):
    def wrong(call, place):
        found, replay = run_again(call, place)

        def late():
            replay()
            found.forces.mul_(1 + 1e-6)

        return found, late

    potential = small("painn", "scalars only", torch.float64)
    recorded = Replayed(potential, wrong)
    given = batch(potential, [SYSTEMS["molecule"]])
    with caplog.at_level(logging.WARNING, logger="equipot"):
        assert_alike(recorded(given, forces=True), potential(given, forces=True))
        recorded(given, forces=True)
    assert len(caplog.records) == 1 and "differs by 1.0e-06" in caplog.text
    assert recorded.refused is not None


def test_without_a_device_that_records_the_potential_computes(caplog):
    potential = small("painn", "scalars only", torch.float64)
    recorded = Replayed(potential, on_cuda)
    given = batch(potential, [SYSTEMS["molecule"]])
    with caplog.at_level(logging.WARNING, logger="equipot"):
        assert_alike(recorded(given, forces=True), potential(given, forces=True))
    assert "not recorded" in caplog.text


def test_large_systems_and_the_reference_are_not_recorded(monkeypatch):
    potential = small("schnet", "scalars only", torch.float64)
    large = batch(potential, [crystal(ELEMENTS, (7, 7, 7))])
    assert large.num_atoms > MOST_ATOMS["cpu"]
    recorded = Replayed(potential, run_again)
    recorded(large)
    monkeypatch.setenv("EQUIPOT_KERNELS", "reference")
    recorded(batch(potential, [SYSTEMS["molecule"]]))
    assert not recorded._recordings and recorded.refused is None


def test_the_oldest_recordings_go_first(monkeypatch):
    monkeypatch.setattr(replay, "KEPT", 5)
    potential = small("schnet", "scalars only", torch.float64)
    recorded = Replayed(potential, run_again)
    for atoms in range(2, 12):
        recorded(batch(potential, [molecule(ELEMENTS, atoms)]))
    assert len(recorded._recordings) == 5
    kept = Replayed(potential, on_cpu)
    kept(batch(potential, [molecule(ELEMENTS, 9)]))
    (largest,) = kept._recordings.values()
    monkeypatch.setattr(replay, "MOST_BYTES", largest.bytes + 1)
    for atoms in (3, 4, 9):
        kept(batch(potential, [molecule(ELEMENTS, atoms)]))
    assert [r.place.num_atoms for r in kept._recordings.values()] == [9 + 1]


def test_copies_begin_anew_and_models_that_change_their_type_are_recorded_again():
    potential = frozen(small("painn", "scalars only", torch.float64))
    recorded = Replayed(potential, on_cpu)
    given = batch(potential, [SYSTEMS["molecule"]])
    first = recorded(given, forces=True)
    for copied in (copy.deepcopy(recorded), pickle.loads(pickle.dumps(recorded))):
        assert not copied._recordings
        assert_alike(copied(given, forces=True), first)
    potential.float()
    assert_alike(recorded(given, forces=True), potential(given, forces=True), 1e-5)
    assert len(recorded._recordings) == 2


def test_the_same_batch_gives_the_same_bits_whatever_came_before():
    potential = frozen(small("mace", "scalars only", torch.float64)).float()
    given = [batch(potential, [molecule(ELEMENTS, 9, seed=k)]) for k in range(4)]
    one, other = Replayed(potential), Replayed(potential)
    forward = [one(g, forces=True).forces for g in given]
    backward = [other(g, forces=True).forces for g in reversed(given)]
    assert all(torch.equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))


@pytest.mark.parametrize("name", ["species", "system", "pbc"])
def test_other_species_or_systems_are_other_recordings(name):
    """What follows from them is not computed again, so that they must not be taken for the same."""
    potential = small("painn", "scalars only", torch.float64)
    recorded = Replayed(potential, on_cpu)
    given = batch(potential, [molecule(ELEMENTS, 6, seed=k) for k in (1, 1)])
    values = {"species": given.species.flip(0), "system": given.system, "pbc": ~given.pbc}
    if name == "system":  # the same atoms, one of them in the other system
        values["system"] = torch.where(torch.arange(12) < 5, 0, 1)
    other = replace(given, **{name: values[name]})
    for one in (given, other, given, other):
        assert_alike(recorded(one, forces=True), potential(one, forces=True))
    assert len(recorded._recordings) == 2 and recorded.refused is None


def test_room_for_edges_is_even_and_little_more():
    for number in (0, 2, 30, 1000, 12_346, 99_998):
        room = edges_for(number)
        assert room % 2 == 0 and number <= room <= max(1.0625 * number, number + 32)


def test_edges_in_excess_are_mirrored_and_beyond_the_cutoff():
    potential = small("schnet", "scalars only", torch.float64)
    given = batch(potential, [far_atoms(ELEMENTS, 3.0)])
    full = filled(given, 64, potential.cutoff)
    assert (full.vectors().norm(dim=1) > potential.cutoff).all() and len(full.senders) == 64
    assert torch.equal(full.reverse[full.reverse], torch.arange(64))
    assert torch.equal(full.vectors()[full.reverse], -full.vectors())
    assert full.row_pointer.tolist() == [0, 0, 0, 64]
