import numpy as np
from numpy.testing import assert_allclose

from equipot.spectra.sum_rules import enforced, violations
from spectra import lattice


def test_translations_cost_nothing_and_move_the_total_charge():
    broken = lattice.irregular(violated=0.1)
    forces, charges = violations(broken)
    assert forces > 0.1 and charges > 0.1
    mended = enforced(broken)
    assert max(violations(mended)) < 1e-12
    size = mended.hessian.reshape(9, 9)
    assert_allclose(size, size.T, atol=1e-12)
    assert_allclose(mended.polarizability.sum(axis=0), 0.0, atol=1e-12)
    for name in ("hessian", "dipole", "polarizability"):  # nothing is left to mend
        assert_allclose(getattr(enforced(mended), name), getattr(mended, name), atol=1e-12)


def test_of_a_charged_cell():
    mended = enforced(lattice.irregular(violated=0.1), charge=1.0)
    assert_allclose(mended.dipole.sum(axis=0), np.eye(3), atol=1e-12)
    assert violations(mended, charge=1.0)[1] < 1e-12


def test_three_acoustic_modes_are_left_out_and_were_not_zero_before():
    found = lattice.modes(lattice.irregular(violated=0.1))
    assert len(found.wavenumbers) == 6 and np.abs(found.residual).max() > 10
    mended = lattice.modes(enforced(lattice.irregular(violated=0.1)))
    assert np.abs(mended.residual).max() < 1e-3
