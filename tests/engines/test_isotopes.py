"""Isotopes: inertia that forces do not know, in dynamics and in harmonic lines."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from numpy.testing import assert_allclose

from engines.tiny import potential
from equipot.config import parse
from equipot.engines.dynamics import Dynamics, run_dynamics
from equipot.engines.isotopes import mass, masses_of, parse_masses
from equipot.spectra.derivatives import Derivatives, central_differences
from equipot.spectra.harmonic import harmonic
from equipot.spectra.trajectory import read_run
from spectra import bent


def test_elements_letters_and_single_atoms():
    given = parse_masses(["H=D", "C=13.003", "8=1.008"])
    assert given["H"] == pytest.approx(2.014101778) and given["C"] == 13.003
    found = masses_of(molecule("CH3CH2OH"), given)
    symbols = np.array(molecule("CH3CH2OH").get_chemical_symbols())
    assert_allclose(found[symbols == "C"], 13.003)
    assert found[8] == 1.008  # after the elements
    assert_allclose(found[(symbols == "H") & (np.arange(9) != 8)], 2.014101778)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("H", "expected ELEMENT=AMU or INDEX=AMU"),
        ("H=-1", "a number of amu above zero, or D or T"),
        ("H=heavy", "a number of amu above zero"),
        ("Hy=2", "neither an element nor the index"),
    ],
)
def test_what_makes_no_sense_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_masses([text])


def test_atoms_that_are_not_there():
    water = molecule("H2O")
    for name in ("C", "7"):
        with pytest.raises(ValueError, match="has 3 atoms of H, O"):
            masses_of(water, {name: 2.0})


def test_settings_keep_them_and_the_run_has_them(tmp_path):
    settings = parse(
        Dynamics, {"masses": {"H": "D"}, "time": 0.01, "equilibration": 0, "stride": 2}, "dynamics"
    )
    water = Atoms("OHH", positions=[[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    run = run_dynamics(potential(scale=0.1), water, settings, tmp_path / "run")
    document = json.loads((run / "md.json").read_text())
    assert document["settings"]["masses"] == {"H": mass("D")}
    assert_allclose(document["masses"], [15.999, mass("D"), mass("D")])
    assert_allclose(read_run(run).masses, document["masses"])


def modes(masses):
    return harmonic(
        central_differences(bent.POSITIONS, bent.response, step=1e-3),
        bent.NUMBERS,
        bent.POSITIONS,
        np.array(masses),
    )


def test_deuterium_obeys_the_product_rule():
    """Teller and Redlich: Π ω′/ω = Π (m/m′)^{3/2} (M′/M)^{3/2} (I′_a I′_b I′_c/I_a I_b I_c)^{1/2}, exactly."""
    light, heavy = bent.MASSES, np.array([bent.MASSES[0], mass("D"), mass("D")])

    def inertia(m):
        r = bent.POSITIONS - m @ bent.POSITIONS / m.sum()
        return np.linalg.det(
            np.einsum("i,iab->ab", m, (r**2).sum(1)[:, None, None] * np.eye(3) - r[:, :, None] * r[:, None])
        )

    found = np.prod(modes(heavy).wavenumbers / modes(light).wavenumbers)
    ratio = np.prod((light / heavy) ** 1.5) * (heavy.sum() / light.sum()) ** 1.5
    # the minimum is found to 1e-7 Å of the equilibrium, which the rule presumes
    assert_allclose(found, ratio * np.sqrt(inertia(heavy) / inertia(light)), rtol=1e-6)
    stretches = modes(heavy).wavenumbers[1:] / modes(light).wavenumbers[1:]
    assert np.all((stretches > 0.70) & (stretches < 0.75))  # near 1/√2, not there: oxygen moves too


def test_a_diatomic_moves_by_the_reduced_mass():
    hessian = 20.0 * np.einsum("ij,ab->iajb", np.array([[1.0, -1.0], [-1.0, 1.0]]), np.diag([0.0, 0.0, 1.0]))

    def stretch(m):
        positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]])
        return harmonic(Derivatives(hessian=hessian), np.array([6, 1]), positions, np.array(m)).wavenumbers[
            -1
        ]

    reduced = [12.0 * m / (12.0 + m) for m in (1.008, mass("D"))]
    assert_allclose(
        stretch([12.0, mass("D")]) / stretch([12.0, 1.008]), np.sqrt(reduced[0] / reduced[1]), rtol=1e-12
    )
