"""Units, signs and the order of beads between a model and i-PI."""

import json

import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from numpy.testing import assert_allclose

from engines.tiny import copies, ethanol, potential
from equipot import units
from equipot.deploy.model_file import save
from equipot.engines.ase import Calculator
from equipot.engines.ipi.beads import Beads, answers
from equipot.engines.ipi.trace import trace


def quartet():
    """Four atoms in a skewed cell, lower triangular as i-PI wants it."""
    atoms = bulk("C", cubic=True, a=3.6)[:4]
    atoms.set_cell([[3.6, 0, 0], [0.4, 3.7, 0], [-0.3, 0.2, 3.5]])
    atoms.rattle(0.1, seed=3)
    return atoms


@pytest.mark.parametrize("number", [1, 3])
def test_answers_are_those_of_the_calculator_in_atomic_units(number):
    model, beads = potential(), copies(ethanol(), number)
    found = Beads(model, ethanol(), number).evaluate(beads.positions.reshape(number, -1, 3))
    for k, (energy, forces, virial, _) in enumerate(answers(found)):
        one = beads[9 * k : 9 * k + 9]
        one.calc = Calculator(model)
        assert energy * units.hartree == pytest.approx(one.get_potential_energy(), rel=1e-12)
        assert_allclose(forces * units.hartree / units.bohr, one.get_forces(), rtol=0, atol=1e-10)
        assert not virial.any()


def test_the_virial_is_minus_the_volume_times_the_stress():
    model, one = potential(targets={"energy": {"stress": True}}), quartet()
    found = Beads(model, one, 2, virial=True).evaluate(np.stack([one.positions] * 2))
    one.calc = Calculator(model)
    expected = -one.get_volume() * one.get_stress(voigt=False)
    assert np.abs(expected).max() > 0.01
    for _, _, virial, _ in answers(found):
        assert_allclose(virial * units.hartree, expected, rtol=0, atol=1e-10)


def test_extras_are_of_their_bead():
    model, beads = potential(), copies(ethanol(), 3)
    evaluator = Beads(model, ethanol(), 3)
    names = ["dipole", "polarizability"]
    found = evaluator.evaluate(beads.positions.reshape(3, -1, 3), names)
    for k, (*_, text) in enumerate(answers(found, names)):
        one, extras = beads[9 * k : 9 * k + 9], json.loads(text)
        one.calc = Calculator(model, also=names)
        one.get_potential_energy()
        assert_allclose(extras["dipole"], one.calc.results["dipole"], rtol=0, atol=1e-12)
        assert_allclose(
            extras["polarizability"], one.calc.results["polarizability"].ravel(), rtol=0, atol=1e-12
        )


def test_what_the_model_does_not_have_is_refused():
    beads = Beads(potential(targets={}), ethanol(), 2)
    with pytest.raises(ValueError, match="no 'replica_dipole'"):
        beads.evaluate(np.stack([ethanol().positions] * 2), ["dipole"])


def driver(tmp_path, model, atoms):
    from equipot.engines.ipi.driver import Driver

    save(tmp_path / "model.equipot", model)
    atoms.write(tmp_path / "start.extxyz")
    return Driver(str(tmp_path / "model.equipot"), str(tmp_path / "start.extxyz"))


def test_the_driver_answers_lists_and_single_structures(tmp_path):
    model, beads = potential(), copies(ethanol(), 2)
    chosen = driver(tmp_path, model, ethanol())
    positions = list(beads.positions.reshape(2, -1, 3) / units.bohr)
    many = chosen([np.eye(3)] * 2, positions)
    for (energy, forces, _, text), bead in zip(many, positions, strict=True):
        single = chosen(np.eye(3), bead)
        assert energy == pytest.approx(single[0], rel=1e-14)
        assert_allclose(forces, single[1], rtol=0, atol=1e-14)
        assert_allclose(json.loads(text)["dipole"], json.loads(single[3])["dipole"], rtol=0, atol=1e-13)


def test_the_driver_follows_a_cell_that_changes(tmp_path):
    model, one = potential(targets={}), quartet()
    chosen, larger = driver(tmp_path, model, one), one.copy()
    larger.set_cell(one.cell * 1.02, scale_atoms=True)
    larger.calc = Calculator(model)
    energy, forces, *_ = chosen(larger.cell.array.T / units.bohr, larger.positions / units.bohr)
    assert energy * units.hartree == pytest.approx(larger.get_potential_energy(), rel=1e-12)
    assert_allclose(forces * units.hartree / units.bohr, larger.get_forces(), rtol=0, atol=1e-10)


def test_a_turned_cell_stays_as_it_is_and_cannot_change(tmp_path):
    """i-PI knows upper triangular matrices alone; at constant volume it need not know."""
    from equipot.engines.ipi.inputs import cell

    model, one = potential(targets={}), Atoms("C2", positions=[[0, 0, 0], [1, 1, 0.9]], pbc=True)
    one.set_cell([[0, 2.2, 2.2], [2.2, 0, 2.2], [2.2, 2.2, 0]])
    chosen = driver(tmp_path, model, one)
    columns = cell(one).T / units.bohr
    assert abs(np.linalg.det(columns)) * units.bohr**3 == pytest.approx(one.get_volume())
    energy, *_ = chosen(columns, one.positions / units.bohr)
    one.calc = Calculator(model)
    assert energy * units.hartree == pytest.approx(one.get_potential_energy(), rel=1e-12)
    with pytest.raises(ValueError, match="not lower triangular"):
        chosen(columns * 1.01, one.positions / units.bohr)


@pytest.mark.parametrize("start", [ethanol(), quartet()], ids=["molecule", "crystal"])
def test_a_classical_path_is_that_of_velocity_verlet(start):
    from ase.md.verlet import VelocityVerlet

    model, atoms = potential(scale=0.1), start.copy()
    atoms.set_momenta(np.random.default_rng(1).normal(size=(len(atoms), 3)))
    found = trace(model, atoms, dt=0.5, steps=10)
    atoms.calc = Calculator(model)
    verlet = VelocityVerlet(atoms, 0.5 * ase.units.fs)
    for k in range(11):
        assert_allclose(found.positions[k], atoms.positions, rtol=0, atol=1e-11)
        assert_allclose(found.forces[k], atoms.get_forces(), rtol=0, atol=1e-10)
        assert found.energies[k] == pytest.approx(atoms.get_potential_energy(), rel=1e-13)
        verlet.run(1)
    if start.pbc.any():
        start = start.copy()
        start.calc = Calculator(model)
        assert_allclose(found.stress, start.get_stress(voigt=False), rtol=0, atol=1e-10)
    else:
        assert found.stress is None
