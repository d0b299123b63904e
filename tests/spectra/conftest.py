import pytest

from spectra import bent


@pytest.fixture(scope="session")
def cold():
    """Eight replicas of 13 ps at 0.5 K, where dynamics is harmonic."""
    return bent.trajectory(0.5, replicas=8, steps=26_000)
