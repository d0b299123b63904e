"""Architectures: one paper, one file. The union below is the list; a name outside it is an error."""

from typing import Annotated

from pydantic import Field

from equipot.models.painn import PaiNN, PaiNNConfig
from equipot.models.schnet import SchNet, SchNetConfig
from equipot.statistics import Statistics

ModelConfig = Annotated[SchNetConfig | PaiNNConfig, Field(discriminator="name")]
Backbone = SchNet | PaiNN


def build_model(config: SchNetConfig | PaiNNConfig, statistics: Statistics) -> Backbone:
    """The backbone that a configuration describes, with fresh weights."""
    match config:
        case SchNetConfig():
            return SchNet(config, statistics)
        case PaiNNConfig():
            return PaiNN(config, statistics)
