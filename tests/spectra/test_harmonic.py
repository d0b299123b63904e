import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.vibrations import Infrared
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from engines.tiny import potential
from equipot import units
from equipot.engines.ase import Calculator as EngineCalculator
from equipot.spectra.derivatives import Response, central_differences
from equipot.spectra.displacements import slopes
from equipot.spectra.harmonic import WAVENUMBER, harmonic, harmonic_of, mixture
from equipot.spectra.infrared import KM_MOL_DEBYE
from spectra import bent


def chain(positions, springs, masses, charges=None):
    """Atoms on a line joined by springs, as a harmonic result."""
    reference = np.asarray(positions, dtype=float)
    rest = np.linalg.norm(np.diff(reference, axis=0), axis=1)

    def response(x):
        bonds = np.diff(x, axis=0)
        r = np.linalg.norm(bonds, axis=1)
        pull = (np.asarray(springs) * (r - rest) / r)[:, None] * bonds
        force = np.zeros_like(x)
        force[:-1] += pull
        force[1:] -= pull
        return Response(forces=force, dipole=None if charges is None else charges @ x)

    numbers = np.ones(len(reference), dtype=int)
    return harmonic(central_differences(reference, response), numbers, reference, np.asarray(masses))


def test_conversions_of_the_design():
    assert pytest.approx(521.470898, rel=1e-8) == WAVENUMBER
    kcal, atomic = units.kcal_mol, units.hartree / units.bohr**2 / (units.ELECTRON_MASS / units.AMU)
    assert WAVENUMBER * np.sqrt(kcal) == pytest.approx(108.591359, rel=1e-7)
    assert WAVENUMBER * np.sqrt(units.hartree / units.bohr**2) == pytest.approx(5140.48714, rel=1e-7)
    assert WAVENUMBER * np.sqrt(100 / units.ELEMENTARY_CHARGE * 1e-20) == pytest.approx(1302.79139, rel=1e-7)
    assert atomic > 0


def test_diatomic_has_one_mode_and_five_rigid_motions():
    found = chain([[0, 0, 0], [0.3, 0.4, 1.2]], [40.0], [1.0, 19.0], np.array([0.4, -0.4]))
    reduced = 1.0 * 19.0 / 20.0
    assert_allclose(found.wavenumbers, [WAVENUMBER * np.sqrt(40.0 / reduced)], rtol=5e-6)
    assert len(found.residual) == 5
    assert_allclose(found.infrared, [974.880112 * 0.4**2 / reduced], rtol=1e-6)


def test_linear_triatomic_has_degenerate_bends_and_one_stick_for_both():
    found = chain([[-1.16, 0, 0], [0, 0, 0], [1.16, 0, 0]], [100.0, 100.0], [16.0, 12.0, 16.0])
    assert len(found.wavenumbers) == 4
    symmetric, asymmetric = WAVENUMBER * np.sqrt(100 / 16), WAVENUMBER * np.sqrt(100 * (1 / 16 + 2 / 12))
    assert_allclose(found.wavenumbers[2:], [symmetric, asymmetric], rtol=1e-6)
    assert len(found.sticks("power").wavenumber) == (3 if (found.wavenumbers >= 0).all() else 2)


def test_bent_molecule_modes_are_unit_vectors_without_rigid_motion():
    found = modes_of(bent.POSITIONS)
    flat = found.modes.reshape(3, 9)
    assert_allclose(flat @ flat.T, np.eye(3), atol=1e-12)
    momentum = np.einsum("i,pia->pa", np.sqrt(bent.MASSES), found.modes)
    assert np.abs(momentum).max() < 1e-12
    assert np.abs(found.residual).max() < 20.0  # cm⁻¹, of the differences: the root of a small number
    assert_allclose(found.wavenumbers, [1273, 3757, 4135], atol=1)


def modes_of(positions, masses=bent.MASSES):
    return harmonic(central_differences(positions, bent.response), bent.NUMBERS, positions, masses)


def test_intensities_do_not_depend_on_orientation_and_place():
    turn = Rotation.random(random_state=1).as_matrix()
    one, other = modes_of(bent.POSITIONS), modes_of(bent.POSITIONS @ turn.T + [3.0, -2.0, 1.0])
    assert_allclose(other.wavenumbers, one.wavenumbers, rtol=1e-4)  # of the differences, O(step²)
    assert_allclose(other.infrared, one.infrared, rtol=1e-3)
    assert_allclose(other.activity(), one.activity(), rtol=1e-3)
    assert_allclose(other.depolarization(), one.depolarization(), rtol=1e-3)


def test_derivatives_obey_the_rigid_rotation_identities():
    """Σ Z_i·(n × r_i) = n × μ and Σ ∂α/∂r_i·(n × r_i) = [n×]α − α[n×]."""
    turned = bent.POSITIONS @ Rotation.random(random_state=2).as_matrix().T
    d = central_differences(turned, bent.response, step=1e-4)
    for n in np.eye(3):
        spin = np.cross(n, turned)
        assert_allclose(np.einsum("iab,ib->a", d.dipole, spin), np.cross(n, bent.dipole(turned)), atol=1e-8)
        cross = np.cross(n, np.eye(3)).T  # [n×]v = n × v
        alpha = bent.polarizability(turned)
        assert_allclose(
            np.einsum("iabc,ic->ab", d.polarizability, spin), cross @ alpha - alpha @ cross, atol=1e-7
        )


