"""What i-PI is told, and what is refused before it is."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engines.tiny import ethanol, potential
from equipot.deploy.model_file import save
from equipot.engines.ipi.advice import advice, spread
from equipot.engines.ipi.alone import write_inputs
from equipot.engines.ipi.gle import thermostat
from equipot.engines.settings import Dynamics


@pytest.mark.parametrize(("beads", "expected"), [(8, 0.67), (32, 0.964), (64, 0.991)])
def test_spread_of_a_hydrogen_stretch(beads, expected):
    assert spread(3700.0, 300.0, beads) == pytest.approx(expected, abs=0.005)


def test_spread_of_one_bead_is_classical_and_of_many_exact():
    x = 17.745  # ħω/kT at 3700 cm⁻¹ and 300 K
    assert spread(3700.0, 300.0, 1) == pytest.approx(2 / x, rel=1e-3)
    assert spread(3700.0, 300.0, 4096) == pytest.approx(1.0, abs=1e-5)


def test_advice_names_the_number_that_would_do():
    assert "too little. Take 32" in advice(ethanol(), 300.0, 8)
    assert "Compare with 64" in advice(ethanol(), 300.0, 32)


A = "<A shape='(4, 2, 2)'> [1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1] </A>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "needs the matrices of its thermostat: gle=FILE"),
        ("[1, 2, 3]", "cannot be read as XML"),
        (f"<thermostat mode='pile_l'>{A}</thermostat>", "no thermostat of mode nm_gle"),
        (f"<thermostat mode='nm_gle'>{A}</thermostat>", "made for 4 beads; the run has 8"),
    ],
)
def test_what_are_no_matrices_for_piglet(tmp_path, text, message):
    if text is not None:
        (tmp_path / "gle.xml").write_text(text)
    with pytest.raises(ValueError, match=message):
        thermostat(None if text is None else tmp_path / "gle.xml", 8)


def test_matrices_are_found_inside_a_whole_input(tmp_path):
    (tmp_path / "input.xml").write_text(f"<ensemble><thermostat mode='nm_gle'>{A}</thermostat></ensemble>")
    found = thermostat(tmp_path / "input.xml", 4)
    assert found.startswith("<thermostat mode=") and "(4, 2, 2)" in found


@pytest.mark.slow
def test_i_pi_runs_the_inputs_by_itself(tmp_path):
    """Both phases, the second from the end of the first, with files of every bead."""
    settings = Dynamics(engine="ipi", beads=4, dt=0.25, time=0.002, equilibration=0.002, stride=4)
    model = potential(scale=0.1)
    save(tmp_path / "model.equipot", model)
    first, second = write_inputs(tmp_path, ethanol(), settings, model.targets)
    assert (first.name, second.name) == ("1-pimd.xml", "2-trpmd.xml")
    command = shutil.which("i-pi", path=Path(sys.executable).parent) or "i-pi"
    for path in (first, second):
        done = subprocess.run([command, path.name], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and "success" in done.stdout, done.stdout + done.stderr
    rows = np.loadtxt(tmp_path / "trpmd.out")
    np.testing.assert_allclose(rows[:, 1], [0, 1, 2], rtol=1e-6)  # fs
    assert np.ptp(rows[:, 2]) < 0.02  # eV, conserved
    assert sorted(p.name for p in tmp_path.glob("trpmd.dipole_*")) == [f"trpmd.dipole_{k}" for k in range(4)]
