"""The rate of the dipole of a crystal along a run: recorded, and computed afterwards."""

import json

import numpy as np
import pytest
from ase.build import bulk, molecule
from numpy.testing import assert_allclose

from engines.tiny import potential
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.engines.dynamics import Dynamics, run_dynamics
from equipot.spectra.dielectric import longitudinal, permittivity
from equipot.spectra.displacements import modes_of
from equipot.spectra.rates import with_dipole_rates
from equipot.spectra.trajectory import read_run

TARGETS = {"born_charges": {}, "polarizability": {}, "total_charge": 0}
SHORT = {"temperature": 100, "time": 0.02, "equilibration": 0, "stride": 2, "max_temperature": 1e6}


@pytest.fixture(scope="module")
def model():
    return potential(targets=TARGETS, elements=(8, 12), scale=0.05)


@pytest.fixture(scope="module")
def crystal():
    atoms = bulk("MgO", "rocksalt", a=4.2)
    atoms.rattle(0.02, seed=1)
    return atoms


@pytest.mark.parametrize("replicas", [1, 2])
def test_recorded_is_what_the_born_charges_say(model, crystal, tmp_path, replicas):
    run = run_dynamics(model, crystal, Dynamics(**SHORT, replicas=replicas), tmp_path / "run")
    assert json.loads((run / "md.json").read_text())["recorded"] == [
        "energy",
        "dipole_rate",
        "polarizability",
    ]
    found = read_run(run)
    assert found.has("dipole_rate") and not found.has("dipole")
    assert_allclose(found.cell, crystal.cell.array)
    again = with_dipole_rates(found, model, crystal, source="m.equipot")
    scale = np.abs(found.segments[0].dipole_rate).max()
    assert scale > 0
    for mine, theirs in zip(found.segments, again.segments, strict=True):
        assert_allclose(
            mine.dipole_rate, theirs.dipole_rate, atol=1e-6 * scale
        )  # extxyz keeps eight decimals
    assert "of m.equipot, computed afterwards" in again.notes[-1]


def test_a_dipole_is_differentiated_where_nothing_else_is_known(tmp_path):
    model = potential(targets={"dipole": {}, "total_charge": 0}, scale=0.05)
    atoms = molecule("H2O")
    run = run_dynamics(model, atoms, Dynamics(**{**SHORT, "dt": 0.1, "stride": 1}), tmp_path / "run")
    found = with_dipole_rates(read_run(run), model, atoms).segments[0]
    slopes = (found.dipole[2:] - found.dipole[:-2]) / 0.2
    assert_allclose(found.dipole_rate[1:-1], slopes, atol=5e-3 * np.abs(slopes).max())  # (ωΔt)²/6


def test_phonons_of_a_model(model, crystal):
    """Modes of a cell that is no minimum of an untrained model: sum rules, charges, tensors and ε∞ are what counts."""
    found = modes_of(model, crystal, crystal.get_masses(), source="m")
    assert len(found.wavenumbers) == 3 and found.charges.shape == (3, 3)
    assert found.raman_tensors.shape == (3, 3, 3)
    assert found.hessian_violation < 1e-6 and found.charge_violation > 1e-3
    alpha = model(batch_of([Frame.from_atoms(crystal)], model.elements, model.cutoff)).polarizability[0]
    expected = np.eye(3) + 4 * np.pi * alpha.detach().numpy() / crystal.get_volume()
    assert_allclose(found.permittivity, expected, rtol=1e-10)
    assert permittivity(found, np.array([10.0])).shape == (1, 3, 3)
    assert longitudinal(found, np.array([0.0, 0.0, 1.0])).shape == (3,)
