"""The `data:` section."""

import pytest

from equipot.config import override, parse
from equipot.data.config import DataConfig, share


def data(**values):
    return parse(DataConfig, {"train": "a.xyz", **values}, "config.yaml: data")


def test_short_forms():
    assert data(split="identical").split.by == "identical"
    assert data(split={"by": "group", "key": "molecule"}).split.key == "molecule"
    assert data(split={"by": "index", "test": "0:10"}).split.test == "0:10"
    config = data(valid=50, test="b.xyz", keys={"stress": None}, required=True)
    assert (config.valid, config.test, config.keys["stress"], config.required) == (50, "b.xyz", None, True)


def test_it_survives_json():
    config = data(
        valid=50, test="b.xyz", units={"energy": "Ha"}, reference_energies={"H": -13.6}, max_force=30
    )
    assert DataConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("amount, number", [("10%", 20), (50, 50), ("0.1%", 1), ("b.xyz", None)])
def test_amounts(amount, number):
    assert share(amount, 200) == number


@pytest.mark.parametrize(
    "values, message",
    [
        ({"vlaid": "10%"}, "unknown key 'vlaid'. Did you mean 'valid'?"),
        ({"valid": "120%"}, "expected a share such as 10%"),
        ({"valid": 0.1}, "expected a share such as 10%"),
        ({"valid": -3}, "expected a share such as 10%"),
        ({"split": "rnadom"}, "'random', 'group', 'identical' or 'index'"),
        ({"split": {"by": "index"}}, "belong to by: index"),
        ({"split": {"by": "random", "test": "0:4"}}, "belong to by: index"),
        ({"split": {"by": "random", "key": "x"}}, "key names the groups of by: group"),
        ({"max_force": -1}, "greater than 0"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(ValueError) as error:
        data(**values)
    assert message in str(error.value)


def test_a_word_becomes_a_key_of_its_table_when_more_is_said():
    values = override({}, ["data.split=group", "data.split.seed=3"], {"data.split": "by"})
    assert values == {"data": {"split": {"by": "group", "seed": 3}}}
    with pytest.raises(
        ValueError, match=r"option 'train\.seed\.x=1': train\.seed = 5 is not a table of keys"
    ):
        override({"train": {"seed": 5}}, ["train.seed.x=1"])
