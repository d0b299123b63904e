import numpy as np
import pytest
from numpy.testing import assert_allclose

from equipot import units
from equipot.spectra.correlation import get_window
from equipot.spectra.line import (
    BOLTZMANN,
    LINE,
    Method,
    expected_error,
    line_density,
    rate_density,
)
from spectra.oscillators import langevin, omega, verlet


def top(line):
    return line.wavenumber[np.argmax(line.value)]


def test_prefactor_derived_from_the_constants():
    assert pytest.approx(72.1134899, rel=1e-8) == LINE
    assert pytest.approx(8.31446262e-7, rel=1e-8) == BOLTZMANN


def test_verlet_line_is_shifted_and_corrected_back():
    step, temperature, steps = 0.5, 300.0, 24000
    x, v = verlet(3700.0, step, steps)
    scale = np.sqrt(2 * BOLTZMANN * temperature) / omega(3700.0)  # energy k_BT of one mode
    x, v = scale * x, scale * v
    raw = Method(stride=step, temperature=temperature, lags=6000)
    bin = 1 / (2 * raw.padding * raw.depth * units.light)
    seen = rate_density([v], raw)
    assert abs(top(seen) - 3719.0) < bin / 2 + 0.05  # 3719.0 is itself rounded
    assert seen.area(3500.0, 4000.0) == pytest.approx(0.9696, abs=5e-4)

    corrected = rate_density([v], Method(stride=step, temperature=temperature, lags=6000, step=step))
    assert abs(top(corrected) - 3700.0) < bin / 2 + 0.05
    assert corrected.area(3500.0, 4000.0) == pytest.approx(seen.area(3500.0, 4000.0), rel=1e-5)

    # X itself, differenced: the attenuation of the difference is divided out, no velocity needed
    positions = line_density([x], raw)
    assert positions.area(3500.0, 4000.0) == pytest.approx(
        BOLTZMANN**-1 / temperature * np.mean(x**2) * omega(top(seen)) ** 2, rel=2e-3
    )


@pytest.mark.parametrize("derivative", ["forward", "central"])
@pytest.mark.parametrize("stride", [0.5, 1.0, 2.0])
def test_area_does_not_depend_on_stride_and_difference(derivative, stride):
    time = stride * np.arange(int(20000 / stride))
    temperature = 300.0
    x = np.sqrt(2 * BOLTZMANN * temperature) / omega(3700.0) * np.cos(omega(3700.0) * time)
    method = Method(stride=stride, temperature=temperature, lags=int(3300 / stride), derivative=derivative)
    line = line_density([x], method)
    assert line.area(3600.0, 3800.0) == pytest.approx(1.0, abs=2e-3)


def test_damped_oscillator_has_the_textbook_line():
    """Unshifted, FWHM γ/(2πc), height 4c/γ, area 1, whatever the temperature."""
    gamma, center, temperature = 1 / 200, 1600.0, 250.0
    rng = np.random.default_rng(3)
    runs = [langevin(center, gamma, temperature, 2.0, 400_000, rng)[0] for _ in range(12)]
    method = Method(stride=2.0, temperature=temperature, lags=4000, window="blackman")
    line = line_density(runs, method)

    w, nu = omega(center), line.wavenumber
    exact = 4 * units.light * gamma * omega(nu) ** 2
    exact /= (w**2 - omega(nu) ** 2) ** 2 + gamma**2 * omega(nu) ** 2
    width = gamma / (2 * np.pi * units.light)
    assert width == pytest.approx(26.5, abs=0.05)
    assert exact.max() == pytest.approx(4 * units.light / gamma, rel=1e-3)

    near = np.abs(nu - center) < 6 * width
    assert abs(np.average(nu[near], weights=line.value[near]) - center) < 1.0
    # the integral over everything is one; 9.6 ns give it to a percent
    assert line.area() == pytest.approx(1.0, abs=0.015)
    # deviations from the Lorentzian are noise of the size that the error bar says
    inside = np.abs(nu - center) < 2 * width
    score = (line.value[inside] - exact[inside]) / line.stderr()[inside]
    assert line.blocks == 12
    assert np.sqrt(np.mean(score**2)) < 2.0
    fit = np.sum(line.value[inside] * exact[inside]) / np.sum(exact[inside] ** 2)
    assert fit == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("window", ["hann", "bartlett"])
