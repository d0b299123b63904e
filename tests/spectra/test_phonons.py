"""Phonons through phonopy, against ASE's own, against the Hessian of one cell, and against formulas."""

import json
from dataclasses import replace

import numpy as np
import phonopy
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.phonons import Phonons as AsePhonons

from engines.test_ase import crystal as random_crystal
from engines.test_ase import periodic_potential
from equipot import units
from equipot.engines.ase import Calculator
from equipot.spectra.displacements import slopes
from equipot.spectra.harmonic import harmonic
from equipot.spectra.phonons.calculation import THZ, phonons
from equipot.spectra.phonons.minimum import to_minimum
from equipot.spectra.phonons.path import band_path
from equipot.spectra.phonons.result import Born

COARSE = (8, 8, 8)


def argon(**lattice) -> Atoms:
    atoms = bulk("Ar", **({"crystalstructure": "fcc", "a": 5.26} | lattice))
    atoms.calc = LennardJones(epsilon=0.0104, sigma=3.4, rc=6.0, smooth=True)
    return atoms


@pytest.fixture(scope="module")
def found():
    return phonons(
        argon(), (2, 2, 2), path="GX,LG", mesh=COARSE, source="Lennard-Jones", notes=["first", "second"]
    )


def test_equal_those_of_ase(found, tmp_path):
    """At X and L, which fit into the supercell, so that both are exact."""
    theirs = AsePhonons(argon(), argon().calc, supercell=(2, 2, 2), delta=0.01, name=str(tmp_path / "phonon"))
    theirs.run()
    theirs.read(acoustic=True)
    special = argon().cell.bandpath(npoints=0).special_points
    for band, name in ((found.bands[0].wavenumbers[-1], "X"), (found.bands[1].wavenumbers[0], "L")):
        energies = theirs.band_structure([special[name]], verbose=False)[0]
        np.testing.assert_allclose(band, np.sort(energies) / units.inverse_cm, rtol=0, atol=0.05)
        assert band[0] > 20


def test_acoustic_modes_vanish_at_the_center(found):
    assert np.abs(found.bands[0].wavenumbers[0]).max() < 0.01
    assert found.warnings() == () and found.displacements == 1


def test_modes_of_one_cell_are_those_of_its_hessian():
    """A cell without symmetry, a random model: Γ of a supercell of one."""
    model, atoms = periodic_potential(scale=0.1), random_crystal()
    own = harmonic(
        slopes(model, atoms),
        atoms.numbers.astype(np.int64),
        atoms.positions,
        atoms.get_masses(),
        rotations=False,
    )
    atoms.calc = Calculator(model)
    center = phonons(atoms, (1, 1, 1), path="GX", mesh=(1, 1, 1), displacement=1e-4).bands[0].wavenumbers[0]
    internal = np.sort(np.delete(center, np.argsort(np.abs(center))[:3]))
    np.testing.assert_allclose(internal, own.wavenumbers, rtol=1e-4, atol=0.05)


def test_density_and_thermal_properties_are_those_of_the_modes(found):
    """Sums over the mesh, Γ without its acoustic modes: F = Σ ħω/2 + kT ln(1 − exp(−ħω/kT))."""
    assert np.trapezoid(found.density.value, found.density.wavenumber) == pytest.approx(3, rel=1e-2)
    energies = found.wavenumbers * units.inverse_cm
    weights = np.repeat(found.weights[:, None] / found.weights.sum(), 3, axis=1)
    energies, weights = energies[found.wavenumbers > 1], weights[found.wavenumbers > 1]
    at = int(np.flatnonzero(found.thermal.temperature == 50)[0])
    kT = units.kB * 50
    x = energies / kT
    free = weights @ (energies / 2 + kT * np.log(1 - np.exp(-x))) / units.kJ_mol
    capacity = weights @ (x**2 * np.exp(x) / (np.exp(x) - 1) ** 2) * units.kB / units.kJ_mol * 1000
    assert found.thermal.free_energy[at] == pytest.approx(free, rel=1e-5)
    assert found.thermal.heat_capacity[at] == pytest.approx(capacity, rel=1e-5)
    derivative = np.gradient(found.thermal.free_energy, found.thermal.temperature)[at]
    assert found.thermal.entropy[at] == pytest.approx(-1000 * derivative, rel=0.01)


def test_splitting_of_longitudinal_and_transverse_modes():
    """A cubic crystal of two ions: ω²_LO − ω²_TO = 4π k Z²/(ε V μ), whatever holds it together."""
    salt = bulk("NaCl", "rocksalt", a=5.0, cubic=True)
    salt.calc = LennardJones(epsilon=0.1, sigma=2.3, rc=6.0, smooth=True)
    charge = np.where(salt.numbers == 11, 0.9, -0.9)
    born = Born(charges=charge[:, None, None] * np.eye(3), dielectric=2.5 * np.eye(3))
    options = {"path": "GX", "mesh": (2, 2, 2)}
    plain, split = (phonons(salt, (1, 1, 1), born=b, **options).bands[0].wavenumbers[0] for b in (None, born))
    assert np.ptp(plain[3:]) < 0.01
    np.testing.assert_allclose(split[3:5], plain[3:5], atol=0.01)
    sodium, chlorine = (salt.get_masses()[salt.numbers == z][0] for z in (11, 17))
    reduced = sodium * chlorine / (sodium + chlorine)
    omega2 = 4 * np.pi * units.coulomb * 0.9**2 / (2.5 * 5.0**3 / 4 * reduced) * units.acceleration  # 1/fs²
    expected = omega2 / (2 * np.pi * units.light) ** 2
    assert split[5] ** 2 - plain[5] ** 2 == pytest.approx(expected, rel=1e-4)


