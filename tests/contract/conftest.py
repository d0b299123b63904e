"""What the contract runs over."""

import pytest
import torch

from contract.every_model import ARCHITECTURES, SYSTEMS


@pytest.fixture(params=[kind.model_fields["name"].default for kind in ARCHITECTURES])
def architecture(request: pytest.FixtureRequest) -> str:
    """Every name of the union."""
    return request.param


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """Both precisions."""
    return request.param


@pytest.fixture(params=list(SYSTEMS))
def system(request: pytest.FixtureRequest) -> str:
    """Every kind of system."""
    return request.param


@pytest.fixture
def tolerance(dtype: torch.dtype) -> float:
    """Relative: round-off times the length of the computation, and room for cancellation in sums."""
    return 1e-10 if dtype == torch.float64 else 1e-4
