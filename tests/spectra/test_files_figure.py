import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from equipot.spectra.figure import figure, plotly_figure
from equipot.spectra.files import read_harmonic, write_harmonic
from equipot.spectra.spectrum import spectrum
from spectra import bent


@pytest.fixture(scope="module")
def found(cold):
    return spectrum(cold, harmonic=bent.modes())


def test_csv_and_json_carry_the_same_numbers_and_the_header(found, tmp_path):
    paths = found.write(tmp_path / "out")
    assert {p.name for p in paths} == {f"{k}.{s}" for k in found.kinds for s in ("csv", "json", "png")}
    assert all(p.stat().st_size > 1000 for p in paths)
    assert not list((tmp_path / "out").glob("*.part"))
    text = (tmp_path / "out" / "raman.csv").read_text().splitlines()
    header = dict(line[2:].split(": ", 1) for line in text if line.startswith("# ") and "note" not in line)
    assert header["unit"] == "A^4/amu per cm-1"
    assert header["window"] == "hann" and header["frame"] == "lab" and header["quantum"] == "harmonic"
    rows = list(csv.reader(line for line in text if not line.startswith("#")))
    assert rows[0][:3] == ["wavenumber_cm-1", "value [A^4/amu per cm-1]", "stderr"]
    document = json.loads((tmp_path / "out" / "raman.json").read_text())
    assert_allclose([float(r[1]) for r in rows[1:]], document["value"])
    assert_allclose(document["value"], found["raman"].value, rtol=1e-8)
    column = rows[0].index("depolarization")
    assert "" in [r[column] for r in rows[1:]]  # a gap where masked, not a zero
    assert None in document["components"]["depolarization"]
    assert len(document["matches"]) >= 3
    assert document["header"]["degrees_expected"] == 3


def test_harmonic_round_trip_and_strange_files(tmp_path):
    modes = bent.modes()
    write_harmonic(modes, tmp_path / "h.json")
    back = read_harmonic(tmp_path / "h.json")
    assert_allclose(back.modes, modes.modes)
    assert_allclose(back.activity(), modes.activity())
    for content in ("{", "[]", '{"x": 1}', "{}"):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(ValueError, match="not a harmonic analysis"):
            read_harmonic(tmp_path / "bad.json")


def test_static_figure_has_a_panel_and_a_strip_for_every_kind(found):
    drawn = figure(found)
    axes = drawn.get_axes()
    assert len(axes) == 6
    assert axes[1].get_xlim() == (4500.0, 400.0)  # infrared runs down, here from above the line at 4135
    assert axes[3].get_xlim() == (0.0, 4500.0)
    assert "km mol⁻¹" in axes[0].get_ylabel()
    assert axes[1].yaxis_inverted()  # sticks hang below
    drawn.canvas.draw()


@pytest.mark.parametrize("normalize", ["area", "max"])
def test_normalized_figures_say_arbitrary_units(found, normalize):
    assert "arb. units" in figure(found, kinds=("ir",), normalize=normalize).get_axes()[0].get_ylabel()
    with pytest.raises(ValueError, match="Known: area, max"):
        figure(found, normalize="sum")


def test_interactive_figure(found):
    drawn = plotly_figure(found, "raman", overlay={"another": (np.array([0.0, 4000.0]), np.ones(2))})
    names = [t.name for t in drawn.data]
    assert {"dynamics", "isotropic", "parallel", "another", "harmonic"} <= set(names)
    assert "depolarization" not in names
    assert list(plotly_figure(found, "ir").layout.xaxis.range) == [4500.0, 400.0]
    json.loads(found.plotly("power").to_json())


def test_figure_without_sticks(cold):
    bare = spectrum(cold, kinds=("ir",))
    assert len(bare.figure().get_axes()) == 1
    assert "harmonic" not in [t.name for t in bare.plotly("ir").data]
    with pytest.raises(ValueError, match="'raman' was not computed"):
        bare["raman"]


def test_lines_of_a_reference_method_are_drawn_kept_and_matched(cold, tmp_path):
    modes = bent.modes()
    reference = replace(modes.scaled(1.01), source="another level")
    found = spectrum(cold, kinds=("ir",), harmonic=modes, reference=reference)
    both = [m.harmonic for m in found["ir"].matches if m.peak is not None]
    assert_allclose(both, 1.01 * modes.wavenumbers[modes.infrared > 1], rtol=1e-3)
    names = [t.name for t in found.plotly("ir").data]
    assert "harmonic" in names and "harmonic reference, another level" in names
    legend = found.figure().get_axes()[1].get_legend()
    assert [t.get_text() for t in legend.get_texts()] == ["harmonic", "harmonic reference, another level"]
    found.write(tmp_path)
    kept = json.loads((tmp_path / "ir.json").read_text())
    assert kept["reference"]["source"] == "another level"
    assert_allclose(
        kept["reference"]["wavenumber_cm-1"], 1.01 * np.array(kept["harmonic"]["wavenumber_cm-1"])
    )