def test_imaginary_modes_are_loud(tmp_path):
    """A simple cubic crystal of argon shears by itself."""
    found = phonons(argon(crystalstructure="sc", a=3.8), (2, 2, 2), mesh=COARSE)
    worst = found.imaginary()[0]
    assert worst.wavenumber < -5
    (text,) = found.warnings()
    assert text.startswith(f"IMAGINARY MODES: the lowest is {-worst.wavenumber:.1f}i")
    paths = {path.name: path for path in found.write(tmp_path)}
    assert "IMAGINARY" in paths["thermal.csv"].read_text()
    assert (
        json.loads(paths["phonons.json"].read_text())["header"]["imaginary"][0]["wavenumber"]
        == worst.wavenumber
    )
    assert "imaginary modes, drawn below zero" in paths["phonons.svg"].read_text()


def test_files(found, tmp_path):
    paths = {path.name: path for path in found.write(tmp_path / "out")}
    assert set(paths) == {
        "phonons.png", "phonons.svg", "phonons.json", "bands.csv", "density.csv", "thermal.csv", "phonopy_params.yaml",
    }  # fmt: skip
    bands = [line for line in paths["bands.csv"].read_text().splitlines() if not line.startswith("#")]
    assert len(bands) == 1 + sum(len(band.points) for band in found.bands)
    document = json.loads(paths["phonons.json"].read_text())
    assert document["bands"][0]["ends"] == ["G", "X"] and document["header"]["notes"] == ["first", "second"]
    again = phonopy.load(paths["phonopy_params.yaml"], log_level=0)
    again.symmetrize_force_constants()
    again.run_qpoints([found.bands[0].points[-1]])
    ours = found.bands[0].wavenumbers[-1]
    np.testing.assert_allclose(again.qpoints.frequencies[0] * THZ, ours, rtol=1e-6, atol=1e-4)


def test_the_minimum_keeps_its_symmetry():
    copper = bulk("Cu", "fcc", 3.7, cubic=True)
    copper.calc = EMT()
    note = to_minimum(copper)
    assert note.startswith("relaxed atoms and cell with the symmetry kept")
    np.testing.assert_allclose(copper.cell.cellpar()[:3], copper.cell[0, 0], rtol=1e-12)
    assert not copper.constraints and copper.cell[0, 0] == pytest.approx(3.59, abs=0.01)
    before = copper.copy()
    assert "not relaxed, as asked" in to_minimum(copper, relax=False)
    np.testing.assert_array_equal(copper.positions, before.positions)


def test_paths():
    primitive = bulk("Ar", "fcc", 5.26)
    assert "".join(ends[0] for ends, _ in band_path(primitive)[:4]) == "GXWK"
    jump = band_path(primitive, "GX,LG")
    assert [ends for ends, _ in jump] == [("G", "X"), ("L", "G")]
    with pytest.raises(ValueError, match="no special point Q"):
        band_path(primitive, "GQ")
    with pytest.raises(ValueError, match="two special points"):
        band_path(primitive, "G")


def test_what_has_no_phonons():
    alone = molecule("H2O")
    alone.calc = EMT()
    with pytest.raises(ValueError, match=r"periodic in three directions.*equipot\.harmonic"):
        phonons(alone)
    charged = argon()
    charged.info["charge"] = 1
    with pytest.raises(ValueError, match="neutral singlet"):
        phonons(charged)
    fixed = argon()
    fixed.set_constraint(FixAtoms([0]))
    with pytest.raises(ValueError, match="Remove the constraints"):
        to_minimum(fixed)


class Cusp(AseCalculator):
    """E = Σ |r_i − r_i⁰|: a restoring force that does not grow with the displacement."""

    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        d = atoms.positions - np.round(atoms.positions / 3) * 3
        r = np.sqrt((d**2).sum(1) + 1e-8)
        self.results = {"energy": r.sum(), "forces": -d / r[:, None]}


def test_forces_that_are_not_linear_are_loud():
    atoms = bulk("Cu", "sc", 3.0)
    atoms.calc = Cusp()
    found = phonons(atoms, (2, 2, 2), path="GX", mesh=(2, 2, 2))
    assert found.bend == pytest.approx(1, abs=0.01)
    assert any(text.startswith("FORCES ARE NOT LINEAR: ") for text in found.warnings())


def test_a_mode_near_zero_is_no_instability(found):
    lowered = replace(found, wavenumbers=found.wavenumbers - found.wavenumbers.min() - 0.5)
    assert lowered.imaginary() == ()
