import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCartesian

from engines.test_dynamics import water
from engines.tiny import potential
from equipot.engines.ase import Calculator
from equipot.engines.relax import NotRelaxed, relax, relax_attached


def test_forces_vanish_and_the_energy_falls():
    found = relax(potential(scale=0.1), water(), fmax=1e-3)
    assert found.converged and found.force < 1e-3
    again = found.atoms.copy()
    again.calc = Calculator(potential(scale=0.1))
    assert np.linalg.norm(again.get_forces(), axis=1).max() == pytest.approx(found.force, rel=1e-4)
    assert found.energies[1] == pytest.approx(again.get_potential_energy(), abs=1e-9)
    assert found.energies[1] < found.energies[0]
    assert f"{found.steps} steps" in found.words() and found.stress is None


def test_the_start_is_left_alone():
    start = water()
    relax(potential(scale=0.1), start, fmax=1e-2)
    np.testing.assert_array_equal(start.positions, water().positions)
    assert start.calc is None


def test_too_few_steps_keep_the_last_structure():
    with pytest.raises(
        NotRelaxed, match=r"not converged: 2 steps, energy .* expected forces below 1e-05"
    ) as error:
        relax(potential(scale=0.1), water(), fmax=1e-5, steps=2)
    found = error.value.relaxation
    assert not found.converged and found.steps == 2
    assert 0 < np.abs(found.atoms.positions - water().positions).max() < 0.5


@pytest.mark.parametrize("optimizer", ["bfgs", "lbfgs", "fire"])
def test_a_cell_relaxes_to_the_volume_of_lowest_energy(optimizer):
    """Copper of ASE's effective medium theory: against a parabola through energies at fixed volumes."""
    crystal = bulk("Cu", "fcc", 3.7, cubic=True)
    crystal.calc = EMT()
    found = relax_attached(crystal, 1e-4, cell=True, optimizer=optimizer)
    edges = np.linspace(-0.02, 0.02, 5) + 3.59
    energies = []
    for edge in edges:
        fixed = bulk("Cu", "fcc", edge, cubic=True)
        fixed.calc = EMT()
        energies.append(fixed.get_potential_energy())
    a, b, _ = np.polyfit(edges - 3.59, energies, 2)
    assert found.atoms.cell[0, 0] == pytest.approx(3.59 - b / (2 * a), abs=1e-3)
    assert found.stress is not None and found.stress < 1e-5
    assert found.volumes[0] == pytest.approx(3.7**3) and found.volumes[1] < found.volumes[0]


def test_constraints_are_kept_and_written(tmp_path):
    start = bulk("Cu", "fcc", 3.6, cubic=True)
    start.rattle(0.1, seed=1)
    start.set_constraint([FixAtoms([0]), FixCartesian(2, mask=(True, False, False))])
    before = start.positions.copy()
    start.calc = EMT()
    found = relax_attached(start, 0.01)
    moved = found.atoms.positions - before
    assert np.abs(moved[0]).max() == 0 and moved[2, 0] == 0 and np.abs(moved[[1, 3]]).min() > 0
    assert found.force < 0.01
    start.set_constraint(FixAtoms([0]))
    ase.io.write(tmp_path / "out.xyz", found.atoms, format="extxyz")
    again = ase.io.read(tmp_path / "out.xyz")
    assert again.constraints[0].index.tolist() == [0]


def test_what_cannot_be_relaxed():
    with pytest.raises(ValueError, match=r"must be periodic in three directions; found pbc = \[False"):
        relax(potential(scale=0.1), water(), cell=True)
    with pytest.raises(ValueError, match=r"no optimizer 'bfg'\. Did you mean 'bfgs'"):
        relax(potential(scale=0.1), water(), optimizer="bfg")
