import ase.calculators.calculator as ase_calculator
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.lj import LennardJones

from engines.tiny import copies, ethanol, potential
from equipot.data.collate import batch_of
from equipot.data.frame import Frame
from equipot.engines.ase import Calculator, NotFiniteError

SYSTEM = ("energy", "dipole", "polarizability")


def crystal(pbc=True) -> Atoms:
    atoms = bulk("C", "diamond", a=3.6, cubic=True)
    shear = np.array([[0, 0.3, 0], [0, 0, -0.2], [0.1, 0, 0]])
    atoms.set_cell(atoms.cell.array + shear, scale_atoms=True)
    atoms.pbc = pbc
    atoms.rattle(0.1, seed=3)
    return atoms


def periodic_potential(**kwargs):
    return potential(targets={"dipole": {"form": "atomic"}, "total_charge": 0.0}, **kwargs)


class Counting(torch.nn.Module):
    """Stands before a potential and writes down what it is asked for."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, []

    def forward(self, batch, **kwargs):
        self.calls.append(kwargs)
        return self.inner(batch, **kwargs)


def counted(calculator) -> list:
    calculator.potential = Counting(calculator.potential)
    return calculator.potential.calls


def test_all_properties_under_the_names_of_ase():
    atoms, model = ethanol(), potential()
    atoms.calc = Calculator(model, record=False)
    expected = model(batch_of([Frame.from_atoms(atoms)], model.elements, model.cutoff), forces=True)
    assert atoms.get_potential_energy() == expected.energy[0].item()
    assert atoms.get_potential_energy(force_consistent=True) == expected.energy[0].item()
    np.testing.assert_array_equal(atoms.get_potential_energies(), expected.atomic_energies.detach())
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(atoms.get_dipole_moment(), expected.dipole[0].detach())
    np.testing.assert_array_equal(atoms.get_charges(), expected.charges.detach())
    alpha = atoms.calc.get_property("polarizability", atoms)
    np.testing.assert_array_equal(alpha, expected.polarizability[0].detach())
    assert alpha.shape == (3, 3)


def test_forces_and_stress_are_the_derivatives_that_ase_measures():
    atoms = crystal()
    atoms.calc = Calculator(periodic_potential())
    np.testing.assert_allclose(
        atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-5), rtol=0, atol=1e-7
    )
    np.testing.assert_allclose(
        atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), rtol=0, atol=1e-8
    )


def test_stresses_of_atoms_add_up_to_the_stress_and_are_ases_own_kind():
    """As of ASE's Lennard-Jones potential: the same shape, sign and volume."""
    atoms = crystal()
    atoms.calc = Calculator(periodic_potential())
    stresses = atoms.get_stresses()
    assert stresses.shape == (len(atoms), 6) and np.abs(stresses).max() > 1e-3
    np.testing.assert_allclose(stresses.sum(axis=0), atoms.get_stress(), rtol=0, atol=1e-13)
    atoms.calc = LennardJones(sigma=2.0, rc=3.0)
    assert atoms.get_stresses().shape == stresses.shape
    np.testing.assert_allclose(atoms.get_stresses().sum(axis=0), atoms.get_stress(), rtol=0, atol=1e-13)


def test_virials_of_the_atoms_of_a_molecule():
    atoms, model = ethanol(), potential()
    atoms.calc = Calculator(model)
    batch = batch_of([Frame.from_atoms(atoms)], model.elements, model.cutoff)
    expected = model(batch, virials=True).virials
    np.testing.assert_allclose(atoms.calc.get_property("virials", atoms), expected, rtol=0, atol=1e-13)
    with pytest.raises(
        PropertyNotImplementedError, match=r"stresses need a cell .* pbc = \[False, False, False\]"
    ):
        atoms.get_stresses()


def test_virials_of_replicas_are_those_of_single_molecules():
    atoms, model = copies(ethanol(), 2), potential()
    calculator = Calculator(model, replicas=2)
    assert "stresses" not in calculator.implemented_properties
    found = calculator.get_property("virials", atoms)
    alone = [Calculator(model).get_property("virials", atoms[k : k + 9]) for k in (0, 9)]
    np.testing.assert_allclose(found, np.concatenate(alone), rtol=0, atol=1e-12)


