"""Harmonic wells, where every number of a ring polymer is known."""

import ase.units
import numpy as np
import pytest
from numpy.testing import assert_allclose

from engines.ipi.wells import hydrogens, ring
from equipot import units
from equipot.engines.ipi.advice import spread

WAVENUMBER, TEMPERATURE = 1500.0, 300.0
KT = units.kB * TEMPERATURE
QUANTUM = (
    units.inverse_cm * WAVENUMBER / 4 / np.tanh(units.inverse_cm * WAVENUMBER / (2 * KT))
)  # eV, ½ the energy


def kinetic_and_potential(polymer, before, steps, every=4):
    """Means per degree of freedom."""
    for _ in range(before):
        polymer.step()
    rows = []
    for k in range(steps):
        polymer.step()
        if k % every == 0:
            rows.append((polymer.kinetic, polymer.energies.mean()))
    return np.mean(rows, axis=0) / (3 * polymer.beads.shape[1])


@pytest.mark.parametrize("thermostat", ["langevin", "bussi"])
def test_pimd_gives_the_quantum_energy_of_its_beads(thermostat):
    """½mω²⟨q²⟩ for P beads, which is 3.4 times the classical kT/2 and below the exact one by a known factor."""
    polymer = ring(
        WAVENUMBER, hydrogens(50), beads=16, method="pimd", thermostat=thermostat, friction=0.05, taut=20.0
    )
    expected = QUANTUM * spread(WAVENUMBER, TEMPERATURE, 16)
    assert expected > 3 * KT / 2
    kinetic, potential = kinetic_and_potential(polymer, before=200, steps=600)
    assert kinetic == pytest.approx(expected, rel=0.02)
    assert potential == pytest.approx(expected, rel=0.04)


def test_one_bead_is_classical():
    polymer = ring(WAVENUMBER, hydrogens(100), ensemble="langevin", friction=0.05)
    _, potential = kinetic_and_potential(polymer, before=200, steps=800)
    assert polymer.kinetic == pytest.approx(
        300 * KT / 2
    )  # the centroid virial of one bead has no fluctuation
    assert potential == pytest.approx(KT / 2, rel=0.08)


def test_colored_noise_of_the_user_samples_too(tmp_path):
    """White noise written as the matrices of a generalized Langevin equation: 2 ω_k on every mode of the free ring."""
    beads = 8
    omega = 2 * beads * KT / units.hartree * np.sin(np.pi * np.arange(beads) / beads)
    drift = np.where(omega > 0, 2 * omega, 0.002)
    (tmp_path / "gle.xml").write_text(
        f"<thermostat mode='nm_gle'><A shape='({beads}, 1, 1)'> {drift.tolist()} </A></thermostat>"
    )
    polymer = ring(WAVENUMBER, hydrogens(50), beads=beads, method="piglet", gle=str(tmp_path / "gle.xml"))
    kinetic, _ = kinetic_and_potential(polymer, before=200, steps=600)
    assert kinetic == pytest.approx(QUANTUM * spread(WAVENUMBER, TEMPERATURE, beads), rel=0.02)


@pytest.mark.parametrize("method", ["rpmd", "trpmd"])
def test_the_centroid_in_a_harmonic_well_is_a_classical_oscillator(method):
    """Whatever the internal modes do: velocity Verlet, to the last digits. A linear dipole follows it."""
    polymer = ring(WAVENUMBER, hydrogens(2), beads=8, method=method)
    polymer.positions = polymer.positions + 0.1
    polymer.compute()
    x, p = polymer.positions.mean(0), polymer.momenta.mean(0)
    mass, dt = hydrogens(1).get_masses()[0], 0.5 * ase.units.fs
    for _ in range(40):
        p = p - 0.5 * dt * polymer.beads.stiffness * x
        x = x + dt * p / mass
        p = p - 0.5 * dt * polymer.beads.stiffness * x
        polymer.step(("dipole",))
    assert_allclose(polymer.positions.mean(0), x, rtol=0, atol=1e-11)
    assert_allclose(polymer.momenta.mean(0), p, rtol=0, atol=1e-11)
    assert_allclose(polymer.found["dipole"].mean(0), x.sum(0), rtol=0, atol=1e-11)
    assert np.ptp(polymer.found["dipole"], axis=0).min() > 0.01  # the beads do differ


def test_rpmd_keeps_the_energy_of_the_ring_and_trpmd_its_account():
    """With the square of the time step."""
    swings = {}
    for method in ("rpmd", "trpmd"):
        for dt in (0.5, 0.25):
            polymer = ring(WAVENUMBER, hydrogens(20), beads=8, method=method, dt=dt)
            kept = []
            for _ in range(round(50 / dt)):
                polymer.step()
                kept.append(polymer.conserved)
            swings[method, dt] = np.ptp(kept)
    assert swings["rpmd", 0.5] < 0.02 * 60 * KT
    assert swings["rpmd", 0.25] < 0.35 * swings["rpmd", 0.5]
    assert swings["trpmd", 0.5] < 0.05 * 60 * KT


def test_every_bead_of_every_step_in_one_call():
    polymer = ring(WAVENUMBER, hydrogens(2), beads=64)
    polymer.compute()
    for _ in range(5):
        polymer.step()
    assert polymer.beads.calls == 1 + 5


def test_a_checkpoint_goes_on_to_the_last_bit():
    for settings in ({"method": "rpmd"}, {"method": "trpmd"}, {"method": "pimd", "thermostat": "bussi"}):
        polymer = ring(WAVENUMBER, hydrogens(3), beads=6, **settings)
        for _ in range(5):
            polymer.step()
        again = type(polymer)(polymer.beads, polymer.checkpoint())
        for _ in range(20):
            polymer.step()
            again.step()
        assert np.array_equal(polymer.positions, again.positions)
        assert np.array_equal(polymer.momenta, again.momenta)
        assert polymer.conserved == pytest.approx(again.conserved, rel=1e-12)
