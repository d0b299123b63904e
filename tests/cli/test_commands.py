"""Every command once, as its help and the README describe it: what it prints, what it leaves, how it ends."""

import json
import shutil
from dataclasses import replace
from importlib.metadata import version

import pytest
import yaml
from ase.io import read

import equipot as package
from cli.tiny import LIMITS, SETTINGS
from equipot import api
from equipot.cli.keys import described, schema
from equipot.deploy.document import Proof
from equipot.engines.catalog import ENGINES
from equipot.train.config import RunConfig

COMMANDS = (
    "inspect", "train", "compare", "evaluate", "verify", "md", "spectrum", "relax", "phonons", "info", "doctor", "demo",
)  # fmt: skip


def test_help_lists_every_command(equipot):
    said = equipot("--help")
    assert said.code == 0
    assert all(command in said.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(equipot, command):
    said = equipot(f"{command} --help")
    assert said.code == 0
    assert "Usage" in said.out and "--help" in said.out


def test_version(equipot):
    assert equipot("--version").out.strip() == package.__version__


def test_inspect_writes_a_configuration_that_train_accepts(equipot, tiny, tmp_path):
    said = equipot(f"inspect {tiny.data} --config config.yaml")
    assert said.code == 0
    assert "equipot.inspect(" in said.out
    assert "polarizability" in said.out
    config = api.run_config(tmp_path / "config.yaml")
    assert {"energy", "forces", "dipole", "polarizability"} == set(config.targets.names())


def test_inspect_for_programs(equipot, tiny):
    said = equipot(f"inspect {tiny.data} {tiny.data} --json")
    found = json.loads(said.out)
    assert found["summary"]["frames"] == 20
    assert any("test frames are in the training set" in f["title"] for f in found["findings"])


def test_train_leaves_a_model_a_report_and_a_log(tiny):
    assert {p.name for p in tiny.run.iterdir()} >= {
        "model.equipot",
        "report.html",
        "log.jsonl",
        "config.yaml",
        "checkpoints",
    }


def test_dry_run_prints_a_configuration_and_leaves_nothing(equipot, tiny, tmp_path):
    said = equipot(f"train {tiny.data} train.epochs=7 --dry-run")
    assert said.code == 0
    assert yaml.safe_load(said.out)["train"]["epochs"] == 7
    assert RunConfig.model_validate(yaml.safe_load(said.out)).train.epochs == 7
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_finished_training_is_not_repeated(equipot, tiny):
    said = equipot(f"train {tiny.data} {SETTINGS} --out {tiny.run} --json")
    assert said.code == 0
    found = json.loads(said.out)
    assert set(found["metrics"]["test"]) == {"energy", "forces", "dipole", "polarizability"}


def test_a_key_is_explained(equipot):
    said = equipot("train --explain train.budget")
    assert said.code == 0
    assert "train.budget: number or null" in said.out and "2h" in said.out
    assert "model.channels of painn: integer, default 128" in equipot("train --explain model").out
    assert "Did you mean 'budget'?" in equipot("train --explain budgt").err


def test_every_key_of_the_configuration_is_explained():
    paths = {path for path, _ in described()}
    assert {"data.train", "data.split.by", "targets.tensors.NAME.order", "train.plateau.factor"} <= paths


def test_the_schema_is_json_and_carries_the_remarks(equipot):
    said = equipot("train --schema")
    assert said.code == 0
    train = json.loads(said.out)["$defs"]["TrainConfig"]["properties"]
    assert train == json.loads(schema())["$defs"]["TrainConfig"]["properties"]
    assert "2h" in train["budget"]["description"]


def test_evaluate_prints_a_table_and_json(equipot, tiny):
    said = equipot(f"evaluate {tiny.model} {tiny.data}")
    assert said.code == 0
    assert all(word in said.out for word in ("energy", "meV/Å", "mD", "forces by element"))
    found = json.loads(equipot(f"evaluate {tiny.model} {tiny.data} --json").out)
    assert set(found["per_element"]["forces"]) == {"H", "O"}


def test_evaluate_on_a_file_with_some_of_the_labels_says_what_is_absent(equipot, tiny, tmp_path):
    atoms = read(tiny.data, "3")
    atoms.calc.results = {"energy": atoms.calc.results["energy"]}
    atoms.write("energies.xyz", columns=["symbols", "positions"], format="extxyz")
    said = equipot(f"evaluate {tiny.model} energies.xyz")
    assert said.code == 0, said.err
    assert "not compared: forces, dipole" in said.out


def test_verify_proves_the_model_on_its_own_frames_and_stores_the_sheet(equipot, tiny, tmp_path):
    model = shutil.copy(tiny.model, tmp_path / "model.equipot")
    said = equipot(f"verify {model} --quick")
    assert said.code == 0
    assert "equivariance" in said.out and "1 given frame" in " ".join(said.out.split())
    assert "proof sheet" in equipot(f"info {model}").out


def test_verify_holds_the_engines_against_the_reference(equipot, tiny, tmp_path):
    model = shutil.copy(tiny.model, tmp_path / "model.equipot")
    said = equipot(f"verify {model} --quick --engine ase")
    assert said.code == 0, said.err
    assert "engines='ase'" in said.out
    assert "ase = reference: NVE steps" in [proof.name for proof in api.load(model).document.proofs]
    said = equipot(f"verify {model} --quick --engine gromacs")
    assert said.code == 2 and "no engine 'gromacs'" in said.err


@pytest.mark.slow
def test_an_engine_that_is_not_there_is_not_passed(equipot, tiny, monkeypatch):
    absent = replace(ENGINES["openmm"], package="not-installed-anywhere")
    monkeypatch.setitem(ENGINES, "openmm", absent)
    monkeypatch.setattr(api.model, "chosen", lambda names: ("ase",))
    said = equipot(f"verify {tiny.model} --quick --no-store --json --engine all")
    assert said.code == 0
    assert all("openmm" not in proof["name"] for proof in json.loads(said.out))
    assert "engine openmm: not installed, not proved. Install it with pip" in said.err
    assert "pip install 'equipot[openmm]'" in json.loads(equipot("doctor --json").out)["engine openmm"]


def test_a_failed_proof_ends_with_3(equipot, tiny, monkeypatch):
    failed = (Proof(name="parity", value=1.0, limit=1e-10, passed=False),)
    monkeypatch.setattr(api.model, "verify", lambda *_, **__: failed)
    said = equipot(f"verify {tiny.model} --no-store")
    assert said.code == 3
    assert "FAILED" in said.out


def test_md_goes_on_and_says_when_it_is_finished(equipot, tiny):
    options = f"--time 0.3 --equilibrate 0.01 --temperature 50 --out {tiny.dynamics}"
    said = equipot(f"md {tiny.model} {tiny.start} {LIMITS} {options}")
    assert said.code == 0
    assert "finished" in said.out
    assert "mean temperature" in said.out and "meV/atom/ps" in said.out
    assert len(read(tiny.dynamics / "trajectory-000.extxyz", ":")) == 151


def test_info_of_a_run(equipot, tiny):
    said = equipot(f"info {tiny.dynamics}")
    assert said.code == 0, said.err
    assert "finished" in said.out and "151 frames of 1 replica, 0.3 ps" in said.out
    assert json.loads(equipot(f"info {tiny.dynamics} --json").out)["frames"] == 151


@pytest.mark.slow
def test_a_run_in_hdf5_gives_a_spectrum(equipot, tiny):
    options = "--time 0.2 --equilibrate 0 --temperature 50 --out h5 trajectory=hdf5"
    assert equipot(f"md {tiny.model} {tiny.start} {LIMITS} {options}").code == 0
    assert "101 frames" in equipot("info h5").out
    said = equipot("spectrum h5 --power --out spectra")
    assert said.code == 0, said.err
    assert str(api.first_structure("h5").symbols) == "OH2"


def test_spectrum_beside_a_measured_one_with_heavy_hydrogen(equipot, tiny, tmp_path):
    (tmp_path / "water.csv").write_text(
        "wavenumber_cm-1,absorbance\n" + "".join(f"{x},{1 + x % 7}\n" for x in range(400, 4001, 5))
    )
    line = f"spectrum {tiny.dynamics} --ir --reference water.csv --range 500:3900 --broaden 20 --out {tmp_path / 'out'}"
    said = equipot(line)
    assert said.code == 0
    assert "water.csv, absorbance, 500 to 3900" in said.out and "Pearson" in said.out and "W1" in said.out
    found = json.loads(equipot(f"{line} --json").out)["comparison"]["ir"]
    assert found["low"] == 500 and found["broadening_cm-1"] == 20
    assert equipot(f"{line} --range 3900:500").code == 2
    refused = equipot(f"spectrum {tiny.dynamics} --mass H=D")
    assert refused.code == 2 and "need --model" in refused.out + refused.err


@pytest.mark.slow
def test_md_of_an_isotope(equipot, tiny, tmp_path):
    out = tmp_path / "heavy"
    said = equipot(f"md {tiny.run / 'model.equipot'} {tiny.data} {LIMITS} --time 0.01 --mass H=D --out {out}")
    assert said.code == 0
    assert json.loads((out / "md.json").read_text())["masses"][1] == pytest.approx(2.0141, abs=1e-4)


def test_spectrum_leaves_figures_and_numbers(equipot, tiny, tmp_path):
    said = equipot(f"spectrum {tiny.dynamics} --ir --power --out {tmp_path}")
    assert said.code == 0
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{kind}.{suffix}" for kind in ("ir", "power") for suffix in ("csv", "json", "png")
    } | {"report.html"}
    assert "kinds=('ir', 'power')" in said.out


