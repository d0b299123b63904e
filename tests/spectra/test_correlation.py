import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from equipot.spectra.correlation import WINDOWS, autocorrelation, direct_autocorrelation, get_window


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("shape", [(257,), (500, 3), (300, 2, 3)])
def test_fft_equals_the_direct_sum(shape, biased):
    series = np.random.default_rng(1).normal(size=shape) + 0.3
    lags = shape[0] - 1  # the largest lags are where a circular correlation would be wrong
    found = autocorrelation(series, lags, biased)
    expected = direct_autocorrelation(series, lags, biased)
    assert np.abs(found - expected).max() < 1e-12 * expected[0]


def test_biased_estimate_is_the_unbiased_one_times_a_triangle():
    series = np.random.default_rng(2).normal(size=(100, 3))
    ratio = autocorrelation(series, 40, biased=True) / autocorrelation(series, 40)
    assert np.allclose(ratio, (100 - np.arange(41)) / 100, rtol=1e-13)


def test_more_lags_than_entries_are_refused():
    with pytest.raises(ValueError, match="series of 10 entries"):
        autocorrelation(np.zeros((10, 3)), 10)


@pytest.mark.parametrize("name", list(WINDOWS))
def test_width_and_power_of_a_window_are_those_of_its_transform(name):
    window = WINDOWS[name]

    def shape(x):
        return float(window.shape(np.array(x)))

    def transformed(omega):
        return quad(shape, 0, 1, weight="cos", wvar=omega)[0]

    assert shape(0.0) == pytest.approx(1.0, abs=1e-15)
    half = brentq(lambda omega: transformed(omega) - transformed(1e-9) / 2, 0.1, 8.0)
    # gaussian and exponential are cut at T_m, where they have fallen to e⁻⁸ and e⁻⁶
    assert 2 * half == pytest.approx(window.width, rel=7e-4)
    assert 2 * quad(lambda x: shape(x) ** 2, 0, 1)[0] == pytest.approx(window.power, rel=1e-5)


@pytest.mark.parametrize(
    "name, product", [("none", 20123), ("bartlett", 29550), ("hann", 33356), ("blackman", 38340)]
)
def test_width_times_depth_in_wavenumbers(name, product):
    # the published numbers were read off a grid
    assert get_window(name).resolution(1.0) == pytest.approx(product, rel=2e-4)


def test_gaussian_and_exponential_widths_follow_their_own_parameters():
    gaussian, exponential = get_window("gaussian"), get_window("exponential")
    assert gaussian.resolution(4.0) == pytest.approx(12501.36, rel=1e-6)  # T_m = 4 s
    assert exponential.resolution(6.0) == pytest.approx(10617.67, rel=1e-6)  # T_m = 6 τ


def test_unknown_window_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'hann'"):
        get_window("hanning")