def test_index_of_the_dipole_comes_first():
    """A charge flux that is not symmetric: μ_x = z of the second atom, nothing else."""

    def response(x):
        return Response(forces=np.zeros_like(x), dipole=np.array([x[1, 2], 0.0, 0.0]))

    d = central_differences(bent.POSITIONS, response)
    assert_allclose(d.dipole[1], [[0, 0, 1], [0, 0, 0], [0, 0, 0]], atol=1e-12)


def test_isotopes_lower_the_frequencies():
    heavy = modes_of(bent.POSITIONS, np.array([15.999, 2.014, 2.014]))
    light = modes_of(bent.POSITIONS)
    assert_allclose(heavy.wavenumbers / light.wavenumbers, 0.73, atol=0.02)
    assert_allclose(light.scaled(0.96).wavenumbers, 0.96 * light.wavenumbers)


def test_saddle_is_stored_negative_and_left_out_of_the_sticks():
    found = chain([[0, 0, 0], [0, 0, 1.0], [0, 0, 2.0]], [-30.0, 30.0], [1.0, 1.0, 1.0])
    assert found.imaginary().min() == pytest.approx(-3759, abs=1)
    assert found.sticks("power").wavenumber.min() >= 0


def test_forces_that_are_no_gradient_are_refused():
    swirl = np.array([[0, 1.0, 0], [0, 0, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match="asymmetric"):
        central_differences(bent.POSITIONS, lambda x: Response(forces=x @ swirl))


class Bent(Calculator):
    implemented_properties = ("energy", "forces", "dipole", "polarizability")

    def calculate(self, atoms=None, properties=(), system_changes=()):
        r = bent.response(atoms.positions)
        self.results = {"forces": r.forces, "dipole": r.dipole, "polarizability": r.polarizability.ravel()}


def test_ase_calculator_gives_the_same_and_must_be_relaxed():
    atoms = Atoms("OH2", bent.POSITIONS, masses=bent.MASSES, calculator=Bent())
    direct, through = modes_of(bent.POSITIONS), harmonic_of(atoms)
    assert_allclose(through.wavenumbers, direct.wavenumbers, rtol=1e-9)
    assert_allclose(through.activity(), direct.activity(), rtol=1e-9)
    atoms.positions[1, 0] += 0.05
    with pytest.raises(ValueError, match="Relax the geometry first"):
        harmonic_of(atoms)


def test_infrared_of_ase_agrees(tmp_path):
    """The same molecule through ase.vibrations, in D²/Å²/amu."""
    atoms = Atoms("OH2", bent.POSITIONS, masses=bent.MASSES, calculator=Bent())
    theirs = Infrared(atoms, name=str(tmp_path / "ir"), delta=0.005)
    theirs.run()
    theirs.get_energies()
    ours = harmonic_of(atoms)
    frequencies = np.real(theirs.get_frequencies())[6:]
    assert_allclose(frequencies, ours.wavenumbers, rtol=2e-4)  # they do not leave rotation out
    assert_allclose(theirs.intensities[6:] * KM_MOL_DEBYE, ours.infrared, rtol=2e-3)


def test_slopes_of_a_potential_are_derivatives_too():
    """Displaced copies in batches, and one by one through the calculator: the same modes."""
    atoms = Atoms("OHH", positions=[[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    model = potential(scale=0.1)
    atoms.calc = EngineCalculator(model)
    batched = harmonic(slopes(model, atoms, step=0.0005), atoms.numbers, atoms.positions, atoms.get_masses())
    single = harmonic_of(atoms, step=0.0005, largest_force=np.inf)
    assert_allclose(batched.wavenumbers, single.wavenumbers, rtol=1e-6)
    assert_allclose(batched.infrared, single.infrared, rtol=1e-4)
    assert_allclose(batched.activity(), single.activity(), rtol=1e-4)


def test_intensity_is_that_of_the_dipole_along_the_mode():
    """With a charge flux, so that ∂μ_a/∂r_b is not symmetric: a transposed Z would show."""

    def response(x):
        flux = np.array([0.0, 0.4 * x[1, 0] - 0.1 * x[2, 2], 0.7 * x[2, 0]])
        return Response(forces=bent.forces(x), dipole=bent.dipole(x) + flux)

    found = harmonic(central_differences(bent.POSITIONS, response), bent.NUMBERS, bent.POSITIONS, bent.MASSES)
    for mode, intensity in zip(found.modes, found.infrared, strict=True):
        along = 1e-4 * mode / np.sqrt(bent.MASSES)[:, None]
        plus, minus = response(bent.POSITIONS + along), response(bent.POSITIONS - along)
        slope = (plus.dipole - minus.dipole) / 2e-4
        assert intensity == pytest.approx(974.880112 * slope @ slope, rel=1e-6)


def test_a_mixture_of_conformers_keeps_the_intensity_of_one_molecule():
    modes = bent.modes()
    other = modes.scaled(1.1)
    mixed = mixture([modes, other], [0.25, 0.75])
    assert_allclose(mixed.sticks("power").value.sum(), len(modes.wavenumbers))
    lines = mixed.sticks("ir")
    assert_allclose(lines.wavenumber, np.sort(np.concatenate([modes.wavenumbers, other.wavenumbers])))
    assert_allclose(lines.value.sum(), modes.infrared.sum())
    assert_allclose(
        lines.value[np.isclose(lines.wavenumber, modes.wavenumbers[-1])], 0.25 * modes.infrared[-1]
    )
    with pytest.raises(ValueError, match="adding up to 1"):
        mixture([modes, other], [0.5, 0.6])
