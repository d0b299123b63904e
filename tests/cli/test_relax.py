"""`equipot relax` and `equipot phonons`: what they print, what they leave, how they end."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io import read, write

import equipot as package
from cli.tiny import BASE


@pytest.fixture
def starts(tmp_path):
    """Two molecules, the oxygen of the last one fixed, with labels that must not stay."""
    first = Atoms("OH2", BASE)
    second = Atoms("OH2", BASE + np.array([[0, 0, 0], [0.02, 0, 0], [0, 0.02, 0]]), info={"energy": -1.0})
    second.set_constraint(FixAtoms([0]))
    write(tmp_path / "starts.xyz", [first, second], format="extxyz")
    return tmp_path / "starts.xyz"


def test_relax_the_last_frame(equipot, tiny, starts, tmp_path):
    said = equipot(f"relax {tiny.model} {starts} --fmax 0.05")
    assert said.code == 0, said.err
    assert f"Python: equipot.relax('{tiny.model}', '{starts}', fmax=0.05).atoms" in said.out
    assert "steps, energy" in said.out and "largest force" in said.out
    (atoms,) = read(tmp_path / "relaxed.extxyz", ":")
    assert atoms.constraints[0].index.tolist() == [0]
    np.testing.assert_array_equal(atoms.positions[0], BASE[0])
    again = package.relax(tiny.model, starts, fmax=0.05)
    assert again.atoms.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    assert again.force < 0.05
    assert package.load(tiny.model).relax(starts, fmax=0.05).steps == again.steps


def test_relax_a_poscar_with_selective_dynamics(equipot, tiny, tmp_path):
    crystal = Atoms("OH2", BASE + 2, cell=[5, 5, 5], pbc=True)
    crystal.set_constraint(FixAtoms([1]))
    write(tmp_path / "POSCAR", crystal, format="vasp")
    said = equipot(f"relax {tiny.model} POSCAR --fmax 0.05")
    assert said.code == 0, said.err
    fixed = read(tmp_path / "relaxed.extxyz")
    assert fixed.constraints[0].index.tolist() == [1] and fixed.pbc.all()


def test_relax_all_frames_for_programs(equipot, tiny, starts, tmp_path):
    downhill = (
        "--all --fmax 0.05 --optimizer fire"  # BFGS may wander on the surface of a model of twenty epochs
    )
    found = json.loads(equipot(f"relax {tiny.model} {starts} {downhill} --out out/all.xyz --json").out)
    assert [row["converged"] for row in found["structures"]] == [True, True]
    assert all(row["energy_after_eV"] <= row["energy_before_eV"] for row in found["structures"])
    assert len(read(tmp_path / "out" / "all.xyz", ":")) == 2 and found["files"] == ["out/all.xyz"]


def test_what_is_not_relaxed_is_kept_and_refused(equipot, tiny, starts, tmp_path):
    said = equipot(f"relax {tiny.model} {starts} --fmax 1e-9 --steps 1")
    assert said.code == 2
    assert "1 of 1 structures are not relaxed" in said.err and "relaxed-unfinished.extxyz" in said.err
    assert not (tmp_path / "relaxed.extxyz").exists()
    assert len(read(tmp_path / "relaxed-unfinished.extxyz")) == 3


def test_relax_refuses_what_it_does_not_know(equipot, tiny, starts, tmp_path):
    assert "no optimizer 'newton'" in equipot(f"relax {tiny.model} {starts} --optimizer newton").err
    assert "periodic in three directions" in equipot(f"relax {tiny.model} {starts} --cell").err
    write(tmp_path / "neon.xyz", Atoms("Ne"), format="extxyz")
    said = equipot(f"relax {tiny.model} neon.xyz")
    assert said.code == 2 and "Ne" in said.err


def test_phonons_of_a_crystal_that_is_none(equipot, tiny, tmp_path):
    """A model of water knows no crystal: imaginary modes, loudly, and all files."""
    write(tmp_path / "ice.xyz", Atoms("OH2", BASE, cell=[3.1, 3.2, 3.3], pbc=True), format="extxyz")
    line = f"phonons {tiny.model} ice.xyz --no-relax --supercell 1 1 1 --mesh 2 2 2 --path GX --out out"
    said = equipot(line)
    assert said.code == 0, said.err
    assert "not relaxed, as asked: the largest force is" in said.out
    assert "free energy kJ/mol" in said.out and "out/phonopy_params.yaml" in said.out
    assert "supercell=(1, 1, 1)" in said.out and "relax=False" in said.out
    found = json.loads(equipot(line + " --json").out)
    assert (tmp_path / "out" / "bands.csv").exists()
    assert bool(found["header"]["imaginary"]) == ("IMAGINARY MODES" in said.err)
    assert "equipot.harmonic" in equipot(f"phonons {tiny.model} {tiny.start}").err