def test_an_energy_costs_no_gradient_and_no_other_head():
    atoms = ethanol()
    atoms.calc = Calculator(potential())
    calls = counted(atoms.calc)
    atoms.get_potential_energy()
    assert calls == [{"forces": False, "stress": False, "virials": False, "targets": {"energy"}}]
    atoms.get_forces(), atoms.get_potential_energy(), atoms.get_forces()
    assert len(calls) == 2
    assert calls[1]["targets"] == {"energy"}


def test_also_brings_the_dipole_with_the_forces():
    atoms = ethanol()
    atoms.calc = Calculator(potential(), also=("dipole", "polarizability"))
    calls = counted(atoms.calc)
    atoms.get_forces(), atoms.get_dipole_moment(), atoms.calc.get_property("polarizability", atoms)
    assert len(calls) == 1
    with pytest.raises(ValueError, match=r"no 'dipol'\. Did you mean 'dipole'"):
        atoms.calc.also = ("dipol",)


def test_the_results_of_old_positions_are_never_returned():
    atoms = ethanol()
    atoms.calc = Calculator(potential())
    before = atoms.get_potential_energy()
    atoms.positions[0, 0] += 1e-14
    atoms.calc.get_property("dipole", atoms)
    assert "forces" not in atoms.calc.results
    atoms.positions[0, 0] += 0.1
    assert atoms.get_potential_energy() != before


def test_a_changed_total_charge_is_a_change():
    model = potential(targets={"dipole": {"origin": "coordinates"}, "total_charge": "frame"})
    atoms = ethanol()
    atoms.calc = Calculator(model)
    with pytest.raises(ValueError, match="needs the total charge"):
        atoms.get_dipole_moment()
    atoms.info["charge"] = 0.0
    neutral = atoms.get_dipole_moment()
    atoms.info["charge"] = 1.0
    shift = atoms.positions.mean(axis=0)
    np.testing.assert_allclose(atoms.get_dipole_moment() - neutral, shift, rtol=0, atol=1e-12)


def test_what_the_model_does_not_predict_is_not_implemented():
    atoms = ethanol()
    atoms.calc = Calculator(potential(targets={}))
    for name in ("dipole", "polarizability", "magmoms", "nonsense"):
        with pytest.raises(ase_calculator.PropertyNotImplementedError):
            atoms.calc.get_property(name, atoms)
    with pytest.raises(ase_calculator.PropertyNotImplementedError, match="periodic in three directions"):
        atoms.get_stress()


def test_declared_tensors_are_results():
    targets = {
        "tensors": {"quadrupole": {"order": 2, "symmetric": True}, "shielding": {"order": 1, "per": "atom"}}
    }
    atoms = ethanol()
    atoms.calc = Calculator(potential(targets=targets))
    assert atoms.calc.get_property("quadrupole", atoms).shape == (3, 3)
    assert atoms.calc.get_property("shielding", atoms).shape == (9, 3)


def test_unknown_element():
    atoms = ethanol()
    atoms.numbers[4] = 17
    atoms.calc = Calculator(potential())
    with pytest.raises(ValueError, match=r"no parameters for Cl \(17\), atom 4.*\n.*knows H, C, O"):
        atoms.get_potential_energy()


def test_nan_never_passes():
    atoms = ethanol()
    atoms.calc = Calculator(potential())
    atoms.positions[3, 1] = np.nan
    with pytest.raises(NotFiniteError, match=r"position of atom 3 \(H\)") as caught:
        atoms.get_forces()
    assert caught.value.atom == 3
    atoms = ethanol()
    atoms.calc = Calculator(potential())
    table = atoms.calc.potential.model.embedding.table.weight
    table[8] = torch.nan
    with pytest.raises(NotFiniteError, match="the model predicts energies = nan for atom"):
        atoms.get_potential_energy()


