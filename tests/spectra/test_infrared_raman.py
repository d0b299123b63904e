import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from equipot import units
from equipot.spectra.infrared import DECADIC, KM_MOL, KM_MOL_DEBYE, bulk, dielectric_loss, infrared
from equipot.spectra.line import BOLTZMANN, LINE, Method, rate_density
from equipot.spectra.power import kinetic_temperature, power, power_by_element
from equipot.spectra.quantum import FACTORS, over_harmonic, quantum_factor
from equipot.spectra.raman import (
    CROSS_SECTION,
    anisotropic,
    cross_section,
    isotropic,
    raman,
    scattering_factor,
)
from spectra.oscillators import omega

METHOD = Method(stride=1.0, temperature=300.0, lags=1000)


def symmetric(rng, steps):
    noise = rng.normal(size=(steps, 3, 3))
    return noise + noise.transpose(0, 2, 1)


def gamma_squared(alpha):
    return 1.5 * np.einsum("tij,tij->t", anisotropic(alpha), anisotropic(alpha))


def test_constants_of_the_design():
    assert pytest.approx(974.880112, rel=1e-8) == KM_MOL
    assert pytest.approx(42.2560616, rel=3e-8) == KM_MOL_DEBYE
    assert pytest.approx(43.4294482, rel=1e-8) == DECADIC
    assert pytest.approx(70302.007, rel=1e-7) == KM_MOL * LINE
    assert pytest.approx(2.62733814e-44, rel=1e-8) == CROSS_SECTION
    assert pytest.approx(1.89466522e-42, rel=1e-8) == CROSS_SECTION * LINE
    assert units.debye**-1 == pytest.approx(4.80320471, rel=1e-8)
    assert 1.0 / units.debye * units.bohr == pytest.approx(2.54174647, rel=1e-8)
    assert units.bohr**3 == pytest.approx(0.148184711, rel=1e-8)
    assert units.coulomb == pytest.approx(14.3996454, rel=1e-8)


def test_bulk_prefactors_of_the_design():
    line = infrared([np.random.default_rng(0).normal(size=(4000, 3))], METHOD)
    nu = line.wavenumber[1:]
    s_over_t = line.value[1:] / (KM_MOL * LINE)
    absorption, loss = bulk(line, 900.0), dielectric_loss(line, 900.0)
    assert_allclose(absorption.value[1:], 1.16739229e10 * s_over_t / 900.0, rtol=1e-8)
    assert_allclose(loss.value[1:], 1.85796254e9 * s_over_t / 900.0 / nu, rtol=1e-8)
    assert np.isnan(loss.value[0])


def test_one_mode_gives_its_harmonic_intensity():
    """|dμ/dQ|² = 2 e²/amu at k_BT: area 2 × 974.88 km/mol."""
    time = np.arange(20_000.0)
    q = np.sqrt(2 * BOLTZMANN * 300.0) / omega(1700.0) * np.cos(omega(1700.0) * time)
    dipole = q[:, None] * np.array([1.0, -1.0, 0.0]) + np.array([1.0, 2.0, 3.0])
    line = infrared([dipole], METHOD)
    assert line.area(1500.0, 1900.0) == pytest.approx(2 * KM_MOL, rel=2e-3)


def test_orientation_averages_and_depolarization():
    """⟨α_ZZ²⟩ = a² + 4γ²/45 and ⟨α_ZX²⟩ = γ²/15 over random orientations."""
    rng = np.random.default_rng(1)
    rotations = Rotation.random(400_000, rng).as_matrix()
    alpha = symmetric(rng, 1)
    turned = np.einsum("tia,ab,tjb->tij", rotations, alpha[0], rotations, optimize=True)
    a2, g2 = isotropic(alpha)[0] ** 2, gamma_squared(alpha)[0]
    xx, yy, zz = np.diag(alpha[0])
    xy, yz, zx = alpha[0, 0, 1], alpha[0, 1, 2], alpha[0, 2, 0]
    explicit = 0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3 * (xy**2 + yz**2 + zx**2)
    assert g2 == pytest.approx(explicit, rel=1e-12)
    assert np.mean(turned[:, 2, 2] ** 2) == pytest.approx(a2 + 4 * g2 / 45, rel=5e-3)
    assert np.mean(turned[:, 2, 0] ** 2) == pytest.approx(g2 / 15, rel=5e-3)


def test_depolarization_ratios_of_pure_tensors():
    signal = np.random.default_rng(2).normal(size=(6000, 1, 1))
    traceless = raman([signal * np.diag([1.0, 1.0, -2.0])], METHOD)
    sphere = raman([signal * np.eye(3)], METHOD)
    bright = traceless.parallel().value > 0.011 * traceless.parallel().value.max()
    assert_allclose(traceless.depolarization().value[bright], 3 / 4, rtol=1e-9)
    assert_allclose(traceless.depolarization_natural().value[bright], 6 / 7, rtol=1e-9)
    assert np.nanmax(np.abs(sphere.depolarization().value)) < 1e-12


