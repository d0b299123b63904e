import numpy as np
import pytest

from equipot.spectra.harmonic import Sticks
from equipot.spectra.peaks import find_peaks, match
from equipot.spectra.scores import broaden, compare

GRID = np.arange(0.0, 4000.0, 2.0)


def gaussian(center, sigma, area=1.0):
    return area * np.exp(-0.5 * ((GRID - center) / sigma) ** 2) / sigma / np.sqrt(2 * np.pi)


@pytest.mark.parametrize("shift", [5.0, 20.0, 60.0])
def test_scores_of_shifted_gaussians(shift):
    """Cosine exp(−s²/4σ²), SIS 1/(1 + s²/σ²), W1 = s."""
    sigma = 30.0
    scores = compare((GRID, gaussian(1500.0, sigma)), (GRID, gaussian(1500.0 + shift, sigma)), 500.0, 2500.0)
    assert scores.cosine == pytest.approx(np.exp(-(shift**2) / 4 / sigma**2), rel=1e-6)
    smoothed = sigma**2 + 10.0**2  # the score smooths by 10 cm⁻¹ first
    assert scores.sis == pytest.approx(1 / (1 + shift**2 / smoothed), rel=2e-3)
    assert scores.w1 == pytest.approx(shift, rel=1e-6)


def test_scale_factor_is_found():
    pattern = broaden(np.array([800.0, 1700.0, 3000.0]), np.array([1.0, 2.0, 1.5]), GRID, 30.0)
    stretched = broaden(1.04 * np.array([800.0, 1700.0, 3000.0]), np.array([1.0, 2.0, 1.5]), GRID, 30.0)
    scores = compare((GRID, stretched), (GRID, pattern), 400.0, 3800.0)
    assert scores.scale == pytest.approx(1.04, abs=1e-3)
    assert compare((GRID, pattern), (GRID, pattern), 400.0, 3800.0).pearson == pytest.approx(1.0)


def test_nothing_to_compare_is_said():
    with pytest.raises(ValueError, match="nothing to compare between 3000 and 3500"):
        compare((GRID, gaussian(1000.0, 5.0)), (GRID, gaussian(1000.0, 5.0)), 3000.0, 3500.0)


def test_broadening_keeps_areas():
    assert np.trapezoid(broaden(np.array([1000.0, 2000.0]), np.array([3.0, 4.0]), GRID, 20.0), GRID) == (
        pytest.approx(7.0, rel=1e-9)
    )


def test_peaks_of_known_lines():
    value = gaussian(1000.3, 10.0, 5.0) + gaussian(1700.0, 20.0, 2.0) + gaussian(1760.0, 10.0, 1.0)
    peaks = find_peaks(GRID, value, np.full_like(value, 1e-4), 10.0)
    assert [round(p.position) for p in peaks] == [1000, 1700, 1760]
    first = peaks[0]
    assert first.position == pytest.approx(1000.3, abs=0.05)
    assert first.fwhm == pytest.approx(23.55, rel=0.01)
    assert first.area == pytest.approx(5.0, rel=1e-3)
    assert first.height == pytest.approx(5.0 / 10.0 / np.sqrt(2 * np.pi), rel=1e-3)
    assert peaks[1].area + peaks[2].area == pytest.approx(3.0, rel=1e-2)


def test_area_error_is_the_scatter_of_noisy_areas():
    """Noise correlated over one resolution, repeated many times."""
    rng = np.random.default_rng(1)
    kernel = np.hanning(11)
    kernel /= np.sqrt((kernel**2).sum())
    width = 2.0 * kernel.sum() ** 2 / (kernel**2).sum()  # its integral correlation length, cm⁻¹
    areas, claimed, positions, position_errors = [], [], [], []
    for _ in range(300):
        noise = 0.002 * np.convolve(rng.normal(size=len(GRID)), kernel, mode="same")
        inside = np.abs(GRID - 1000) < 100
        value = gaussian(1000.0, 20.0) + np.where(inside, noise, 0.0)
        error = np.where(inside, 0.002, 0.0)
        top = max(find_peaks(GRID, value, error, width), key=lambda p: p.height)
        areas.append(top.area)
        claimed.append(top.area_error)
        positions.append(top.position)
        position_errors.append(top.position_error)
    assert np.std(areas) == pytest.approx(np.mean(claimed), rel=0.35)
    assert np.std(positions) == pytest.approx(np.mean(position_errors), rel=0.5)


def test_noise_alone_has_no_peaks():
    rng = np.random.default_rng(2)
    assert find_peaks(GRID, rng.normal(size=len(GRID)), np.full(len(GRID), 1.5), 10.0) == ()
    assert find_peaks(GRID, np.zeros_like(GRID), np.zeros_like(GRID), 10.0) == ()


def test_masked_values_are_no_peaks():
    value = gaussian(1000.0, 10.0)
    value[GRID < 500] = np.nan
    assert len(find_peaks(GRID, value, np.zeros_like(value), 10.0)) == 1


def test_matching_sums_close_sticks_and_lists_strays():
    value = gaussian(1000.0, 10.0, 3.0) + gaussian(2500.0, 10.0, 1.0)
    peaks = find_peaks(GRID, value, np.zeros_like(value), 10.0)
    sticks = Sticks(
        wavenumber=np.array([990.0, 1005.0, 1800.0, 3000.0]), value=np.array([1.0, 2.0, 4.0, 0.001])
    )
    rows = match(peaks, sticks)
    assert [(r.lines, r.peak is None) for r in rows] == [(2, False), (1, True), (0, False)]
    assert rows[0].harmonic == pytest.approx(1000.0)
    assert rows[0].intensity == pytest.approx(3.0)
    assert rows[1].harmonic == 1800.0
