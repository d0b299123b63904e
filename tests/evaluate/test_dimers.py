"""Curves of two atoms alone: what the figure shows is what the potential says, and merging atoms are named."""

import pytest
from ase import Atoms

from equipot.batch import AtomicBatch
from equipot.config import parse
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.evaluate.report import dimers
from equipot.potential import Potential, PotentialConfig, TermsConfig
from equipot.potential.terms.zbl import ZBL
from equipot.testing import random_potential

ELEMENTS = (1, 6, 8)
MODEL = {"name": "painn", "channels": 8, "num_layers": 2, "num_radial": 6, "cutoff": 3.0}


def potential(zbl: bool) -> Potential:
    config = parse(PotentialConfig, {"model": MODEL, "terms": {"zbl": zbl}}, "test")
    return random_potential(config, ELEMENTS, seed=1)


def pair(*numbers: int, distance: float = 0.0) -> AtomicBatch:
    atoms = Atoms(numbers, positions=[[0, 0, 0], [distance, 0, 0]][: len(numbers)])
    return batch_of([Frame.from_atoms(atoms)], ELEMENTS, 3.0)


def energy(model: Potential, *numbers: int, distance: float = 0.0) -> float:
    return float(model(pair(*numbers, distance=distance)).energy.detach())


def test_the_curve_is_the_energy_above_that_of_the_atoms():
    model = potential(True)
    (found,) = [d for d in dimers.dimers(model, [1, 8]) if d.kind == "O–H"]
    r = float(found.distance[40])
    expected = energy(model, 1, 8, distance=r) - energy(model, 1) - energy(model, 8)
    assert found.energy[40] == pytest.approx(expected, abs=1e-9)
    assert found.distance[-1] == model.cutoff and found.energy[-1] == pytest.approx(0.0, abs=1e-9)


def test_the_dotted_line_is_the_repulsion_alone():
    (found,) = dimers.dimers(potential(True), [8])
    expected = float(ZBL(ELEMENTS, 3.0)(pair(8, 8, distance=found.distance[0])).sum())
    assert found.repulsion[0] == pytest.approx(expected, rel=1e-12) and expected > 1000
    assert not dimers.dimers(potential(False), [8])[0].repulsion.any()


def test_atoms_that_may_merge_are_named_with_the_remedy():
    """A network alone is smooth at contact; with the repulsion every pair of the same weights is repelled."""
    plain = potential(False)
    merging = [d for d in dimers.dimers(plain, [1, 6, 8]) if not d.repels]
    words = dimers._verdict(merging)
    assert merging and all(d.kind in words for d in merging) and "terms.zbl=true" in words
    config = plain.config.model_copy(update={"terms": TermsConfig(zbl=True)})
    safe = Potential(config, plain.statistics).double()
    safe.load_state_dict(plain.state_dict())
    found = dimers.dimers(safe, [1, 6, 8])
    assert all(d.repels for d in found) and len(found) == dimers.MOST_PAIRS
    assert "Every pair is repelled" in dimers._verdict(found)
