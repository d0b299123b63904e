"""Accuracy benchmarks: the sets they read, their splits, errors and tables. Nothing is trained here."""

import math
from dataclasses import replace
from typing import Any

import ablation
import ase.io
import learning_curves
import molecule
import numpy as np
import pytest
import records
from acac import acac
from ase.build import molecule as build
from ase.calculators.singlepoint import SinglePointCalculator
from aspirin import aspirin
from settings import PUBLISHED, RECIPES, SMALL, available, settings
from three_bpa import three_bpa

from equipot.evaluate.metrics import Comparison
from equipot.train import averaging
from equipot.train.config import RunConfig
from equipot.train.loop import Trainer
from equipot.train.loss import LENGTH, LENGTH_COOLDOWN
from equipot.train.schedule import WarmupStayCooldown


def water(number: int):
    """A water molecule that no other number gives."""
    atoms = build("H2O")
    atoms.positions[0, 0] += 1e-3 * number
    atoms.calc = SinglePointCalculator(atoms, energy=-400.0 - number, forces=np.zeros((3, 3)))
    return atoms


def write(path, numbers):
    ase.io.write(path, [water(n) for n in numbers], format="extxyz")


@pytest.fixture
def data(tmp_path):
    """Files like those of the sets, of water; frames 3 and 5 of the mixed file are in the training file too."""
    write(tmp_path / "train_300K.xyz", [*range(1000, 1010), 3, 5])
    write(tmp_path / "mixedT_even.xyz", range(250))
    (tmp_path / "iso_atoms.xyz").write_text('1\nenergy=-13.6 pbc="F F F"\nH 0 0 0\n', encoding="utf-8")
    write(tmp_path / "train_600K.xyz", range(20))
    write(tmp_path / "test_MD_300K.xyz", range(30, 40))
    (tmp_path / "isolated_atoms.xyz").write_text("1\nenergy=-13.6\nH 0 0 0\n", encoding="utf-8")
    for stem in ("test_300K", "test_600K", "test_1200K", "test_dih", "test_MD_600K"):
        write(tmp_path / f"{stem}.xyz", range(50, 55))
    return tmp_path


def numbers(frames) -> list[int]:
    return [round(-400.0 - float(f.labels["energy"])) for f in frames.structures]


def test_the_thirds_of_the_mixed_file_stand_in_for_the_published_tests(data):
    tests = three_bpa(data).tests
    assert numbers(tests["300 K"]) == [n for n in range(83) if n not in (3, 5)]
    assert numbers(tests["600 K"]) == list(range(84, 166))
    assert numbers(tests["1200 K"]) == list(range(167, 250))


def test_published_test_files_are_taken_as_they_are(data):
    tests = three_bpa(data, data).tests
    assert list(tests) == ["300 K", "600 K", "1200 K", "dihedral"]
    assert all(numbers(frames) == [50, 51, 52, 53, 54] for frames in tests.values())


def test_the_acac_set_tests_hot_frames_on_what_is_there(data):
    tests = acac(data).tests
    assert numbers(tests["300 K"]) == list(range(30, 40))
    assert numbers(tests["600 K"]) == [n for n in range(20) if n not in (3, 5)]
    assert len(acac(data, data).tests["600 K"]) == 5


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"neither train\.xyz\.xz nor train\.xyz"):
        aspirin(tmp_path)


def test_training_sets_of_a_seed_are_nested_and_share_their_validation_set():
    few, many = (molecule.split(range(500), n, 50, seed=3) for n in (50, 450))
    assert set(few["train"]) < set(many["train"])
    assert few["valid"] == many["valid"]
    assert not set(many["train"]) & set(many["valid"])
    assert set(molecule.split(range(500), 50, 50, seed=4)["train"]) != set(few["train"])


def test_a_split_stays_in_its_pool():
    parts = molecule.split(range(0, 100, 2), 30, 20, seed=1)
    assert sorted([*parts["train"], *parts["valid"]]) == list(range(0, 100, 2))
    with pytest.raises(ValueError, match="31 \\+ 20 frames are more than the 50"):
        molecule.split(range(50), 31, 20, seed=1)


