"""Small models of every architecture, with every kind of target."""

import numpy as np
import pytest
import torch

from equipot.data.frame import Frame
from equipot.models import PaiNNConfig, SchNetConfig
from equipot.potential import Potential, PotentialConfig, TargetsConfig
from equipot.potential.targets import ChargesTarget, DipoleTarget, PolarizabilityTarget, TensorTarget
from equipot.statistics import Statistics, TargetStatistics

STATISTICS = Statistics(
    elements=(1, 6, 8),
    mean_neighbors=7.25,
    reference_energies=(-13.587222780835477, -1029.4889999797, -2041.8396277138),
    reference_source="least squares",
    energy_scale=1.2345678901234567,
    targets={
        "polarizability": TargetStatistics(baseline=(0.4, 1.1, 0.7), scales=(0.3, 0.2)),
        "dipole": TargetStatistics(baseline=(0.0, 0.0, 0.0), scales=(0.1,)),
    },
)
ALL_TARGETS = TargetsConfig(
    charges=ChargesTarget(),
    dipole=DipoleTarget(),
    polarizability=PolarizabilityTarget(),
    tensors={
        "zeta": TensorTarget(order=2, per="atom", rank=2, unit="ppm"),
        "alpha": TensorTarget(irreps="0e + 1e", rank=2),
    },
    total_charge=0.0,
)
MODELS = {
    "schnet": SchNetConfig(channels=4, num_layers=2, num_radial=4, cutoff=4.0),
    "painn": PaiNNConfig(channels=4, num_layers=2, num_radial=4, cutoff=4.0),
}
TARGETS = {
    "energy": TargetsConfig(),
    "all": ALL_TARGETS,
    "dipole": TargetsConfig(energy=None, dipole=DipoleTarget()),
}


def potential_of(model: str = "painn", targets: str = "energy", seed: int = 0) -> Potential:
    torch.manual_seed(seed)
    return Potential(PotentialConfig(model=MODELS[model], targets=TARGETS[targets]), STATISTICS).eval()


@pytest.fixture
def build():
    """`build("painn", "all")`: a potential with random weights."""
    return potential_of


@pytest.fixture
def water():
    """Water, as a molecule or in a cell of its own."""

    def frame(size: float = 0.0, shift: float = 0.0) -> Frame:
        return Frame(
            numbers=np.array([8, 1, 1]),
            positions=np.array([[shift, 0.0, 0.1], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]]),
            cell=np.eye(3) * size,
            pbc=np.full(3, size > 0),
            charge=0.0,
        )

    return frame