@pytest.mark.parametrize("pbc", [True, (True, True, False), (False, True, False), False])
def test_a_skin_changes_nothing_on_a_path(pbc):
    model, atoms = periodic_potential(), crystal(pbc)
    atoms.calc, without = Calculator(model, skin=0.6), Calculator(model, skin=0.0)
    rng = np.random.default_rng(0)
    searches = 0
    for _ in range(12):
        atoms.positions += rng.normal(scale=0.04, size=atoms.positions.shape)
        forces, energy = atoms.get_forces(), atoms.get_potential_energy()
        searches += atoms.calc._neighborhood._reference.positions[0, 0] == atoms.positions[0, 0]
        fresh = model(batch_of([Frame.from_atoms(atoms)], model.elements, model.cutoff), forces=True)
        np.testing.assert_allclose(forces, fresh.forces, rtol=0, atol=1e-13)
        assert energy == without.get_property("energy", atoms)
        np.testing.assert_array_equal(forces, without.get_property("forces", atoms))
    assert 1 < searches < 12


def test_a_new_cell_is_a_new_search():
    model, atoms = periodic_potential(), crystal()
    atoms.calc = Calculator(model)
    atoms.get_potential_energy()
    atoms.set_cell(atoms.cell.array * 0.8, scale_atoms=True)
    fresh = model(batch_of([Frame.from_atoms(atoms)], model.elements, model.cutoff))
    assert atoms.get_potential_energy() == fresh.energy[0].item()


@pytest.mark.parametrize("name", ["schnet", "painn"])
def test_edges_beyond_the_cutoff_carry_nothing(name):
    """SchNet's dipole comes through the lift, so that its edges are seen as well."""
    model, atoms = potential(name, cutoff=2.0), ethanol()
    frame = Frame.from_atoms(atoms)
    near, far = (batch_of([frame], model.elements, r) for r in (2.0, 2.7))
    assert len(far.senders) > len(near.senders)
    for batch in (near, far):
        assert batch.reverse.max() < len(batch.senders)
    a, b = model(near, forces=True), model(far, forces=True)
    for (label, x), (_, y) in zip(a.items(), b.items(), strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=1e-12, msg=label)


@pytest.mark.parametrize("name", ["schnet", "painn"])
def test_replicas_are_single_evaluations(name):
    model, start = potential(name), copies(ethanol(), 3)
    start.calc = Calculator(model, replicas=3, also=("replica_dipole", "replica_polarizability", "charges"))
    singles = [start[9 * k : 9 * k + 9] for k in range(3)]
    for atoms in singles:
        atoms.calc = Calculator(model)
    forces = start.get_forces()
    np.testing.assert_allclose(forces, np.concatenate([a.get_forces() for a in singles]), rtol=0, atol=1e-13)
    assert start.get_potential_energy() == pytest.approx(
        sum(a.get_potential_energy() for a in singles), abs=1e-11
    )
    results = start.calc.results
    for prop in SYSTEM:
        found = results[f"replica_{prop}"]
        expected = np.array([a.calc.get_property(prop, a) for a in singles])
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    with pytest.raises(ase_calculator.PropertyNotImplementedError):
        start.get_dipole_moment()


def test_replicas_of_different_molecules_are_refused():
    atoms = ethanol() + ethanol()[::-1]
    atoms.calc = Calculator(potential(), replicas=2)
    with pytest.raises(ValueError, match="are not 2 copies of one molecule"):
        atoms.get_potential_energy()


def test_the_users_potential_is_left_alone():
    model, atoms = potential(), ethanol()
    model.train()
    atoms.calc = Calculator(model)
    atoms.get_forces()
    assert model.training and all(p.requires_grad for p in model.parameters())


def test_one_atom():
    atoms = Atoms("O", positions=[[1.0, 2.0, 3.0]])
    atoms.calc = Calculator(potential())
    np.testing.assert_array_equal(atoms.get_forces(), np.zeros((1, 3)))
    assert atoms.get_dipole_moment().shape == (3,)