def test_configurations_of_a_set_are_valid(data):
    chosen = three_bpa(data)
    values = molecule.configuration(
        replace(chosen, valid=2), settings("painn", "small", "three_bpa"), 5, 1, budget="20min", epochs=None
    )
    config = RunConfig.model_validate(values)
    assert config.train.budget == 1200 and config.train.epochs is None
    assert len(config.data.split.train) == 5 and len(config.data.split.valid) == 2


@pytest.mark.parametrize("name", [n for n in available() if n in SMALL or n in PUBLISHED])
@pytest.mark.parametrize("size", ["small", "published"])
def test_written_settings_are_those_of_a_model(name, size):
    known = SMALL if size == "small" else PUBLISHED
    config = RunConfig.model_validate(
        {
            "data": {"train": "x.xyz"},
            "model": settings(name, size, "aspirin"),
            "train": RECIPES.get(name, {}),
        }
    )
    for key in known.get(name, {}).keys() - {"cutoff"}:
        assert getattr(config.model, key) == known[name][key]


def test_a_model_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="nosuch: not an architecture of this version"):
        settings("nosuch", "small", "three_bpa")


def comparison(residual: np.ndarray, frame: np.ndarray) -> Comparison:
    zero = np.zeros_like(residual)
    return Comparison(zero, residual, frame, np.ones(len(frame)), None, "eV")


def test_errors_and_what_the_choice_of_frames_leaves_unsure():
    """Two frames of squares 1 and 9: RMSE √5, whose uncertainty is (4/√2)/√... of the mean square over 2 RMSE."""
    found = molecule.errors({"energy": comparison(np.array([[1.0], [-3.0]]), np.array([0, 1]))})["energy"]
    assert found["rmse"] == pytest.approx(math.sqrt(5)) and found["mae"] == 2.0 and found["frames"] == 2
    spread = np.std([1.0, 9.0], ddof=1) / math.sqrt(2)
    assert found["rmse_uncertainty"] == pytest.approx(spread / (2 * math.sqrt(5)))


def entry(series: str, seed: int, forces: float, **more: Any) -> dict[str, Any]:
    error = {"energy": {"rmse": 0.002}, "forces": {"rmse": forces}}
    return {
        **{"series": series, "seed": seed, "size": "small", "tests": "mixedT_even", "parameters": 1000},
        **{"model": {"name": "painn"}, "frames": {"train": 450}, "training_seconds": 60.0, "epochs": 2.0},
        **{
            "device": "cpu",
            "machine": {"threads": 1, "gpu": None},
            "errors": {"300 K": error, "1200 K": error},
            **more,
        },
    }


def test_the_table_gives_the_spread_over_seeds_beside_the_published_numbers():
    runs = {"a": entry("one", 1, 0.010), "b": entry("one", 2, 0.014), "c": entry("two", 1, 0.020)}
    lines = records.table({"measure": "rmse", "published": {"MACE": {"300 K": [3.0, 8.8]}}, "runs": runs})
    assert lines[2] == "| published: MACE | | | | 3 / 8.8 |  |"
    assert "painn, small, mixedT_even (2 seeds) | 1,000 | 450 | 2 epochs, 1 min, 1 thread" in lines[3]
    assert "2.0 ± 0.0 / 12.0 ± 2.8" in lines[3]
    assert lines[4].endswith("| 2.0 / 20.0 | 2.0 / 20.0 |")
    assert records.table({"runs": {}}) == []


def test_runs_are_added_to_those_of_others(tmp_path):
    path = tmp_path / "results" / "set.json"
    records.add(path, {"what": "x"}, "b", {"seed": 2})
    records.note(path, "seconds", 3.0)
    records.add(path, {"what": "y"}, "a", {"seed": 1})
    assert records.load(path) == {"what": "y", "seconds": 3.0, "runs": {"a": {"seed": 1}, "b": {"seed": 2}}}


