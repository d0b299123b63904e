"""What every test may count on: fixed seeds, one thread, no display, and where the optional things are."""

import os
import random
import shutil
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from jaxtyping import config as shapes

matplotlib.use("Agg")


def pytest_configure(config: pytest.Config) -> None:
    """One thread a process: the suite runs several, and sums keep one order."""
    torch.set_num_threads(1)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of the browser where there is none, or fail them where EQUIPOT_REQUIRE_BROWSER is set."""
    if item.get_closest_marker("browser") is None or (_chromium() and shutil.which("chromedriver")):
        return
    message = (
        "no chromium with chromedriver on this machine; Debian: apt-get install chromium chromium-driver"
    )
    if os.environ.get("EQUIPOT_REQUIRE_BROWSER"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(autouse=True)
def seeds() -> None:
    """The same random numbers in every test, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_shapes(request: pytest.FixtureRequest):
    """No checker of shapes for tests marked `noshapes`, which it breaks, and `slow`, which it makes twice as slow."""
    off = any(request.node.get_closest_marker(name) for name in ("noshapes", "slow"))
    shapes.update("jaxtyping_disable", off)
    yield
    shapes.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def unchecked():
    """For fixtures that train: a context without the checker of shapes."""

    @contextmanager
    def context():
        before = shapes.jaxtyping_disable
        shapes.update("jaxtyping_disable", True)
        yield
        shapes.update("jaxtyping_disable", before)

    return context


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of its own for tests that draw with numpy."""
    return np.random.default_rng(0)


@pytest.fixture
def float64():
    """New tensors and parameters are float64 inside the test."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch.float64
    torch.set_default_dtype(before)


@pytest.fixture
def browser():
    """Headless Chromium through Selenium, its console at hand: `browser.get_log("browser")`."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = _chromium() or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--window-size=1400,1000",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of published data sets that EQUIPOT_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("EQUIPOT_TEST_DATA")
    if not folder:
        pytest.skip("EQUIPOT_TEST_DATA names no folder of published data sets")
    return Path(folder)


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
