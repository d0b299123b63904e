"""The user's mistakes, end to end: one message with what, where, evidence and fix; exit code 2; nothing left behind."""

import json
import pickle
import struct
from pathlib import Path

import pytest

from cli.tiny import LIMITS, SETTINGS
from equipot import api
from equipot.cli import screen
from equipot.train.loop import Interrupted

CHLORINE = "2\nProperties=species:S:1:pos:R:3 energy=-1.0\nCl 0 0 0\nH 0 0 1.3\n"
FEW_LABELS = "2\nProperties=species:S:1:pos:R:3 energy=-1.0\nO 0 0 0\nH 0 0 1.0\n"


def refused(said, *words: str) -> str:
    """Exit code 2 and a message on standard error that holds the words."""
    assert said.code == 2, said.err
    assert said.err.startswith("equipot: ")
    for word in words:
        assert word in said.err, said.err
    return said.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("frobnicate", ("No such command 'frobnicate'", "--help")),
        ("md m.equipot s.xyz --tme 3", ("No such option: --tme", "--time")),
        ("md m.equipot s.xyz --time soon", ("--time", "valid number", ". See --help.")),
        ("inspect nothing.xyz", ("nothing.xyz: no such file",)),
        ("train nothing.yaml", ("nothing.yaml: no such file",)),
        ("train {folder}", ("is a folder",)),
        ("evaluate nothing.equipot {data}", ("nothing.equipot: no such file", "NAME.equipot")),
        ("evaluate {run} {data}", ("is a folder", "Did you mean {model}?")),
        ("info {data}", ("found a text file", "NAME.equipot")),
        ("spectrum {run}", ("md.json: no such file", "equipot md")),
        ("evaluate {model} {data} --key energy", ("--key 'energy'", "energy=REF_energy")),
        (
            "evaluate {model} {data} --key energy=REF",
            ("no 'REF' (keys.energy)", "It has", "forces: 3 numbers"),
        ),
        ("inspect {data} --unit energy=kcl/mol", ("'kcl/mol'", "Did you mean 'kcal/mol'?")),
        ("inspect {data} --key enrgy=E", ("keys.enrgy", "Did you mean 'energy'?")),
        ("train {data} train.epoch=3", ("unknown key 'train.epoch'", "Did you mean 'epochs'?")),
        ("train {data} model.channel=3", ("unknown key 'model.channel'", "Did you mean 'channels'?")),
        ("train {data} trian.epochs=3", ("unknown key 'trian'", "Did you mean 'train'?")),
        ("train {data} train.epochs", ("'train.epochs'", "expected key=value")),
        ("train {data} train.batch=[1", ("train.batch=[1", "not valid YAML")),
        ("train {data} train.batch=foo", ("train.batch = 'foo'", "integer", "Or:", "'auto'")),
        ("train {data} model.name=pain", ("model.name = 'pain'", "Did you mean 'painn'?")),
        ("train {data} model.cutoff=-3", ("model.cutoff = -3", "greater than 0")),
        ("train {data} train.budget=10parsec", ("'10parsec'", '"10min"')),
        ("train {data} targets.energy.stress=true", ("no stress found", "targets.energy.stress=false")),
        ("train {data} targets.charges={{}}", ("no charges found", "keys.charges=NAME")),
        ("train {data} targets.dipole={{}}", ("frame 0: no total charge", "targets.total_charge=0")),
        ("train {data} data.keys.forces=REF_forces", ("no 'REF_forces'", "Did you mean 'forces'?")),
        ("train {data} data.valid=40", ("40", "validation")),
        ("train {data} data.valid=nothing.xyz", ("nothing.xyz: no such file",)),
        ("md {model} nothing.xyz", ("nothing.xyz: no such file",)),
        ("md {model} {start} frction=0.1", ("unknown key 'frction'", "Did you mean 'friction'?")),
        ("md {model} {start} --ensemble npt", ("engine ase has no ensemble npt", "bussi", "openmm")),
        ("md {model} {start} --dt 5", ("too long for hydrogen", "force_long_step")),
        ("md {model} {start} --time 9 --out {dynamics}", ("holds another run", "time = 0.3 there, 9.0 now")),
        ("spectrum {dynamics} --resolution 1", ("resolution 1 cm⁻¹", "Run at least", "or ask for")),
        ("spectrum {dynamics} --window hamn", ("'hamn'", "Did you mean 'hann'?")),
        ("spectrum {dynamics} --quantum bohr", ("'bohr'", "harmonic")),
    ],
)
def test_mistakes_end_in_a_message(equipot, tiny, tmp_path, line, words):
    places = {
        "folder": tiny.run.parent, "run": tiny.run, "data": tiny.data, "model": tiny.model,
        "start": tiny.start, "dynamics": tiny.dynamics,
    }  # fmt: skip
    refused(
        equipot(line.format(**places)), *(word.format(**places) if "{" in word else word for word in words)
    )
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_that_is_not_yaml(equipot, tmp_path):
    (tmp_path / "config.yaml").write_text("data: [1, 2\n  train")
    refused(equipot("train config.yaml"), "config.yaml: not valid YAML", "line")


def test_a_configuration_without_data(equipot, tmp_path):
    (tmp_path / "config.yaml").write_text("train: {epochs: 3}\n")
    refused(equipot("train config.yaml"), "config.yaml: 'data' is missing")


