"""The dielectric function of a crystal from its phonons: laws that hold exactly."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from equipot import units
from equipot.spectra import dielectric
from equipot.spectra.infrared import KM_MOL, per_volume
from spectra import lattice


def test_the_constant_of_the_field():
    assert_allclose(dielectric.FIELD, 4.92064255e7, rtol=1e-8)


def test_the_mode_of_a_diatomic_and_lyddane_sachs_teller():
    spring, charge, infinite, masses = 8.0, 2.0, 2.5, (23.0, 35.5)
    found = lattice.diatomic(spring, charge, infinite, masses)
    reduced = masses[0] * masses[1] / sum(masses)
    assert_allclose(found.wavenumbers, 521.470898 * np.sqrt(spring / reduced), rtol=1e-8)
    assert_allclose(np.sum(found.charges**2), 3 * charge**2 / reduced, rtol=1e-12)
    static = dielectric.permittivity(found, np.zeros(1), damping=0.0)[0].real
    lo = dielectric.longitudinal(found, np.array([1.0, 1.0, 0.0]))
    assert_allclose(lo[:2], found.wavenumbers[:2], rtol=1e-12)  # two stay transverse
    assert_allclose(static[0, 0] / infinite, (lo[2] / found.wavenumbers[0]) ** 2, rtol=1e-12)


@pytest.mark.parametrize("direction", [(0, 0, 1), (1.0, -2.0, 0.5)])
def test_its_general_form_for_a_cell_without_symmetry(direction):
    """(q·ε₀·q)/(q·ε∞·q) = Π ν_LO²/ν_TO²: fails when an index of Z* is taken for the other in one of them only."""
    found, q = lattice.modes(lattice.irregular()), np.array(direction, dtype=float)
    static = dielectric.permittivity(found, np.zeros(1), damping=0.0)[0].real
    lo = dielectric.longitudinal(found, q)
    assert_allclose(
        (q @ static @ q) / (q @ found.permittivity @ q), np.prod((lo / found.wavenumbers) ** 2), rtol=1e-10
    )


def test_oscillator_strengths_add_up():
    """∫ ν ε″ dν = (π/2) K Σ Z̃²/V, and its isotropic part in the units of n·α."""
    found = lattice.modes(lattice.irregular())
    grid = np.arange(0.5, 20000.0, 0.5)
    loss = np.trace(dielectric.permittivity(found, grid, damping=8.0).imag, axis1=1, axis2=2) / 3
    strength = np.sum(found.charges**2)
    area = np.trapezoid(grid * loss, grid)
    assert_allclose(area, np.pi / 2 * dielectric.FIELD / lattice.VOLUME * strength / 3, rtol=2e-3)
    bulk = np.trapezoid(2 * np.pi * grid * loss, grid)  # n·α = 2πν ε″
    assert_allclose(bulk, per_volume(lattice.VOLUME) * KM_MOL * strength, rtol=2e-3)
    assert_allclose(
        np.pi**2 * dielectric.FIELD * strength / (3 * lattice.VOLUME), lattice.stick_area(found), rtol=1e-12
    )


def test_kramers_kronig_gives_the_real_part():
    found = lattice.diatomic()
    grid = np.arange(1.0, 4000.0, 1.0)
    epsilon = dielectric.permittivity(found, grid, damping=10.0)[:, 0, 0]
    real = dielectric.kramers_kronig(grid, epsilon.imag)
    assert_allclose(real[:2000], epsilon.real[:2000] - 2.5, atol=2e-3 * np.abs(epsilon.real).max())
    with pytest.raises(ValueError, match="evenly spaced"):
        dielectric.kramers_kronig(grid**2, epsilon.imag)


def test_longitudinal_lines_are_peaks_of_the_energy_loss():
    found, q = lattice.modes(lattice.irregular()), np.array([0.0, 1.0, 0.0])
    grid = np.arange(100.0, 3000.0, 0.25)
    epsilon = dielectric.permittivity(found, grid, damping=1.0)
    lo = dielectric.longitudinal(found, q)
    loss = dielectric.energy_loss(epsilon, q)
    tops = grid[1:-1][(loss[1:-1] > loss[:-2]) & (loss[1:-1] > loss[2:])]
    for top in tops:
        assert np.abs(lo - top).min() < 0.5
    assert len(tops) >= 3


def test_optics_of_glass():
    epsilon = np.array([2.25 + 0j])
    assert_allclose(dielectric.refraction(epsilon), 1.5)
    assert_allclose(dielectric.reflectivity(epsilon), 0.04)
    damped = np.array([2.25 + 0.3j])
    n = np.sqrt(2.25**2 + 0.09 + 0j)
    k = np.sqrt((abs(n) - 2.25) / 2)
    assert_allclose(dielectric.absorption(damped, np.array([1000.0])), 4 * np.pi * 1000 * k, rtol=1e-12)


def test_what_is_missing_is_named():
    bare = lattice.modes(lattice.irregular()).__class__
    found = lattice.diatomic()
    lacking = bare(**{**vars(found), "charges": None, "source": "model.equipot"})
    with pytest.raises(ValueError, match=r"of model.equipot needs mode charges \(targets.born_charges\)"):
        dielectric.permittivity(lacking, np.ones(1))
    with pytest.raises(ValueError, match="no length"):
        dielectric.longitudinal(found, np.zeros(3))


def test_units_of_the_polarizability():
    """ε∞ = 1 + 4πα/V with α in Å³, the same as α in e·Å²/V times 1/ε₀V."""
    found = lattice.modes(lattice.irregular())
    alpha = lattice.irregular().static / units.coulomb  # e·Å²/V
    vacuum = units.VACUUM_PERMITTIVITY * 1e-10 / units.ELEMENTARY_CHARGE  # e/(V Å)
    assert_allclose(found.permittivity, np.eye(3) + alpha / (vacuum * lattice.VOLUME), rtol=1e-9)