def test_spectra_of_two_runs_in_one_figure(equipot, tiny, tmp_path):
    said = equipot(f"spectrum {tiny.dynamics} --power --beside {tiny.dynamics} --out {tmp_path}")
    assert said.code == 0, said.err
    assert f"equipot.spectrum_beside('{tiny.dynamics}', ['{tiny.dynamics}'], kinds=('power',))" in said.out
    kept = json.loads((tmp_path / "power.json").read_text())["beside"][0]
    assert kept["run"].endswith("(classical)") and all(row["shift_cm-1"] == 0 for row in kept["shifts"])
    missing = equipot(f"spectrum {tiny.dynamics} --beside {tmp_path / 'no'} --out {tmp_path}")
    assert missing.code == 2 and "md.json: no such file" in missing.err


def test_info_needs_no_weights(equipot, tiny):
    said = equipot(f"info {tiny.model}")
    assert said.code == 0
    assert all(word in said.out for word in ("painn", "H, O", "polarizability", "@inproceedings"))
    assert "least squares for H, O, condition number infinite" in said.out
    assert json.loads(equipot(f"info {tiny.model} --json").out)["precision"] == "float32"


def test_doctor(equipot):
    assert "PyTorch" in equipot("doctor").out
    found = json.loads(equipot("doctor --json").out)
    assert found["equipot"] == package.__version__
    assert found["engine ase"].startswith(version("ase"))