def test_combinations_of_the_invariants():
    found = raman([symmetric(np.random.default_rng(3), 6000)], METHOD)
    iso = found.parallel().value - 4 / 3 * found.perpendicular().value
    assert_allclose(found.isotropic().value, iso, rtol=1e-9, atol=1e-9 * iso.max())
    total = found.parallel().value + found.perpendicular().value
    assert_allclose(found.activity().value, total, rtol=1e-10)
    assert_allclose(found.natural().value, 0.5 * (total + 6 * found.gamma.value), rtol=1e-10)


@pytest.mark.parametrize("blocks", [8, 1000])
def test_errors_of_combinations(blocks):
    """Measured errors are correlated between the invariants; expected ones add in quadrature."""
    method = Method(stride=1.0, temperature=300.0, lags=200, blocks=blocks)
    found = raman([symmetric(np.random.default_rng(4), 8000)], method)
    total = found.activity()
    if blocks == 8:
        rows = 45 * found.a.deviations + 7 * found.gamma.deviations
        assert total.blocks == 8
        assert_allclose(total.stderr(), np.sqrt((rows**2).sum(axis=0)))
    else:
        parts = np.hypot(45 * found.a.stderr(), 7 * found.gamma.stderr())
        assert total.blocks == 0
        assert_allclose(total.stderr(), parts)


def test_cross_section_of_nitrogen():
    """4.3e-31 cm²/sr at 514.5 nm is about 20 Å⁴/amu, as computed activities are."""
    factor = scattering_factor(np.array([2331.0]), 514.5, 300.0)[0]
    assert 4.3e-31 / factor * 45 == pytest.approx(20.0, rel=0.05)


def test_anti_stokes_is_weaker_by_the_boltzmann_factor():
    nu, laser, temperature = 500.0, 532.0, 300.0
    stokes, anti = scattering_factor(np.array([nu, -nu]), laser, temperature)
    frequencies = ((1e7 / laser + nu) / (1e7 / laser - nu)) ** 4
    boltzmann = np.exp(-units.inverse_cm * nu / units.kB / temperature)
    assert anti / stokes == pytest.approx(frequencies * boltzmann, rel=1e-12)


def test_cross_section_begins_at_ten_wavenumbers():
    line = raman([symmetric(np.random.default_rng(5), 6000)], METHOD).activity().below(5000.0)
    section = cross_section(line, 532.0, 300.0)
    counted = cross_section(line, 532.0, 300.0, photons=True)
    assert section.wavenumber[0] >= 10.0
    ratio = counted.value / section.value
    assert_allclose(ratio, (1e7 / 532) / (1e7 / 532 - section.wavenumber), rtol=1e-12)
    with pytest.raises(ValueError, match="expected a wavelength in nm"):
        cross_section(line, 0.532, 300.0)


def test_free_rotors_are_broadened_into_the_classical_envelope():
    """Thermal rigid rods: ∫L[μ] = 2μ²/I, ∫L[γ] = 6d²/I, Raman anisotropic at twice the frequency."""
    rng = np.random.default_rng(6)
    inertia, mu, d, temperature, count = 20.0, 0.4, 1.3, 300.0, 500
    # |Ω| of two perpendicular components of the angular velocity; stratified, so few rotors suffice
    speed = np.sqrt(-2 * BOLTZMANN * temperature / inertia * np.log((np.arange(count) + 0.5) / count))
    time = 4.0 * np.arange(2400)
    axes = Rotation.random(count, rng).as_matrix()
    method = Method(stride=4.0, temperature=temperature, lags=600)
    phase = speed[:, None] * time
    rods = axes[:, None, :, 0] * np.cos(phase)[..., None] + axes[:, None, :, 1] * np.sin(phase)[..., None]
    dipole = infrared(list(mu * rods), method)
    tensors = [d * (np.einsum("ti,tj->tij", n, n) - np.eye(3) / 3) + 5 * np.eye(3) for n in rods]
    scattering = raman(tensors, method)

    assert dipole.area() / KM_MOL == pytest.approx(2 * mu**2 / inertia, rel=0.015)
    assert scattering.gamma.area() == pytest.approx(6 * d**2 / inertia, rel=0.015)
    assert scattering.isotropic().area() < 1e-12
    maximum = np.sqrt(3 * BOLTZMANN * temperature / inertia) / omega(1.0)
    assert dipole.wavenumber[np.argmax(dipole.value)] == pytest.approx(maximum, abs=method.resolution)
    assert scattering.gamma.wavenumber[np.argmax(scattering.gamma.value)] == pytest.approx(
        2 * maximum, abs=2 * method.resolution
    )


