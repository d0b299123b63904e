"""Spectra of two runs in one figure: a slower clock shifts every line by what it is slower."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from equipot.spectra.beside import spectrum_beside, with_beside
from equipot.spectra.rings import Rings
from equipot.spectra.spectrum import spectrum
from spectra import bent


@pytest.fixture(scope="module")
def runs():
    """A run and a shorter one, in which time goes slower by a hundredth."""
    slow = bent.trajectory(0.5, replicas=8, steps=6_000)
    slow = replace(slow, source="runs/slow", step=1.01 * slow.step)
    return bent.trajectory(0.5, replicas=8, steps=12_000, source="runs/light"), slow


def test_both_have_the_coarser_resolution_and_the_shift_is_that_of_the_clock(runs):
    light, slow = runs
    alone = [spectrum(run, step_correction=False) for run in runs]
    found = spectrum_beside(light, [slow], step_correction=False)
    assert alone[0].header.resolution < alone[1].header.resolution
    assert found.header.resolution == pytest.approx(alone[1].header.resolution, rel=0.02)
    for kind, one in found.kinds.items():
        (other,) = one.beside
        assert one.run == "light (classical)" and other.name == "slow (classical)"
        assert other.spectrum.kind == kind and other.spectrum.unit == one.unit
        strong = [s for s in other.shifts if s.peak.height > 0.05 * one.value[np.isfinite(one.value)].max()]
        assert len(strong) >= 2
        for row in strong:
            assert_allclose(row.shift, 0.01 * row.other.position, atol=4.0)


def test_a_ring_polymer_is_named_by_its_beads(runs):
    ring = replace(runs[1], rings=Rings(beads=16, method="trpmd", damping=0.5))
    found = spectrum_beside(runs[0], [ring], kinds=("ir",))
    assert found["ir"].beside[0].name == "slow (T-RPMD, 16 beads)"


def test_figures_and_files_hold_the_other_run(runs, tmp_path):
    found = spectrum_beside(runs[0], [runs[1]], kinds=("ir",), harmonic=bent.modes())
    names = [trace.name for trace in found.plotly("ir").data]
    assert {"light (classical)", "slow (classical)", "harmonic"} <= set(names)
    assert names.count("harmonic") == 1
    legend = found.figure().get_axes()[0].get_legend()
    assert [t.get_text() for t in legend.get_texts()] == ["light (classical)", "slow (classical)"]
    found.write(tmp_path)
    (kept,) = json.loads((tmp_path / "ir.json").read_text())["beside"]
    assert kept["run"] == "slow (classical)"
    first, row = kept["shifts"][0], found["ir"].beside[0].shifts[0]
    assert first["shift_cm-1"] == pytest.approx(first["position_cm-1"] - first["other_cm-1"])
    assert row.error == pytest.approx(np.hypot(row.peak.position_error, row.other.position_error))


def test_what_has_another_unit_is_refused(runs):
    molecule = spectrum(runs[0], kinds=("ir",))
    crystal = replace(molecule, kinds={"ir": replace(molecule["ir"], unit="cm-1")})
    with pytest.raises(
        ValueError, match=r"ir in cm-1; .* has ir in km/mol per cm-1: nothing of one kind and unit"
    ):
        with_beside(molecule, "one", "other", crystal)


def test_two_runs_of_one_name_are_told_apart_by_their_paths(tmp_path):
    (tmp_path / "b").mkdir()
    made = bent.trajectory(0.5, replicas=2, steps=2000)
    runs = [bent.write_run(place, made) for place in (tmp_path / "md", tmp_path / "b" / "md")]
    found = spectrum_beside(runs[0], [runs[1]], kinds=("power",))
    assert found["power"].run == f"{runs[0]} (classical)"
    assert found["power"].beside[0].name == f"{runs[1]} (classical)"
