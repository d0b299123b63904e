"""Spectra of ring polymers: what is refused, what is said, and a line in its place."""

import json

import numpy as np
import pytest
from ase import Atoms

from engines.ipi.wells import ring
from equipot.spectra.rings import Rings
from equipot.spectra.spectrum import spectrum
from equipot.spectra.trajectory import VELOCITY, Segment, Trajectory, read_run
from spectra import bent

RINGS = {"beads": 16, "method": "trpmd", "lambda": 0.5}


@pytest.fixture
def folder(tmp_path):
    """A run whose header is changed by what is handed over."""
    run = bent.write_run(tmp_path / "run", bent.trajectory(0.5, replicas=2, steps=600))

    def changed(**entries):
        path = run / "md.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))
        return run

    return changed


def test_the_header_says_how_the_beads_were_moved(folder):
    found = spectrum(folder(ring=RINGS))
    assert "averages over the beads, T-RPMD, P = 16 beads" in found.header.method
    assert "lambda = 0.5" in found.header.method and found.header.quantum == "kubo"
    assert any("16 beads" in note and "of its quantum <q²>" in note for note in found.notes)
    assert any("that of the centroids" in note for note in found.notes)
    assert read_run(folder(ring=RINGS)).segments[0].energy is None


def test_nothing_is_multiplied_to_what_is_kubo_transformed(folder):
    classical = spectrum(folder(ring=None), kinds=("ir",))
    quantum = spectrum(folder(ring=RINGS), kinds=("ir",))
    np.testing.assert_array_equal(classical["ir"].value, quantum["ir"].value)
    with pytest.raises(ValueError, match="Kubo-transformed already"):
        spectrum(folder(ring=RINGS), quantum="schofield")


@pytest.mark.parametrize("method", ["pimd", "piglet"])
def test_sampling_has_no_spectrum(folder, method):
    with pytest.raises(ValueError, match=f"the production is {method.upper()}, which samples"):
        read_run(folder(ring={"beads": 16, "method": method}))


def test_rpmd_comes_with_a_warning(folder):
    notes = spectrum(folder(ring={"beads": 16, "method": "rpmd"})).notes
    assert any("split lines" in note for note in notes)


def test_a_ring_polymer_in_a_harmonic_well_has_the_classical_line():
    """T-RPMD through i-PI, a linear dipole, 1500 cm⁻¹."""
    pytest.importorskip("ipi")
    atoms = Atoms("F4", positions=np.zeros((4, 3)))
    polymer = ring(1500.0, atoms, beads=4, method="trpmd")
    rows = []
    for k in range(1600):
        polymer.step(("dipole",))
        if k % 2 == 1:
            velocities = polymer.momenta.mean(0) / atoms.get_masses()[:, None] * VELOCITY
            rows.append((polymer.positions.mean(0), velocities, polymer.found["dipole"].mean(0)))
    positions, velocities, dipole = (np.array(column) for column in zip(*rows, strict=True))
    trajectory = Trajectory(
        segments=(Segment(positions=positions, velocities=velocities, dipole=dipole),),
        numbers=atoms.numbers.astype(np.int64),
        masses=atoms.get_masses(),
        temperature=300.0,
        step=0.5,
        every=2,
        rings=Rings(beads=4, method="trpmd", damping=0.5),
    )
    one = spectrum(trajectory, kinds=("ir",))["ir"]
    strongest = max(one.peaks, key=lambda peak: peak.area)
    assert strongest.position == pytest.approx(1500.0, abs=3.0)
