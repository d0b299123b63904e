"""Infrared spectra of a crystal: by Born charges, by the dipole on any branch, against its phonons."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from equipot.spectra.branches import joined
from equipot.spectra.dielectric import FIELD
from equipot.spectra.infrared import KM_MOL, per_volume
from equipot.spectra.line import BOLTZMANN
from equipot.spectra.spectrum import spectrum
from spectra import bent, lattice


@pytest.fixture(scope="module")
def made():
    return lattice.vibrations()


@pytest.fixture(scope="module")
def by_charges(made):
    return spectrum(made, ["ir"], step_correction=False, harmonic=lattice.modes(lattice.irregular()))


def without_rates(made, change=lambda x: x):
    segments = [replace(s, dipole=change(s.dipole), dipole_rate=None) for s in made.segments]
    return replace(made, segments=tuple(segments))


def test_absolute_absorption(made, by_charges):
    """∫ n·α dν over all lines is the sum of the phonons; over each line, that phonon's."""
    found = by_charges["ir"]
    assert found.unit == "cm-1" and "n(ν)α(ν)" in found.label
    expected = lattice.stick_area(lattice.modes(lattice.irregular()))
    assert_allclose(found.sticks.value.sum(), expected, rtol=1e-12)
    area = np.trapezoid(found.value, found.wavenumber)
    assert_allclose(area, expected, rtol=1e-2)  # of 16 ps, in which modes of random phase still interfere
    rates = np.concatenate([s.dipole_rate for s in made.segments])
    static = np.sum(rates**2, axis=1).mean() / (BOLTZMANN * made.temperature)
    assert_allclose(
        area, per_volume(lattice.VOLUME) * KM_MOL * static, rtol=3e-4
    )  # ⟨|Ṁ|²⟩/kT, of these very frames


def test_the_loss_of_every_axis(by_charges):
    """Their mean is the isotropic one, and each has the strength of its phonons."""
    found, phonons = by_charges["ir"], lattice.modes(lattice.irregular())
    parts = [found.components[f"dielectric_loss_{a}{a}"] for a in "xyz"]
    finite = np.isfinite(parts[0])
    assert_allclose(np.mean(parts, axis=0)[finite], found.components["dielectric_loss"][finite], rtol=1e-9)
    nu = found.wavenumber[finite]
    for k in range(3):
        strength = np.pi / 2 * FIELD / lattice.VOLUME * np.sum(phonons.charges[:, k] ** 2)
        assert_allclose(np.trapezoid(nu * parts[k][finite], nu), strength, rtol=2e-2)


def test_born_charges_and_dipole_agree(made, by_charges):
    found = spectrum(without_rates(made), ["ir"], step_correction=False)["ir"]
    areas = [np.trapezoid(x.value, x.wavenumber) for x in (found, by_charges["ir"])]
    assert_allclose(areas[0], areas[1], rtol=2e-3)


def test_origin_and_branch_do_not_matter(made):
    reference = spectrum(without_rates(made), ["ir"])["ir"].value
    rng = np.random.default_rng(3)

    def jumping(dipole):
        return dipole + rng.integers(-3, 4, size=(len(dipole), 3)) @ lattice.CELL

    for change in (lambda x: x + np.array([3.0, -1.0, 7.0]), jumping):
        moved = spectrum(without_rates(made, change), ["ir"])["ir"].value
        assert_allclose(moved, reference, atol=1e-10 * reference.max())
    wrapped = replace(made, segments=tuple(replace(s, positions=s.positions % 1.0) for s in made.segments))
    assert_allclose(spectrum(wrapped, ["ir"])["ir"].value, spectrum(made, ["ir"])["ir"].value, rtol=1e-12)


def test_a_stride_that_loses_the_branch_is_refused():
    steps = np.zeros((5, 3))
    steps[3] = 0.3 * lattice.CELL[1]
    with pytest.raises(ValueError, match=r"run, frames 2 and 3: .* changes by 0.30 of a lattice vector"):
        joined(steps, lattice.CELL, "run")
    steps[3] = 0.2 * lattice.CELL[1] + lattice.CELL[0]
    assert_allclose(joined(steps, lattice.CELL)[3], 0.2 * lattice.CELL[1], atol=1e-12)


def test_a_primitive_cell_gives_the_same_lines(made, by_charges):
    """Lines of a run in a doubled cell, with modes found in the single one."""
    double = replace(made, cell=lattice.CELL * np.array([[2.0], [1.0], [1.0]]))
    found = spectrum(double, ["ir", "power"], harmonic=lattice.modes(lattice.irregular()))
    assert_allclose(found["ir"].sticks.value, by_charges["ir"].sticks.value, rtol=1e-12)
    assert_allclose(found["power"].sticks.value.sum(), 12)


def test_what_a_periodic_run_lacks_is_said(made):
    bare = replace(made, segments=tuple(replace(s, dipole=None, dipole_rate=None) for s in made.segments))
    with pytest.raises(ValueError, match=r"target 'born_charges', or give that model .* by --model"):
        spectrum(bare, ["ir"])
    slab = replace(made, cell=None)
    with pytest.raises(ValueError, match="not periodic in three directions"):
        spectrum(slab, ["ir"])


def test_a_molecule_by_its_charges():
    """Σ Z*_i v_i of fixed charges is the rate of their dipole: the same lines, up to the time step."""
    run = bent.trajectory(0.5, replicas=4, steps=15000, step=0.2, every=5)
    rated = tuple(
        replace(s, dipole=None, dipole_rate=np.einsum("i,tia->ta", bent.CHARGES, s.velocities))
        for s in run.segments
    )
    ours = spectrum(replace(run, segments=rated), ["ir"])["ir"]
    theirs = spectrum(run, ["ir"])["ir"]
    assert ours.unit == "km/mol per cm-1"
    for low, high in ((1000, 1600), (3400, 4500)):
        areas = []
        for one in (ours, theirs):
            inside = (one.wavenumber > low) & (one.wavenumber < high)
            areas.append(np.trapezoid(one.value[inside], one.wavenumber[inside]))
        assert_allclose(areas[0], areas[1], rtol=1.5e-2)  # Verlet velocities are differences, too: (ωΔt/2)²
    with pytest.raises(ValueError, match="rate of the dipole was recorded and not the dipole"):
        spectrum(replace(run, segments=rated), ["ir"], frame="eckart")