@pytest.mark.slow
def test_info_says_what_a_size_will_cost(equipot, tiny):
    said = equipot(f"info {tiny.model} --atoms 5000")
    assert said.code == 0 and "5,000" in said.out and "memory" in said.out
    found = json.loads(equipot(f"info {tiny.model} --atoms 5000 --neighbors 7 --json").out)
    assert found["neighbors"] == 7 and found["seconds"] > 0 and found["bytes"] > 5000
    assert equipot(f"info {tiny.model} --atoms 0").code == 2


@pytest.mark.parametrize("line", ["train {data} --dry-run", "evaluate {model} {data}", "info {model}"])
def test_lines_are_not_broken_by_the_width_of_the_terminal(equipot, tiny, line):
    said = equipot(line.format(data=tiny.data, model=tiny.model))
    assert str(tiny.data if "data" in line else tiny.model) in said.out


def test_the_same_nouns_in_python(tiny, tmp_path):
    assert len(package.read(tiny.data)) == 20
    model = package.load(tiny.model)
    assert "painn" in repr(model)
    assert set(model.evaluate(tiny.data)) == {"energy", "forces", "dipole", "polarizability"}
    again = package.load(model.save(tmp_path / "kept" / "copy.equipot"))
    assert again.document == model.document
    atoms = package.read(tiny.start)[0].atoms()
    atoms.calc = model.calculator()
    assert atoms.get_forces().shape == (3, 3)
    assert atoms.get_dipole_moment().shape == (3,)
    assert atoms.calc.get_property("polarizability", atoms).shape == (3, 3)
    assert package.spectrum(tiny.dynamics, kinds=["power"])["power"].unit


def test_train_is_a_verb_also_after_its_package_was_imported(tmp_path):
    import equipot.train.loop  # noqa: F401  (binds the name to the package)

    with pytest.raises(ValueError, match="Did you mean 'epochs'"):
        package.train({"data": {"train": "x.xyz"}, "train": {"epoch": 1}}, tmp_path / "run")


@pytest.mark.slow
def test_fine_tuning_says_what_was_learned_and_forgotten(equipot, tiny, tmp_path):
    recipe = "train.epochs=1 train.batch=4 data.valid=4"
    start = f"start={tiny.model} start.freeze=[model.messages.0] start.old={tiny.data}"
    said = equipot(f"train {tiny.data} {start} {recipe} --out child")
    assert said.code == 0, said.err
    assert (
        f"start={{'model': '{tiny.model}', 'freeze': ['model.messages.0'], 'old': '{tiny.data}'}}" in said.out
    )
    assert "Reference energies by least squares" in said.out
    forgotten = said.out.split("what was forgotten: ")[1]
    assert forgotten.startswith(
        "mean absolute errors on 4 frames, the test part of the parent's data, water.xyz"
    )
    assert all(word in forgotten for word in ("before", "after", "relative energy", "meV/Å"))
    page = (tmp_path / "child" / "report.html").read_text(encoding="utf-8")
    assert '<section id="forgotten">' in page and "after / before" in page
    shown = equipot("info child/model.equipot").out
    assert "started from" in shown and "what was forgotten" in shown
    assert "forgotten" not in equipot(f"info {tiny.model}").out


def test_a_preview_of_fine_tuning_shows_what_is_taken_over(equipot, tiny):
    said = equipot(f"train {tiny.data} start={tiny.model} --dry-run")
    values = yaml.safe_load(said.out)
    assert values["model"]["channels"] == 8 and values["start"]["references"] == "refit"
    assert f"# targets: those of {tiny.model} for which {tiny.data} has labels" in said.out
    assert "start.freeze: list of text" in equipot("train --explain start").out
