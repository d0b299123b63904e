import numpy as np
import pytest
from ase.vibrations import Vibrations

from engines.tiny import ethanol, potential
from equipot.engines.ase import Calculator
from equipot.engines.relax import relax
from equipot.spectra.displacements import slopes


def test_slopes_are_differences_of_single_evaluations():
    model, atoms, step = potential(), ethanol(), 0.0005
    found = slopes(model, atoms, step, atoms_at_once=40)
    calculator = Calculator(model, also=("dipole", "polarizability"))
    results = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[4, 2] += sign * step
        calculator.get_forces(moved)
        results.append(dict(calculator.results))
    plus, minus = results
    for name, value in (
        ("dipole", found.dipole[4, :, 2]),
        ("polarizability", found.polarizability[4, :, :, 2]),
    ):
        np.testing.assert_allclose(value, (plus[name] - minus[name]) / (2 * step), rtol=0, atol=1e-10)
    row = -(plus["forces"] - minus["forces"]) / (2 * step)
    np.testing.assert_allclose(found.hessian[4, 2], row, rtol=0, atol=1e-4 * np.abs(found.hessian).max())


def test_identities_of_translation():
    """A rigid shift changes neither forces nor the dipole of a neutral molecule."""
    found = slopes(potential(), ethanol(), step=1e-4)
    assert found.hessian.shape == (9, 3, 9, 3)
    # one atom after another is not a rigid shift of all: the difference is of the second order in the step
    for value in (found.hessian, found.dipole, found.polarizability):
        np.testing.assert_allclose(value.sum(0), 0, atol=2e-5 * np.abs(value).max())


def test_without_other_targets():
    found = slopes(potential(targets={}), ethanol())
    assert found.dipole is None and found.polarizability is None


def test_relaxed_and_the_frequencies_of_ase(tmp_path):
    model = potential(scale=0.1)
    start = ethanol()
    with pytest.raises(ValueError, match=r"not converged: 1 steps, .* expected forces below 0.0001"):
        relax(model, start, steps=1)
    atoms = relax(model, start, fmax=1e-3).atoms
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 1e-3
    assert (start.positions == ethanol().positions).all()
    vibrations = Vibrations(atoms, name=str(tmp_path / "vib"), delta=0.0005)
    vibrations.run()
    expected = vibrations.get_vibrations().get_hessian()
    np.testing.assert_allclose(slopes(model, atoms, step=0.0005).hessian, expected, rtol=0, atol=1e-7)
