import numpy as np
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from equipot.spectra.frames import centered, eckart_rotations, rotate_tensors, rotate_vectors
from spectra import bent


def test_rotations_are_proper_and_meet_eckarts_condition():
    """Σ m r⁰ × R r = 0, also for a planar reference, where a reflection would fit as well."""
    rng = np.random.default_rng(1)
    turns = Rotation.random(200, rng).as_matrix()
    bent_out = bent.POSITIONS + 0.05 * rng.normal(size=(200, 3, 3))
    positions = np.einsum("tab,tib->tia", turns, bent_out) + rng.normal(size=(200, 1, 3))
    rotations = eckart_rotations(positions, bent.POSITIONS, bent.MASSES)
    assert_allclose(np.linalg.det(rotations), 1.0, rtol=1e-12)
    inside = rotate_vectors(rotations, centered(positions, bent.MASSES))
    moment = np.einsum("i,tia->ta", bent.MASSES, np.cross(bent.POSITIONS, inside))
    assert np.abs(moment).max() < 1e-12
    # not turned over: a wrong sign would move atoms by an Å
    assert np.abs(inside - centered(bent_out, bent.MASSES)).max() < 0.4


def test_vectors_and_tensors_turn_alike():
    turns = Rotation.random(5, np.random.default_rng(2)).as_matrix()
    v = np.random.default_rng(3).normal(size=(5, 3))
    outer = rotate_tensors(turns, np.einsum("ta,tb->tab", v, v))
    turned = rotate_vectors(turns, v)
    assert_allclose(outer, np.einsum("ta,tb->tab", turned, turned), atol=1e-14)
