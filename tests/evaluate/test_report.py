"""The report: what it says of a model, and that one file holds everything."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from equipot import api
from equipot.config import read_yaml
from equipot.data.frame import Frame
from equipot.data.statistics import measure
from equipot.deploy.document import Proof
from equipot.deploy.model_file import describe, save
from equipot.evaluate.metrics import Comparison
from equipot.evaluate.readable import duration, number
from equipot.evaluate.report import verdict, write_report, write_simulation_report
from equipot.evaluate.report.material import gather
from equipot.evaluate.report.page import Drawing, Section, csv, drawings, page
from equipot.evaluate.report.physics import stretchable
from equipot.evaluate.report.relative import above_references, r_squared, relative_error
from equipot.evaluate.report.worst import bonds, per_frame
from equipot.potential import Potential, PotentialConfig
from equipot.spectra.spectrum import spectrum
from equipot.train.dataset import load as load_data
from evaluate import reported
from spectra import bent


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return reported.train(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def material(run):
    return gather(run, None, None, None)


def comparison(label, predicted, frame=None, **changes):
    label, predicted = (np.asarray(x, dtype=float).reshape(len(label), -1) for x in (label, predicted))
    frame = np.arange(len(label)) if frame is None else np.asarray(frame)
    values = {"atoms": np.full(len(label), 3), "element": None, "unit": "eV"} | changes
    return Comparison(label=label, predicted=predicted, frame=frame, **values)


def sections(text: str) -> str:
    return " ".join(re.findall(r'<section id="(\w+)">', text))


def test_a_report_has_every_section_that_there_is_material_for(run, tmp_path):
    path = write_report(run, dynamics=reported.dynamics(tmp_path / "md"))
    text = path.read_text(encoding="utf-8")
    assert sections(text) == "verdict provenance data learning parity worst proofs physics dynamics cost use"
    assert path == run / "report.html" and path.stat().st_size < 12e6
    document = text.replace(re.search(r"<script>.*?</script>", text, re.DOTALL).group(), "")
    assert "://" not in re.sub(r"<pre>.*?</pre>", "", document, flags=re.DOTALL)
    assert "hot</script><b>" not in document  # a group named by someone who likes to break pages
    assert document.count("data-plot=") == document.count("data-csv=") >= 9


def test_errors_of_a_report_are_those_of_the_model_file(run, material):
    stored = material.document.metrics["test"]
    for name, errors in material.judged.items():
        assert errors.errors.mae == pytest.approx(stored[name]["mae"], rel=1e-10)
    assert material.part == "test"


def test_without_its_data_a_report_says_so_and_shows_the_rest(run, tmp_path, monkeypatch):
    hidden = tmp_path / "run"
    hidden.mkdir()
    for name in ("model.equipot", "log.jsonl", "config.yaml"):
        (hidden / name).write_bytes((run / name).read_bytes())
    config = read_yaml(hidden / "config.yaml")
    gone = (hidden / "config.yaml").read_text().replace(config["data"]["train"], "gone.xyz")
    (hidden / "config.yaml").write_text(gone)
    text = write_report(hidden).read_text(encoding="utf-8")
    assert "The data of this run cannot be read here" in text and "gone.xyz" in text
    assert re.findall(r'<section id="(\w+)">', text) == [
        "verdict",
        "provenance",
        "learning",
        "proofs",
        "cost",
        "use",
    ]


def test_a_model_without_energy_and_without_a_test_set_is_reported_too(run, tmp_path):
    data = read_yaml(run / "config.yaml")["data"]["train"]
    settings = {
        "data": {"train": data, "valid": 6},
        "model": {"name": "schnet", "channels": 4, "num_layers": 1, "num_radial": 4, "cutoff": 3.0},
        "targets": {"energy": None, "dipole": {}, "total_charge": 0},
    }
    config = api.run_config(settings)
    frames = load_data(config.data, config.targets).train
    statistics = measure(frames, config.model.cutoff, config.targets)
    potential = Potential(PotentialConfig(model=config.model, targets=config.targets), statistics)
    document = describe(potential, frames, run=config.model_dump(mode="json"))
    save(tmp_path / "model.equipot", potential, document)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert sections(text) == "verdict provenance data parity worst proofs cost use"
    assert "there is no test set" in text and "equipot md" not in text and "most wrong in force" not in text


def test_data_that_changed_since_the_training_is_named(run, tmp_path):
    changed = tmp_path / "run"
    changed.mkdir()
    for name in ("model.equipot", "config.yaml"):
        (changed / name).write_bytes((run / name).read_bytes())
    data = read_yaml(run / "config.yaml")["data"]["train"]
    lines = Path(data).read_text(encoding="utf-8").replace("cold", "cool")
    (tmp_path / "water.xyz").write_text(lines, encoding="utf-8")
    config = (changed / "config.yaml").read_text().replace(data, str(tmp_path / "water.xyz"))
    (changed / "config.yaml").write_text(config)
    assert gather(changed, None, None, None).notes == (
        "water.xyz has changed since the training: predictions shown here are of the present file.",
    )


@pytest.mark.parametrize(("error", "level"), [(0.05, "green"), (0.2, "amber"), (0.4, "red"), (np.nan, "red")])
def test_the_verdict_follows_the_error_over_the_spread(material, error, level):
    label = np.tile([-1.0, 1.0], 50)
    made = comparison(label, label + error * np.tile([1, 1, -1, -1], 25))
    found = verdict.checks(replace(material, evaluations={"test": {"energy": made}}))
    assert verdict.overall(found) == level
    assert found[0].name == "RMS error of energy, test set" or level == "green"


def test_the_verdict_is_red_for_a_failed_proof_and_amber_without_any(material):
    exact = comparison([0.0, 1.0], [0.0, 1.0])
    good = replace(material, evaluations={"test": {"energy": exact}})
    failed = Proof(name="parity", value=0.1, limit=1e-10, passed=False)
    for proofs, level, words in (
        ((failed,), "red", "the proof of parity failed"),
        ((), "amber", "no proofs yet"),
    ):
        judged = replace(good, document=good.document.model_copy(update={"proofs": proofs}))
        assert verdict.overall(verdict.checks(judged)) == level
        assert words in "".join(verdict.section(judged).parts)


def test_the_verdict_sees_overfitting_drift_and_dynamics_that_stopped(material, tmp_path):
    exact, wrong = (comparison([0.0, 100.0], [x, 100.0]) for x in (0.1, 0.2))
    overfitted = replace(material, evaluations={"valid": {"energy": exact}, "test": {"energy": wrong}})
    assert next(c.level for c in verdict.checks(overfitted)) == "amber"
    moved = replace(material, dynamics=reported.dynamics(tmp_path / "a", drift=0.1))
    assert next(c.name for c in verdict.checks(moved)) == "energy drift in dynamics"
    stopped = replace(material, dynamics=reported.dynamics(tmp_path / "b", status="running"))
    assert next(c.shown for c in verdict.checks(stopped)) == "not finished"


def test_relative_errors_take_each_component_about_its_own_mean():
    label = np.array([[10.0, 0.0], [12.0, 0.0], [10.0, 2.0], [12.0, 2.0]])
    made = comparison(label, label + 0.5)
    assert relative_error(made) == pytest.approx(0.5)
    assert r_squared(made) == pytest.approx(0.75)
    assert relative_error(comparison([1.0, 1.0], [1.0, 2.0])) is None


def test_reference_energies_leave_the_errors_alone(material):
    frames = material.frames
    total = comparison([-100.0] * len(frames), np.linspace(-101, -99, len(frames)))
    shifted = above_references({"energy": total}, frames, material.document.statistics)["energy"]
    np.testing.assert_allclose(shifted.predicted - shifted.label, total.predicted - total.label)
    statistics = material.document.statistics
    zero = sum(
        dict(zip(statistics.elements, statistics.constant_energies, strict=True))[z] for z in (8, 1, 1)
    )
    np.testing.assert_allclose(shifted.label, -100 - zero)


def test_the_report_says_where_reference_energies_come_from(run):
    """All molecules of one composition: nothing determines the energies of H and O apart."""
    text = write_report(run).read_text(encoding="utf-8")
    assert "least squares for H, O, condition number infinite" in text
    assert "no isolated-atom energy for H, O: least squares on the compositions gives" in text
    assert "Fix: data.isolated_atoms=FILE, or data.reference_energies={H: ENERGY, O: ENERGY} in eV" in text


def test_the_worst_frame_is_that_of_largest_rms_error():
    made = comparison(np.zeros((4, 3)), [[0, 0, 0], [3, 0, 0], [1, 1, 1], [1, 1, 1]], frame=[0, 0, 2, 2])
    np.testing.assert_allclose(per_frame(made, 3), [np.sqrt(1.5), np.nan, 1.0])


def test_bonds_and_what_moves_when_one_is_stretched():
    positions = np.array([[0, 0, 0], [1.1, 0, 0], [2.6, 0, 0], [3.7, 0, 0]], dtype=float)
    frame = Frame(
        numbers=np.array([1, 6, 6, 1]), positions=positions, cell=np.zeros((3, 3)), pbc=np.zeros(3, bool)
    )
    i, j = bonds(frame)
    assert sorted(sorted(pair) for pair in zip(i.tolist(), j.tolist(), strict=True)) == [
        [0, 1],
        [1, 2],
        [2, 3],
    ]
    found = stretchable(frame)
    assert set(found) == {"C–H", "C–C"}
    a, b, moving = found["C–C"]
    assert moving.sum() == 2 and moving[b] and not moving[a]


def test_a_bond_of_a_ring_is_not_stretched():
    angle = 2 * np.pi * np.arange(6) / 6
    ring = 1.4 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    frame = Frame(numbers=np.full(6, 6), positions=ring, cell=np.zeros((3, 3)), pbc=np.zeros(3, bool))
    assert stretchable(frame) == {}


def test_csv_keeps_columns_of_any_length_and_quotes_what_needs_it():
    text = csv({"x (Å)": np.array([0.1, np.nan]), 'a "name"': ["b,c"]})
    assert text == 'x (Å),"a ""name"""\n0.1,"b,c"\n,\n'


