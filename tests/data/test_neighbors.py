"""Neighbor lists against an independent brute-force search and against ASE's."""

import itertools

import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list

from equipot.data.neighbors import near_images, neighbor_list

CELLS = {
    "cubic": np.diag([4.1, 4.3, 3.9]),
    "triclinic": np.array([[3.1, 0, 0], [1.8, 3.05, 0], [-1.0, 1.1, 3.3]]),
    "left-handed": np.array([[0, 4.1, 0], [3.53, 0, 0], [0, 0.3, 4.2]]),
    "thin": np.diag([1.53, 6.1, 7.2]),
    "very oblique": np.array([[3.0, 0, 0], [8.1, 3.1, 0], [0, 0, 5.0]]),
    "wide": np.diag([60.0, 70.0, 80.0]),
}
PERIODIC = [np.array(p) for p in itertools.product([False, True], repeat=3)]


def brute_force(positions, cell, pbc, cutoff, reach=14):
    """Every image of every atom, one by one."""
    ranges = [range(-reach, reach + 1) if p else (0,) for p in pbc]
    shifts = np.array(list(itertools.product(*ranges)))
    offset = shifts @ cell
    found = set()
    for i, j in itertools.product(range(len(positions)), repeat=2):
        near = np.linalg.norm(positions[j] + offset - positions[i], axis=1) < cutoff
        found |= {(i, j, *map(int, s)) for s in shifts[near] if i != j or s.any()}
    return found


def as_set(found):
    return set(zip(found.receivers.tolist(), found.senders.tolist(), *found.shifts.T.tolist(), strict=True))


def check_invariants(found, positions, cell, cutoff):
    edges = len(found.senders)
    assert len(as_set(found)) == edges, "an edge occurs twice"
    key = np.column_stack([found.receivers, found.senders, found.shifts])
    assert (np.lexsort(key.T[::-1]) == np.arange(edges)).all(), "not sorted by receiver, sender, shift"
    counts = np.bincount(found.receivers, minlength=len(positions))
    assert (np.diff(found.row_pointer) == counts).all() and found.row_pointer[0] == 0
    back = found.reverse
    assert (back[back] == np.arange(edges)).all()
    assert (found.senders[back] == found.receivers).all() and (found.receivers[back] == found.senders).all()
    assert (found.shifts[back] == -found.shifts).all()
    vectors = positions[found.senders] + found.shifts @ cell - positions[found.receivers]
    assert (np.linalg.norm(vectors, axis=1) <= cutoff + 1e-12).all()


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("pbc", PERIODIC, ids=lambda p: "".join("FT"[int(x)] for x in p))
def test_equals_brute_force_in_every_cell_and_periodicity(name, pbc, rng):
    cell = CELLS[name]
    for count, cutoff in ((1, 4.03), (2, 2.51), (5, 4.03)):
        inside = rng.uniform(0, 1, (count, 3)) @ np.diag(np.minimum(np.linalg.norm(cell, axis=1), 5.0))
        positions = inside + rng.integers(-1, 2, (count, 3)) @ (cell * (np.abs(cell).max() < 20))
        found = neighbor_list(positions, cell, pbc, cutoff)
        assert as_set(found) == brute_force(positions, cell, pbc, cutoff)
        check_invariants(found, positions, cell, cutoff)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("pbc", PERIODIC, ids=lambda p: "".join("FT"[int(x)] for x in p))
def test_equals_the_list_of_ase(name, pbc, rng):
    cell = CELLS[name]
    positions = rng.uniform(-3, 6, (6, 3))
    found = neighbor_list(positions, cell, pbc, 4.57)
    i, j, shifts = primitive_neighbor_list("ijS", pbc, cell, positions, 4.57)
    assert as_set(found) == set(zip(i.tolist(), j.tolist(), *shifts.T.tolist(), strict=True))


@pytest.mark.parametrize("pbc", PERIODIC, ids=lambda p: "".join("FT"[int(x)] for x in p))
def test_open_directions_may_have_no_cell_vector(pbc, rng):
    cell = np.where(np.array(pbc)[:, None], CELLS["triclinic"], 0.0)
    positions = rng.uniform(-3, 6, (4, 3))
    found = neighbor_list(positions, cell, pbc, 4.57)
    assert as_set(found) == brute_force(positions, cell, pbc, 4.57)
    check_invariants(found, positions, cell, 4.57)