def test_expected_error_is_the_scatter_of_white_noise(window):
    """Relative scatter √(0.75 T_m/T_total) for Hann, three components √3 less: within 3%."""
    rng = np.random.default_rng(4)
    method = Method(stride=1.0, temperature=300.0, lags=100, window=window)
    values = np.array([rate_density([rng.normal(size=(10_000, 3))], method).value[8:-8] for _ in range(100)])
    scatter = np.mean(values.std(axis=0, ddof=1) / values.mean(axis=0))
    assert scatter == pytest.approx(expected_error(method, 10_000.0, 3), rel=0.03)


def test_hann_error_of_the_design_example():
    method = Method(stride=1.0, temperature=300.0, lags=2000)
    assert expected_error(method, 100_000.0, 3) == pytest.approx(0.0707, abs=1e-4)  # "7%"


def test_error_from_blocks_is_the_scatter_between_repetitions():
    rng = np.random.default_rng(5)
    method = Method(stride=1.0, temperature=300.0, lags=50, blocks=16)
    lines = [rate_density([rng.normal(size=(8_000, 3))], method) for _ in range(60)]
    scatter = np.array([line.value for line in lines]).std(axis=0, ddof=1)
    claimed = np.sqrt(np.mean([line.stderr() ** 2 for line in lines], axis=0))
    assert all(line.blocks == 16 for line in lines)
    assert np.median(claimed / scatter) == pytest.approx(1.0, abs=0.1)


def test_sharp_line_has_the_width_of_the_window():
    time = np.arange(30_000.0)
    for name in ("none", "bartlett", "hann", "blackman", "gaussian", "exponential"):
        method = Method(stride=1.0, temperature=300.0, lags=5000, window=name, padding=32)
        line = rate_density([np.cos(omega(1500.0) * time)], method)
        above = line.wavenumber[line.value > line.value.max() / 2]
        assert np.ptp(above) == pytest.approx(get_window(name).resolution(5000.0), rel=0.03)


def test_sum_rule_holds_for_any_dynamics():
    """∫ L dν = ⟨|Ẋ|²⟩/k_BT."""
    rng = np.random.default_rng(6)
    rates = [rng.normal(size=(n, 3)) for n in (900, 2100)]
    method = Method(stride=1.0, temperature=77.0, lags=300)
    squared = np.concatenate([np.sum(r**2, axis=1) for r in rates]).mean()
    assert rate_density(rates, method).area() == pytest.approx(squared / BOLTZMANN / 77.0, rel=1e-12)


def test_constant_drops_out():
    rng = np.random.default_rng(7)
    dipole = rng.normal(size=(3000, 3))
    method = Method(stride=1.0, temperature=300.0, lags=300)
    plain, shifted = (
        line_density([dipole], method),
        line_density([dipole + np.array([9.0, -4.0, 1.0])], method),
    )
    assert_allclose(shifted.value, plain.value, atol=1e-10 * plain.value.max())


def test_two_halves_and_weights_by_length():
    rng = np.random.default_rng(8)
    long, short = rng.normal(size=(3000, 3)), rng.normal(size=(1000, 3))
    method = Method(stride=1.0, temperature=300.0, lags=200)
    both = rate_density([long, short], method)
    expected = 0.75 * rate_density([long], method).value + 0.25 * rate_density([short], method).value
    assert_allclose(both.value, expected, rtol=1e-10, atol=1e-12 * expected.max())


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="derivative 'backward'"):
        Method(stride=1.0, temperature=300.0, lags=10, derivative="backward")
    with pytest.raises(ValueError, match="above zero"):
        Method(stride=1.0, temperature=0.0, lags=10)
