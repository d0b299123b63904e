"""Sizes: published settings give known numbers of parameters; presets and names."""

import pytest

from equipot.config import parse
from equipot.models import PaiNNConfig, SchNetConfig, build_model
from equipot.potential import Potential, PotentialConfig
from equipot.statistics import Statistics

STATISTICS = Statistics(elements=(1, 6), mean_neighbors=1.0, reference_energies=(0.0, 0.0))


def potential(**model) -> Potential:
    return Potential(parse(PotentialConfig, {"model": model}, "test"), STATISTICS)


@pytest.mark.parametrize(("name", "expected"), [("schnet", 432_769), ("painn", 589_057)])
def test_parameters_of_the_published_settings(name, expected):
    """128 features, 6 interactions or 3 rounds, 20 radial functions, energy head included."""
    assert sum(p.numel() for p in potential(name=name).parameters()) == expected


@pytest.mark.parametrize("name", ["schnet", "painn"])
def test_a_size_stands_for_hyper_parameters(name):
    small, medium, large = (
        potential(name=name, size=size).config.model for size in ("small", "medium", "large")
    )
    assert small.channels < medium.channels < large.channels
    assert potential(name=name).config.model == medium


def test_a_size_yields_to_what_is_set():
    model = potential(name="painn", size="large", channels=16).config.model
    assert (model.channels, model.num_layers) == (16, 4)


def test_a_size_written_down_means_the_same_later():
    model = potential(name="painn", size="small").config.model
    assert PaiNNConfig.model_validate(model.model_dump()) == model


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"name": "painn", "chanels": 3}, "channels"),
        ({"name": "painn", "num_layer": 3}, "num_layers"),
        ({"name": "schnet", "cutof": 3}, "cutoff"),
    ],
)
def test_a_wrong_key_gives_the_nearest(values, expected):
    with pytest.raises(ValueError, match=f"Did you mean '{expected}'"):
        parse(PotentialConfig, {"model": values}, "train.yaml")


def test_a_wrong_architecture_gives_the_nearest_one():
    with pytest.raises(
        ValueError, match=r"train\.yaml: model\.name = 'pain' does not exist\. Did you mean 'painn'\?"
    ):
        parse(PotentialConfig, {"model": {"name": "pain"}}, "train.yaml")


@pytest.mark.parametrize(
    "values", [{"channels": 0}, {"cutoff": -1.0}, {"size": "huge"}, {"envelope": "gaussian"}]
)
def test_values_without_meaning_are_refused(values):
    with pytest.raises(ValueError, match=rf"train\.yaml: model\.{next(iter(values))}"):
        parse(PotentialConfig, {"model": {"name": "painn", **values}}, "train.yaml")


@pytest.mark.parametrize("config", [SchNetConfig(channels=4), PaiNNConfig(channels=4)])
def test_elements_beyond_the_table_are_refused(config):
    heavy = STATISTICS.model_copy(update={"elements": (1, 104)})
    with pytest.raises(ValueError, match="element 104"):
        build_model(config, heavy)