def test_nothing_in_a_figure_can_end_its_block():
    plot = go.Figure(
        go.Scatter(x=[1], y=[2], name="</script><script>alert(1)</script>"), layout={"height": 300}
    )
    part = drawings([Drawing(name="bad", caption="", plot=plot, data={"</script>": [1]})])
    assert part.count("</script>") == 2  # the ends of its own two blocks
    blocks = re.findall(r'<script type="application/json" id="[^"]+">(.*?)</script>', part, re.DOTALL)
    assert json.loads(blocks[0])["data"][0]["name"].startswith("</script>")
    assert json.loads(blocks[1]) == "</script>\n1\n"
    text = page("<i>", [Section("a", "A & B", [part])])
    assert "<title>&lt;i&gt;</title>" in text and "A &amp; B" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1129.3, "1130"),
        (0.02237, "0.0224"),
        (85.06, "85.1"),
        (3e-7, "3.00e-07"),
        (0.0, "0.00"),
        (np.inf, "not finite"),
    ],
)
def test_numbers_are_printed_without_exponents_where_they_can_be_read(value, shown):
    assert number(value) == shown


def test_times_are_printed_in_their_natural_unit():
    assert [duration(x) for x in (59.0, 600.0, 9000.0, 1e6)] == ["59 s", "10.0 min", "2.5 h", "11.6 days"]