def test_single_rotor_lines_at_once_and_twice_its_frequency():
    time = np.arange(20_000.0)
    rod = np.stack([np.cos(omega(100.0) * time), np.sin(omega(100.0) * time), 0 * time], axis=1)
    method = Method(stride=1.0, temperature=300.0, lags=6000)
    dipole = infrared([rod], method)
    scattering = raman([np.einsum("ti,tj->tij", rod, rod)], method)
    assert dipole.wavenumber[np.argmax(dipole.value)] == pytest.approx(100.0, abs=0.5)
    assert scattering.gamma.wavenumber[np.argmax(scattering.gamma.value)] == pytest.approx(200.0, abs=0.5)
    # one period of P₂: 1/4 static + 3/4 at 2Ω. X' = d α/dt has ⟨|β̇|²⟩ = 2Ω²
    area = scattering.gamma.area(150.0, 250.0)
    assert area == pytest.approx(3 * omega(100.0) ** 2 / BOLTZMANN / 300.0, rel=2e-3)


def test_rotation_of_the_trajectory_changes_nothing():
    rng = np.random.default_rng(7)
    turn = Rotation.random(random_state=8).as_matrix()
    dipole, alpha = rng.normal(size=(4000, 3)), symmetric(rng, 4000)
    before, after = infrared([dipole], METHOD), infrared([dipole @ turn.T], METHOD)
    assert_allclose(after.value, before.value, rtol=1e-9, atol=1e-10 * before.value.max())
    first, second = raman([alpha], METHOD), raman([turn @ alpha @ turn.T], METHOD)
    for one, other in ((first.a, second.a), (first.gamma, second.gamma)):
        assert_allclose(other.value, one.value, rtol=1e-9, atol=1e-10 * one.value.max())


def test_power_integrates_to_the_degrees_of_freedom():
    rng = np.random.default_rng(9)
    masses, temperature = np.array([16.0, 1.0, 1.0]), 300.0
    spread = np.sqrt(BOLTZMANN * temperature / masses)[:, None]
    velocities = [spread * rng.normal(size=(20_000, 3, 3)) for _ in range(2)]
    method = Method(stride=1.0, temperature=temperature, lags=500)
    total = power(velocities, masses, method)
    assert total.area() == pytest.approx(9.0, abs=0.06)  # √(2/360000) × 9 × 3
    assert total.area() == pytest.approx(
        9 * kinetic_temperature(velocities, masses, 9) / temperature, rel=1e-12
    )
    parts = power_by_element(velocities, masses, ["O", "H", "H"], method)
    assert_allclose(parts["O"].value + parts["H"].value, total.value, rtol=1e-10)


@pytest.mark.parametrize("name", list(FACTORS))
def test_quantum_factors_obey_detailed_balance_and_become_classical(name):
    nu = np.array([1.0, 50.0, 500.0, 3700.0])
    x = units.inverse_cm * nu / units.kB / 300.0
    forward, backward = quantum_factor(name, nu, 300.0), quantum_factor(name, -nu, 300.0)
    assert_allclose(backward, np.exp(-x) * forward, rtol=1e-12)
    assert_allclose(quantum_factor(name, nu, 1e9), 1.0, rtol=1e-5)
    assert quantum_factor(name, np.zeros(1), 300.0)[0] == 1.0


def test_quantum_factors_at_3700_wavenumbers():
    nu = np.array([3700.0])
    printed = {
        "standard": (2.00, 0.01),
        "harmonic": (17.7, 0.05),
        "schofield": (7133.0, 5.0),
        "kubo": (17.7, 0.05),
    }
    for name, (value, error) in printed.items():
        assert quantum_factor(name, nu, 300.0)[0] == pytest.approx(value, abs=error)
    assert over_harmonic("harmonic", nu, 300.0)[0] == 1.0
    with pytest.raises(ValueError, match="Did you mean 'schofield'"):
        quantum_factor("shofield", nu, 300.0)


def test_sum_rule_of_a_dipole_made_of_charges():
    """∫ L[μ] dν = Σ_i |∂μ/∂r_i|²/m_i, by velocities at a temperature and nothing else."""
    rng = np.random.default_rng(10)
    masses, charges, temperature = np.array([16.0, 1.0, 2.0]), np.array([-0.8, 0.5, 0.3]), 300.0
    spread = np.sqrt(BOLTZMANN * temperature / masses)[:, None]
    rates = np.einsum("i,tia->ta", charges, spread * rng.normal(size=(40_000, 3, 3)))
    line = rate_density([rates], Method(stride=1.0, temperature=temperature, lags=100))
    assert line.area() == pytest.approx(3 * np.sum(charges**2 / masses), rel=0.02)
