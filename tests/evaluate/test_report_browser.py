"""The report in headless Chromium: every figure drawn, every link with its data, nothing on the console."""

import time

import pytest

from equipot.evaluate.report import write_report, write_simulation_report
from equipot.spectra.beside import with_beside
from equipot.spectra.spectrum import spectrum
from evaluate import reported
from spectra import bent

#: of every figure: traces that were asked for, and the size of what was drawn
_DRAWN = """
return [...document.querySelectorAll("[data-plot]")].map((place) => {
  const marks = [...place.querySelectorAll("svg.main-svg, canvas")].map((x) => x.getBoundingClientRect());
  const trace = place.querySelectorAll(
    ".scatterlayer .trace, .barlayer .trace, .gl-container canvas").length;
  return { name: place.dataset.plot, wanted: (place.data || []).length, traces: trace,
           width: Math.max(0, ...marks.map((r) => r.width)), height: Math.max(0, ...marks.map((r) => r.height)) };
});
"""
_DATA = """
const done = arguments[0];
Promise.all([...document.querySelectorAll("a[data-csv]")].map(
  async (a) => [a.download, await (await fetch(a.href)).text()])).then(done, (e) => done(String(e)));
"""
_PRESS_STEPS = """
const place = document.querySelector("[data-plot=loss]");
const button = [...place.querySelectorAll(".updatemenu-button")].find((b) => b.textContent === "steps");
button.dispatchEvent(new MouseEvent("click", { bubbles: true }));
"""
_LAST_STEPS = """
return [...document.querySelector("[data-plot=loss]").data].map((trace) => Number([...trace.x].at(-1)));
"""
_OVERFLOW = "return document.documentElement.scrollWidth - window.innerWidth"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    run = reported.train(folder)
    found = spectrum(bent.trajectory(50.0, replicas=2, steps=4000), harmonic=bent.modes())
    return write_report(run, dynamics=reported.dynamics(folder / "md"), spectra=found)


@pytest.fixture(scope="module")
def simulation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulation")
    found, other = (
        spectrum(bent.trajectory(50.0, replicas=2, steps=4000, seed=k), harmonic=bent.modes()) for k in (1, 2)
    )
    found = with_beside(found, "one", "another", other)
    return write_simulation_report(reported.dynamics(folder / "md"), found, folder / "report.html")


def wait_until_drawn(browser, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while browser.execute_script("return document.documentElement.dataset.ready") != "yes":
        assert time.monotonic() < end, browser.get_log("browser")
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(("page", "least"), [("report", 14), ("simulation", 4)])
def test_a_browser_draws_every_figure_without_complaint(page, least, request, browser):
    browser.get(request.getfixturevalue(page).as_uri())
    wait_until_drawn(browser)
    figures = browser.execute_script(_DRAWN)
    assert len(figures) >= least
    for figure in figures:
        assert figure["wanted"] > 0 and figure["traces"] > 0, figure
        assert figure["width"] > 100 and figure["height"] > 100, figure
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.browser
def test_every_link_gives_the_data_of_its_figure(report, browser):
    browser.get(report.as_uri())
    wait_until_drawn(browser)
    files = dict(browser.execute_async_script(_DATA))
    assert len(files) >= 14
    for name, text in files.items():
        header, *rows = text.splitlines()
        assert name.endswith(".csv") and len(rows) >= 3, name
        assert "," in header and any(c.isdigit() for c in rows[0]), (name, header)
    assert files["parity-forces.csv"].startswith("frame,element,label (eV/Å),predicted (eV/Å)\n")


@pytest.mark.browser
def test_learning_curves_run_over_steps_at_a_touch(report, browser):
    browser.get(report.as_uri())
    wait_until_drawn(browser)
    browser.execute_script(_PRESS_STEPS)
    end = time.monotonic() + 10
    while len(found := set(browser.execute_script(_LAST_STEPS))) > 1 or found == {0.0} or min(found) < 10:
        assert time.monotonic() < end, found
        time.sleep(0.1)
    assert found == {21.0}


@pytest.mark.browser
@pytest.mark.parametrize("page", ["report", "simulation"])
def test_a_phone_never_scrolls_sideways(page, request, browser):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(request.getfixturevalue(page).as_uri())
    wait_until_drawn(browser)
    assert browser.execute_script(_OVERFLOW) <= 0
