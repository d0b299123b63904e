"""The page in headless Chromium: every figure drawn, learning curves over steps at a touch, nothing on the console."""

import time

import pytest

from evaluate.test_report_browser import _DATA, _DRAWN, _OVERFLOW, wait_until_drawn

_PRESS = """
const place = document.querySelector("[data-plot=learning-forces]");
const button = [...place.querySelectorAll(".updatemenu-button")].find((b) => b.textContent === "steps");
button.dispatchEvent(new MouseEvent("click", { bubbles: true }));
"""
_ENDS = """
return [...document.querySelector("[data-plot=learning-forces]").data].map((trace) => Number([...trace.x].at(-1)));
"""


@pytest.mark.browser
def test_a_browser_draws_the_comparison_without_complaint(compared, browser):
    browser.get((compared[0] / "comparison.html").as_uri())
    wait_until_drawn(browser)
    figures = browser.execute_script(_DRAWN)
    assert len(figures) == 7
    for figure in figures:
        assert figure["wanted"] > 0 and figure["traces"] > 0, figure
        assert figure["width"] > 100 and figure["height"] > 100, figure
    files = dict(browser.execute_async_script(_DATA))
    assert files["pareto.csv"].startswith("model,") and "painn," in files["pareto.csv"]
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.browser
def test_learning_curves_of_all_runs_end_at_the_same_step(compared, browser):
    browser.get((compared[0] / "comparison.html").as_uri())
    wait_until_drawn(browser)
    browser.execute_script(_PRESS)
    end = time.monotonic() + 10
    while set(found := browser.execute_script(_ENDS)) != {24}:
        assert time.monotonic() < end, found
        time.sleep(0.1)
    assert len(found) == 4


@pytest.mark.browser
def test_the_comparison_fits_a_phone(compared, browser):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((compared[0] / "comparison.html").as_uri())
    wait_until_drawn(browser)
    assert browser.execute_script(_OVERFLOW) <= 0