def test_an_element_that_the_model_does_not_know(equipot, tiny, tmp_path):
    (tmp_path / "salt.xyz").write_text(CHLORINE)
    for line in (
        f"evaluate {tiny.model} salt.xyz",
        f"md {tiny.model} salt.xyz",
        f"verify {tiny.model} salt.xyz",
    ):
        refused(
            equipot(line), "salt.xyz, frame 0: no parameters for Cl (17), atom 0", "This model knows H, O"
        )
    assert [p.name for p in tmp_path.iterdir()] == ["salt.xyz"]


def test_a_label_that_is_missing(equipot, tmp_path):
    (tmp_path / "few.xyz").write_text(FEW_LABELS)
    refused(equipot("train few.xyz"), "no forces found", "keys.forces=NAME", "targets.energy.forces=false")


def test_the_stress_of_a_molecule(tiny):
    atoms = api.read(tiny.start)[0].atoms()
    atoms.calc = api.load(tiny.model).calculator()
    with pytest.raises(Exception, match="periodic in three directions"):
        atoms.get_stress()


def test_model_files_that_are_not_whole(equipot, tiny, tmp_path):
    content = tiny.model.read_bytes()
    flipped = bytearray(content)
    flipped[-10] ^= 0xFF
    cases = {
        "short": (content[:3000], "cut"),
        "pickled": (pickle.dumps({"weights": [1.0]}), "a pickle"),
        "flipped": (bytes(flipped), "checksum"),
        "newer": (_newer(content), "newer"),
        "empty": (b"", "empty"),
    }
    for name, (data, word) in cases.items():
        path = tmp_path / f"{name}.equipot"
        path.write_bytes(data)
        for command in (f"evaluate {path} {tiny.data}", f"md {path} {tiny.start}"):
            refused(equipot(command), str(path), word)


def _newer(content: bytes) -> bytes:
    """The same file with the format version of a later equipot, its own checksum left as it was."""
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    name = next(k for k, v in header["__metadata__"].items() if "format_version" in v)
    text = header["__metadata__"][name].replace('"format_version":1', '"format_version":99')
    header["__metadata__"][name] = text
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw + content[8 + size :]


def test_a_folder_of_another_run(equipot, tiny):
    line = f"train {tiny.data} {SETTINGS} train.epochs=99 --out {tiny.run}"
    refused(
        equipot(line), "holds a run with another configuration", "train.epochs: 20 there, 99 now", "--out"
    )


def test_a_mistake_can_be_mended_in_the_same_folder(equipot, tiny):
    line = f"train {tiny.data} {SETTINGS.replace('targets.total_charge=0', '')} train.epochs=1 --out run"
    refused(equipot(line), "total charge")
    assert equipot(f"{line} targets.total_charge=0 --quiet").code == 0


@pytest.mark.slow
def test_a_spectrum_that_the_run_cannot_give(equipot, tiny, tmp_path):
    bare = tmp_path / "run"
    assert (
        equipot(f"train {tiny.data} model.channels=4 model.num_layers=1 train.epochs=1 --out {bare} -q").code
        == 0
    )
    line = (
        f"md {bare / 'model.equipot'} {tiny.start} {LIMITS} --time 0.15 --equilibrate 0 --temperature 20 -q"
    )
    assert equipot(line).code == 0
    refused(equipot("spectrum md --ir"), "no ir spectrum", "no dipole", "target 'dipole'")
    said = equipot("spectrum md")
    assert said.code == 0
    assert "no ir spectrum" in said.out and "power.png" in said.out


def test_dynamics_that_blows_up_keeps_its_last_frames(equipot, tiny, tmp_path):
    line = f"md {tiny.model} {tiny.start} --temperature 300 max_temperature=1 --time 0.1"
    refused(equipot(line), "stopped at step", "stopped.extxyz", "atom")
    assert (tmp_path / "md" / "stopped.extxyz").exists()


def test_our_own_faults_leave_a_traceback_in_a_file(equipot, tiny, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise KeyError("oops")

    monkeypatch.setattr(api, "load", broken)
    said = equipot(f"evaluate {tiny.model} {tiny.data}")
    assert said.code == 1
    assert "this is our fault: KeyError" in said.err and "error.log" in said.err
    assert "Traceback" in (tmp_path / "error.log").read_text()


def test_interrupted_training_says_how_to_go_on(equipot, tiny, monkeypatch):
    def stop(*_, **__):
        raise Interrupted

    monkeypatch.setattr(api, "train", stop)
    said = equipot(f"train {tiny.data} train.epochs=3 --out run")
    assert said.code == 130
    assert f"equipot train {tiny.data} train.epochs=3 --out run" in said.out


def test_interrupted_dynamics_says_how_to_go_on(equipot, tiny, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "md", stop)
    said = equipot(f"md {tiny.model} {tiny.start} --out here")
    assert said.code == 130
    assert "The same command goes on" in said.out and "here" in said.out


def test_interrupting_anything_else_is_no_fault(equipot, tiny, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "load", stop)
    said = equipot(f"verify {tiny.model}")
    assert (said.code, said.err) == (130, "equipot: stopped.\n")


def test_the_python_line_can_be_pasted():
    assert (
        screen.call("f", Path("a b.xyz"), keys={}, units={"energy": "Ha"})
        == "f('a b.xyz', units={'energy': 'Ha'})"
    )
