"""A calculated spectrum beside a measured one."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from equipot.spectra.comparison import comparison, with_measured
from equipot.spectra.figure import figure, plotly_figure
from equipot.spectra.measured import Measured
from equipot.spectra.result import Spectrum
from equipot.spectra.spectrum import spectrum

GRID = np.arange(0.0, 4000.0, 1.0)
SIGMA = 25.0


def lines(*places, sigma=SIGMA):
    return sum(np.exp(-0.5 * ((GRID - p) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi)) for p in places)


def calculated(value):
    return Spectrum(
        kind="ir", label="made up", unit="cm-1", wavenumber=GRID, value=value, stderr=np.zeros_like(GRID)
    )


def measured(value, **changes):
    return Measured(
        **{"wavenumber": GRID, "value": value, "quantity": "absorbance", "source": "m.csv", **changes}
    )


def test_two_lines_apart_by_a_known_distance():
    shift = 20.0
    found = comparison(calculated(lines(1500)), measured(3 * lines(1500 + shift)), 10.0)
    assert_allclose(found.scores.w1, shift, rtol=1e-3)
    assert_allclose(found.scores.cosine, np.exp(-(shift**2) / (4 * SIGMA**2)), rtol=1e-3)
    sigma2 = SIGMA**2 + 10.0**2  # smoothed by 10 cm⁻¹
    assert_allclose(found.scores.sis, 1 / (1 + shift**2 / sigma2), rtol=2e-2)
    assert_allclose(found.intensity, 1 / 3, rtol=1e-9)
    assert_allclose(found.value.max(), lines(1520).max(), rtol=1e-9)


def test_the_best_scale_is_found_and_a_large_one_is_suspicious():
    ours = calculated(lines(1000, 2000, 3000))
    found = comparison(ours, measured(lines(1000 * 0.99, 2000 * 0.99, 3000 * 0.99)), 10.0)
    assert_allclose(1 / found.scores.scale, 0.99, atol=5e-4)
    assert found.notes == ()
    far = comparison(ours, measured(lines(940, 1880, 2820)), 10.0)
    assert "uniform scale of 1.06" in far.notes[0] and "time step" in far.notes[0]


def test_broadening_is_given_to_both():
    found = comparison(
        calculated(lines(1500, sigma=5)), measured(lines(1500, sigma=5)), 10.0, broadening=58.87
    )
    expected = lines(1500, sigma=np.hypot(5, 25))
    assert_allclose(found.value, np.interp(found.wavenumber, GRID, expected), atol=1e-3 * expected.max())


def test_peaks_side_by_side():
    found = comparison(calculated(lines(1000, 2000)), measured(2 * lines(1012, 2000, 3500)), 10.0)
    rows = [(m.peak and round(m.peak.position), m.harmonic and round(m.harmonic)) for m in found.matches]
    assert rows == [(1000, 1012), (2000, 2000), (None, 3500)]


def test_the_range_is_what_both_know():
    short = measured(lines(1500)[900:2000], wavenumber=GRID[900:2000])
    found = comparison(calculated(lines(1500)), short, 10.0, limits=(1000.0, 5000.0))
    assert (found.scores.low, found.scores.high) == (1000.0, 1999.0)
    gap = lines(1500)
    gap[:1200] = np.nan
    assert comparison(calculated(gap), short, 10.0).scores.low == 1200.0
    with pytest.raises(ValueError, match="no range in common within 2500 to 3000"):
        comparison(calculated(lines(1500)), short, 10.0, limits=(2500.0, 3000.0))


def test_it_is_drawn_written_and_said(cold, tmp_path):
    made = spectrum(cold, ["ir", "raman"])
    x, y = made["ir"].wavenumber, made["ir"].value
    found = with_measured(made, measured(np.interp(GRID, x, y)), limits=(500.0, 4000.0))
    assert found["raman"].comparison is None
    axes = figure(found, kinds=("ir",)).axes[0]
    (drawn,) = [line for line in axes.lines if "m.csv, absorbance" in line.get_label()]
    assert max(drawn.get_ydata()) < axes.get_ylim()[1]
    assert any("m.csv" in (t.name or "") for t in plotly_figure(found, "ir").data)
    found.write(tmp_path)
    document = json.loads((tmp_path / "ir.json").read_text())["comparison"]
    assert document["pearson"] > 0.99 and document["w1"] < 1 and document["source"] == "m.csv"
    assert abs(document["intensity_factor"] - 1) < 0.01
    assert json.loads((tmp_path / "raman.json").read_text())["comparison"] is None
    said = found["ir"].comparison.lines()
    assert "m.csv, absorbance, 500 to" in said[0] and "Pearson" in said[1] and "W1" in said[1]


def test_which_spectrum_it_belongs_to(cold):
    made = spectrum(cold, ["ir", "raman"])
    theirs = measured(np.interp(GRID, made["raman"].wavenumber, made["raman"].value), kind="raman")
    assert with_measured(made, theirs)["raman"].comparison is not None
    with pytest.raises(ValueError, match="kind 'power', and there is only ir, raman"):
        with_measured(made, replace(theirs, kind="power"))