def test_an_open_direction_may_keep_a_vector_that_depends_on_a_periodic_one(rng):
    cell = np.array([[3.0, 0, 0], [6.0, 0, 0], [0, 0, 0]])
    pbc = np.array([True, False, False])
    positions = rng.uniform(-2, 2, (4, 3))
    found = neighbor_list(positions, cell, pbc, 4.0)
    assert as_set(found) == brute_force(positions, cell, pbc, 4.0)


def test_one_atom_in_a_small_cell_sees_its_own_images():
    found = neighbor_list(np.zeros((1, 3)), np.eye(3) * 2.0, np.ones(3, bool), 2.5)
    assert len(found.senders) == 6
    check_invariants(found, np.zeros((1, 3)), np.eye(3) * 2.0, 2.5)


@pytest.mark.parametrize("count", [1, 2])
def test_no_edges(count):
    positions = np.arange(3.0 * count).reshape(count, 3) * 100
    found = neighbor_list(positions, np.zeros((3, 3)), np.zeros(3, bool), 5.0)
    assert len(found.senders) == len(found.reverse) == 0
    assert found.shifts.shape == (0, 3) and found.row_pointer.tolist() == [0] * (count + 1)


def test_edges_exactly_at_the_cutoff_keep_their_reverse():
    cell = np.array([[3.0, 0, 0], [0, 3.5, 0], [0, 0, 4.0]])  # |a + c| = 5
    positions = np.random.default_rng(3).uniform(-6, 8, (7, 3))
    found = neighbor_list(positions, cell, np.ones(3, bool), 5.0)
    check_invariants(found, positions, cell, 5.0)


def test_atoms_far_away_cost_nothing_and_find_nobody():
    positions = np.array([[0.0, 0, 0], [1.0, 0, 0], [1e6, 1e6, -1e6]])
    found = neighbor_list(positions, np.zeros((3, 3)), np.zeros(3, bool), 5.0)
    assert found.senders.tolist() == [1, 0]


def test_a_wide_box_has_no_near_images_and_a_wrapped_molecule_has():
    box, pbc = np.eye(3) * 50.0, np.ones(3, bool)
    whole = np.array([[20.0, 0, 0], [21.0, 0, 0]])
    wrapped = np.array([[0.2, 0, 0], [49.8, 0, 0]])
    assert not near_images(whole, box, pbc, 5.0).any()
    assert near_images(wrapped, box, pbc, 5.0).tolist() == [True, False, False]
    found = neighbor_list(wrapped, box, pbc, 5.0)
    assert found.shifts.tolist() == [[-1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    "positions, cell, pbc, cutoff, message",
    [
        ([[0, 0, 0], [0, 0, 0]], np.eye(3) * 9, [0, 0, 0], 5.0, "atoms 0 and 1 are on top of each other"),
        ([[0, 0, 0], [9.0, 0, 0]], np.eye(3) * 9, [1, 1, 1], 5.0, "on top of each other"),
        ([[0, 0, 0], [np.nan, 0, 0]], np.eye(3) * 9, [0, 0, 0], 5.0, "position of atom 1"),
        ([[0, 0, 0]], np.zeros((3, 3)), [0, 1, 0], 5.0, "periodic along cell vector 1, which is zero"),
        ([[0, 0, 0]], np.array([[1.0, 0, 0], [2, 0, 0], [0, 0, 1]]), [1, 1, 0], 5.0, "linearly dependent"),
        ([[0, 0, 0]], np.full((3, 3), np.inf), [1, 1, 1], 5.0, "cell is not finite"),
        ([[0, 0, 0]], np.eye(3), [0, 0, 0], -1.0, "cutoff = -1.0"),
    ],
)
def test_what_has_no_neighbor_list_is_refused(positions, cell, pbc, cutoff, message):
    with pytest.raises(ValueError, match=message):
        neighbor_list(np.array(positions, float), cell.astype(float), np.array(pbc, bool), cutoff)
