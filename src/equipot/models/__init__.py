"""Architectures: one paper, one file. The union below is the list; a name outside it is an error."""

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from equipot.models.allegro import Allegro, AllegroConfig
from equipot.models.ictp import ICTP, ICTPConfig
from equipot.models.mace import MACE, MACEConfig
from equipot.models.nequip import NequIP, NequIPConfig
from equipot.models.painn import PaiNN, PaiNNConfig
from equipot.models.schnet import SchNet, SchNetConfig
from equipot.models.segnn import SEGNN, SEGNNConfig
from equipot.models.tensornet import TensorNet, TensorNetConfig
from equipot.statistics import Statistics
from equipot.tensor.irreps import SCALAR, Irrep

Architecture = (
    SchNetConfig
    | PaiNNConfig
    | NequIPConfig
    | AllegroConfig
    | MACEConfig
    | ICTPConfig
    | TensorNetConfig
    | SEGNNConfig
)
ModelConfig = Annotated[Architecture, Field(discriminator="name")]
Backbone = SchNet | PaiNN | NequIP | Allegro | MACE | ICTP | TensorNet | SEGNN


def build_model(
    config: Architecture, statistics: Statistics, outputs: Collection[Irrep] = (SCALAR,)
) -> Backbone:
    """The backbone that a configuration describes, with fresh weights.

    `outputs` are the irreps that heads can read; what a backbone has beyond them it need not compute.
    """
    match config:
        case SchNetConfig():
            return SchNet(config, statistics)
        case PaiNNConfig():
            return PaiNN(config, statistics)
        case NequIPConfig():
            return NequIP(config, statistics, outputs)
        case AllegroConfig():
            return Allegro(config, statistics, outputs)
        case MACEConfig():
            return MACE(config, statistics, outputs)
        case ICTPConfig():
            return ICTP(config, statistics, outputs)
        case TensorNetConfig():
            return TensorNet(config, statistics)
        case SEGNNConfig():
            return SEGNN(config, statistics, outputs)
