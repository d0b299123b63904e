"""OpenMM-ML builds systems that are all model, and systems of which a part is."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from engines.test_openmm import computed
from engines.tiny import potential
from equipot.deploy.model_file import save
from equipot.engines.ase import Calculator

openmm = pytest.importorskip("openmm")
openmmml = pytest.importorskip("openmmml")
from openmm import app, unit  # noqa: E402

from equipot.engines.openmm.mlpotential import EquipotFactory  # noqa: E402

SHIFT = np.array([2.9, 0.3, -0.2])  # Å, between two molecules of water


@pytest.fixture
def model():
    return potential(targets={}, cutoff=4.0)


@pytest.fixture
def named(model, tmp_path):
    """`MLPotential("equipot")`, registered by hand where this checkout is not installed."""
    openmmml.MLPotential.registerImplFactory("equipot", EquipotFactory())
    save(tmp_path / "water.equipot", model)
    return openmmml.MLPotential("equipot", modelPath=str(tmp_path / "water.equipot"))


def waters(box=None) -> tuple[app.Topology, Atoms]:
    """Two molecules, the second moved by SHIFT."""
    one = molecule("H2O")
    atoms = Atoms("OHHOHH", positions=np.concatenate([one.positions, one.positions + SHIFT]))
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(2):
        residue = topology.addResidue("HOH", chain)
        oxygen, *hydrogens = (
            topology.addAtom(name, app.Element.getBySymbol(name[0]), residue) for name in ("O", "H1", "H2")
        )
        for hydrogen in hydrogens:
            topology.addBond(oxygen, hydrogen)
    if box is not None:
        topology.setPeriodicBoxVectors(box / 10)
        atoms.set_cell(box)
        atoms.pbc = True
    return topology, atoms


def energies(system, atoms, lam=None):
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(atoms.positions / 10)
    if lam is not None:
        context.setParameter("lambda_interpolate", lam)
    return computed(context)


def by_ase(model, atoms):
    atoms = atoms.copy()
    atoms.calc = Calculator(model)
    return atoms.get_potential_energy(), atoms.get_forces()


def test_the_entry_point_is_the_factory():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    value = project["project"]["entry-points"]["openmmml.potentials"]["equipot"]
    assert EntryPoint("equipot", value, "openmmml.potentials").load() is EquipotFactory


@pytest.mark.parametrize("box", [None, 7.0 * np.eye(3)])
def test_a_system_that_is_all_model(named, model, box):
    topology, atoms = waters(box)
    energy, forces = energies(named.createSystem(topology), atoms)
    expected = by_ase(model, atoms)
    assert energy == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(forces, expected[1], rtol=0, atol=1e-11)


@pytest.mark.parametrize("box", [None, 24.0 * np.eye(3)])
def test_mechanical_embedding_is_the_sum_of_its_parts(named, model, box):
    """Model of the first molecule + field of both − bonds and angles of the first: charges stay with the field."""
    topology, atoms = waters(box)
    method = app.NoCutoff if box is None else app.PME
    field = app.ForceField("tip3p.xml").createSystem(topology, nonbondedMethod=method, rigidWater=False)
    energy, forces = energies(named.createMixedSystem(topology, field, [0, 1, 2]), atoms)

    both, first, own = energies(field, atoms), of_one_water(atoms), by_ase(model, atoms[:3])
    assert energy == pytest.approx(both[0] + own[0] - first[0], abs=1e-9)
    expected = both[1].copy()
    expected[:3] += own[1] - first[1]
    np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-8)


def of_one_water(atoms):
    """The force field of the first molecule, which has no charges that it feels itself."""
    topology = waters()[0]
    modeller = app.Modeller(topology, atoms.positions / 10 * unit.nanometer)
    modeller.delete(list(topology.residues())[1:])
    alone = app.ForceField("tip3p.xml").createSystem(modeller.topology, rigidWater=False)
    return energies(alone, atoms[:3])


@pytest.mark.slow
def test_interpolation_goes_from_field_to_model(named, model):
    topology, atoms = waters()
    field = app.ForceField("tip3p.xml").createSystem(topology, rigidWater=False)
    mixed = named.createMixedSystem(topology, field, [0, 1, 2])
    path = named.createMixedSystem(topology, field, [0, 1, 2], interpolate=True)
    assert energies(path, atoms, lam=0.0)[0] == pytest.approx(energies(field, atoms)[0], abs=1e-9)
    assert energies(path, atoms, lam=1.0)[0] == pytest.approx(energies(mixed, atoms)[0], abs=1e-9)


def test_the_model_file_must_be_named():
    with pytest.raises(ValueError, match=r"modelPath='model\.equipot'"):
        EquipotFactory().createImpl("equipot", path="water.equipot")