def test_a_failed_model_is_reported_and_what_is_in_the_file_is_not_made_again(data, tmp_path, capsys):
    arguments = molecule.parser("").parse_args([str(data), "--models", "painn,nosuch", "--train", "5"])
    arguments.out = tmp_path / "runs"
    path = tmp_path / "set.json"
    known = f"{molecule.series(arguments, 'painn', 5, 'mixedT_even')}, seed 1"
    records.add(path, {}, known, entry("x", 1, 0.01))
    failed = molecule.sweep(three_bpa(data), arguments, path)
    assert failed == ["nosuch, small, 5 frames, 20min, cpu, mixedT_even, seed 1"]
    assert f"{known}: in set.json already." in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_learning_curves_take_the_runs_of_their_options(tmp_path):
    arguments = molecule.parser("").parse_args(["--models", "painn", "--train", "50,450", "--budget", "1h"])
    name = molecule.series(arguments, "painn", 50, "mixedT_even")
    runs = {"a": entry(name, 1, 0.05), "b": entry(name, 2, 0.07), "c": entry("another budget", 1, 0.01)}
    assert learning_curves.points({"runs": runs}, arguments, "painn", "300 K") == [
        (50, pytest.approx([50.0, 70.0]))
    ]
    figure = tmp_path / "figures" / "curves.svg"
    learning_curves.draw({"runs": runs}, arguments, figure)
    first = figure.read_bytes()
    learning_curves.draw({"runs": runs}, arguments, figure)
    assert first == figure.read_bytes() and b"</svg>" in first


def test_the_cosine_falls_from_one_to_the_floor():
    schedule = WarmupStayCooldown(num_steps=1000, cooldown=0.4)
    assert ablation.cosine(schedule, schedule.warmup_steps - 1) == 1.0
    assert ablation.cosine(schedule, (1000 + schedule.warmup_steps) // 2) == pytest.approx(0.5, abs=2e-3)
    assert ablation.cosine(schedule, 1000) == pytest.approx(1e-3)


class At:
    """A trainer at a step."""

    def __init__(self, step: int) -> None:
        self.step, self.schedule = step, WarmupStayCooldown(num_steps=1000, cooldown=0.4)


def test_arms_change_the_trainer_and_put_it_back():
    before = Trainer._length, dict(averaging.HORIZONS), WarmupStayCooldown.factor
    arms = {arm.name: arm for arm in ablation.ARMS}
    with ablation.changed(arms["length 0.03 Å"]):
        assert Trainer._length(At(999)) == 0.03
        assert averaging.HORIZONS == ablation.TRACKS
    with ablation.changed(arms["length switched"]):
        assert [Trainer._length(At(k)) for k in (600, 601)] == [LENGTH, LENGTH_COOLDOWN]
    with ablation.changed(arms["cosine"]):
        assert At(0).schedule.factor(1000) == pytest.approx(1e-3)
    assert (Trainer._length, dict(averaging.HORIZONS), WarmupStayCooldown.factor) == before


@pytest.mark.parametrize("arm", ablation.ARMS, ids=lambda a: a.name)
def test_arms_are_valid_recipes(arm):
    RunConfig.model_validate({"data": {"train": "x.xyz"}, "train": {"steps": 100, **arm.train}})


@pytest.mark.slow
def test_ethanol_keeps_its_hot_frames_for_the_test():
    chosen = ablation.ethanol()
    frames = molecule.read(chosen.train).structures
    assert {frames[k].group for k in chosen.pool} == {"md_300K", "md_600K"}
    assert {f.group for f in chosen.tests["1000 K"].structures} == {"md_1000K"}
    known = {id(frames[k].positions) for k in chosen.pool}
    tested = {f.index for f in chosen.tests["300 and 600 K"].structures}
    assert known and not tested & {frames[k].index for k in chosen.pool}
    assert len(chosen.pool) >= 450


def test_the_ablation_table_gives_the_change_from_the_base():
    runs = {
        "a": entry("s", 1, 0.010, row="A0", arm="base", averages={}),
        "b": entry("s", 1, 0.015, row="A1", arm="batch 1", averages={}),
    }
    lines = ablation.table({"runs": runs})
    assert "| A0 | base | 2.0 / 10.0 | 2.0 / 10.0 |" in lines
    assert "| A1 | batch 1 | 2.0 (+0 %) / 15.0 (+50 %) | 2.0 (+0 %) / 15.0 (+50 %) |" in lines