def test_a_report_of_a_simulation_judges_its_dynamics_and_shows_the_proofs(tmp_path):
    run = reported.dynamics(tmp_path / "md", drift=1e-3)
    found = spectrum(bent.trajectory(50.0, replicas=2, steps=4000), kinds=("ir",))
    proof = Proof(name="engine lammps", value=1e-12, limit=1e-6, passed=True, detail="1 frame")
    out = write_simulation_report(run, found, tmp_path / "report.html", "equipot.spectrum('md')", [proof])
    text = out.read_text(encoding="utf-8")
    assert sections(text) == "verdict spectra dynamics proofs again"
    assert "H2O at 300 K: infrared spectra" in text and "Amber: usable with care." in text
    assert "energy in dynamics drifts by 1.0 meV/atom/ps" in text and "engine lammps" in text
    assert "equipot.spectrum(&#x27;md&#x27;)" in text


def test_the_account_of_ring_polymers_is_shown_and_not_judged_as_energy(tmp_path):
    run = reported.dynamics(tmp_path / "md", drift=1.0)
    header = json.loads((run / "md.json").read_text())
    (run / "md.json").write_text(json.dumps({**header, "ring": {"beads": 8, "method": "trpmd"}}))
    found = spectrum(bent.trajectory(50.0, replicas=2, steps=4000), kinds=("power",))
    text = write_simulation_report(run, found, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "conserved quantity, per bead: drift" in text and "energy in dynamics drifts" not in text
    assert sections(text) == "verdict spectra dynamics"
