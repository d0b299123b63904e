"""What the contract runs over."""

from collections.abc import Callable

import pytest
import torch

from contract.every_model import ARCHITECTURES, SYSTEMS, fast, small
from equipot.potential import Potential

DTYPES = {"float64": torch.float64, "float32": torch.float32, "fast": torch.float32}


@pytest.fixture(params=[kind.model_fields["name"].default for kind in ARCHITECTURES])
def architecture(request: pytest.FixtureRequest) -> str:
    """Every name of the union."""
    return request.param


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """Both precisions."""
    return request.param


@pytest.fixture(params=DTYPES)
def precision(request: pytest.FixtureRequest) -> str:
    """Both precisions, and the single one as calculators use it: from tables."""
    return request.param


@pytest.fixture
def made(architecture: str, precision: str) -> Callable[[str], Potential]:
    """Targets -> the architecture with these heads, in this precision."""
    build = fast if precision == "fast" else small
    return lambda targets: build(architecture, targets, DTYPES[precision])


@pytest.fixture(params=list(SYSTEMS))
def system(request: pytest.FixtureRequest) -> str:
    """Every kind of system."""
    return request.param


@pytest.fixture
def tolerance(precision: str) -> float:
    """Relative: round-off times the length of the computation, and room for cancellation in sums."""
    return 1e-10 if precision == "float64" else 1e-4
