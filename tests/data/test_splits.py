"""Dividing frames: sizes, seeds, groups, lists, and copies on both sides."""

import numpy as np
import pytest
from ase.build import molecule

from equipot.data.frame import Frame
from equipot.data.splits import (
    fingerprint,
    grouped_split,
    identical_groups,
    index_split,
    indices,
    random_split,
    repeated,
    shared,
)


def everything(split):
    return np.sort(np.concatenate([split.train, split.valid, split.test])).tolist()


def test_random_splits_have_the_sizes_asked_for_and_lose_nothing():
    split = random_split(100, 10, 20, seed=3)
    assert (len(split.train), len(split.valid), len(split.test)) == (70, 10, 20)
    assert everything(split) == list(range(100))


def test_the_seed_alone_decides_and_the_test_set_does_not_follow_the_others():
    first, second = random_split(100, 10, 20, seed=3), random_split(100, 10, 20, seed=3)
    np.testing.assert_array_equal(first.train, second.train)
    np.testing.assert_array_equal(first.test, random_split(100, 30, 20, seed=3).test)
    assert first.test.tolist() != random_split(100, 10, 20, seed=4).test.tolist()


def test_groups_stay_together():
    groups = [k // 7 for k in range(100)]
    split = grouped_split(groups, 10, 20, seed=0)
    sides = [{groups[k] for k in part} for part in (split.train, split.valid, split.test)]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert everything(split) == list(range(100))
    assert abs(len(split.test) - 20) <= 4 and abs(len(split.valid) - 10) <= 4


def test_too_few_frames_or_groups_are_refused():
    with pytest.raises(ValueError, match="10 frames cannot give 5 to validation and 5 to test"):
        random_split(10, 5, 5, seed=0)
    with pytest.raises(ValueError, match="2 groups of up to 50 frames are too few to give 10 to test"):
        grouped_split([0] * 50 + [1] * 50, 10, 10, seed=0)


def test_a_list_longer_than_the_name_of_a_file_may_be():
    """It was looked up as a file, which the system refuses with an error of its own."""
    text = ",".join(map(str, range(2000)))
    assert indices(text, 2000).tolist() == list(range(2000))


def test_lists_of_indices(tmp_path):
    (tmp_path / "test.txt").write_text("1, 3\n5")
    assert indices("0:10:3", 20).tolist() == [0, 3, 6, 9]
    assert indices("9,2,4", 20).tolist() == [2, 4, 9]
    assert indices(str(tmp_path / "test.txt"), 20).tolist() == [1, 3, 5]
    assert indices((4, 0), 20).tolist() == [0, 4]
    split = index_split(10, None, "0:2", (9,))
    assert split.train.tolist() == [2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("0:5", "4:8", None), "frame 4 is in valid and in train|frame 4 is in"),
        (("0,1,20", None, None), "index 20 is outside of the 10 frames"),
        (("0,1,1", None, None), "an index occurs twice"),
        (("some words", None, None), "expected 0:450, 1,5,9, or a file of integers"),
        (("a:b", None, None), "expected 0:450"),
    ],
)
def test_wrong_lists_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        index_split(10, *arguments)


@pytest.fixture
def frames(rng):
    out = []
    for k in range(6):
        atoms = molecule("H2O")
        atoms.positions += rng.normal(size=(3, 3)) * 0.1
        out.append(Frame.from_atoms(atoms, source="a.xyz", index=k))
    out[4] = Frame.from_atoms(out[1].atoms(), source="a.xyz", index=4)
    return out


def test_identical_frames_are_found_within_and_between_sets(frames):
    assert [(a.index, b.index) for a, b in repeated(frames)] == [(1, 4)]
    assert [(a.index, b.index) for a, b in shared(frames[:3], frames[3:])] == [(1, 4)]
    assert not shared(frames[:3], frames[5:])
    groups = identical_groups(frames)
    assert groups[1] == groups[4] and len(set(groups)) == 5


def test_a_moved_atom_or_another_cell_is_another_frame(frames):
    atoms = frames[0].atoms()
    atoms.positions[0, 0] += 1e-3
    assert fingerprint(Frame.from_atoms(atoms)) != fingerprint(frames[0])
    atoms = frames[0].atoms()
    atoms.cell, atoms.pbc = np.eye(3) * 9, True
    assert fingerprint(Frame.from_atoms(atoms)) != fingerprint(frames[0])


def test_splitting_by_identity_keeps_copies_together(frames):
    copies = [f for f in frames for _ in range(5)]
    split = grouped_split(identical_groups(copies), 5, 5, seed=1)
    train, test = ([copies[k] for k in part] for part in (split.train, split.test))
    assert not shared(train, test)
